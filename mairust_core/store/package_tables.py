"""The tables of plugin packages and of whom to trust with them; `store.tables` has them with all others."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from mairust_core.store.columns import metadata, of_tenant

# Root keys that sign packages or certify keys that do (rule G5).
trust_key = Table(
    "trust_key",
    metadata,
    of_tenant(primary_key=True),
    Column("id", Text, primary_key=True),  # the key's id
    Column("name", Text, nullable=False),
    Column("public_key", LargeBinary, nullable=False),  # its 32 octets
    Column("serial", BigInteger),  # of the newest list of revocations; an older one is refused
    Column("added_by", Text, nullable=False),
    Column("added_ms", BigInteger, nullable=False),
    Column("removed_ms", BigInteger),  # trusted no longer; its row keeps the serial
    Column("issued_ms", BigInteger),  # of the newest list, by whoever issued it
    Column("list_digest", Text),  # SHA-256 of what that names: of one serial there is one list
    Column("confirmed_ms", BigInteger),  # when somebody said that there is no newer one
    Column("restored_ms", BigInteger),  # from a backup, and neither has happened since
)

# What roots took back: keys, and packages by the hash of their manifest.
trust_revocation = Table(
    "trust_revocation",
    metadata,
    of_tenant(primary_key=True),
    Column("root", Text, primary_key=True),
    Column("kind", Text, primary_key=True),  # key, manifest
    Column("value", Text, primary_key=True),
    Column("taken_ms", BigInteger, nullable=False),
)

# A package that was verified whole; its bytes are in parts, so that no transaction is long (rule D2).
plugin_package = Table(
    "plugin_package",
    metadata,
    of_tenant(primary_key=True),
    Column("digest", Text, primary_key=True),  # SHA-256 of its manifest.json
    Column("archive", Text, nullable=False),  # SHA-256 of all of its bytes
    Column("plugin", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("toml", Text, nullable=False),  # its plugin.toml as it is
    Column("listing", Text, nullable=False),  # its manifest.json as it is
    Column("root", Text),  # the key that stands for it; null when nobody signed it
    Column("signatures", Text, nullable=False),  # JSON: who else had a part in that
    Column("size_bytes", BigInteger, nullable=False),
    Column("added_by", Text, nullable=False),
    Column("added_ms", BigInteger, nullable=False),
)

# Bytes of an archive; without a package that names the archive they are collected.
plugin_package_part = Table(
    "plugin_package_part",
    metadata,
    of_tenant(primary_key=True),
    Column("archive", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("bytes", LargeBinary, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("ix_plugin_package_part_at_ms", "at_ms"),
)
