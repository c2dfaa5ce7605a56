"""The tables of plugins and hooks; `store.tables` has them with all others."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Table,
    Text,
)

from mairust_core.store.columns import BigId, metadata, of_tenant, owned_by

# Code that others wrote: what it says of itself, what of that was approved, and by whom.
plugin = Table(
    "plugin",
    metadata,
    of_tenant(primary_key=True),
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),  # pending, enabled, disabled, blocked
    Column("source", Text, nullable=False),  # link, package, extension
    Column("directory", Text, nullable=False),  # where the files of what is linked are; else empty
    Column("manifest", Text),  # JSON: the approved one; null while none is
    Column("pending", Text),  # JSON: the one that waits for approval
    Column("pending_directory", Text),
    Column("approved_by", Text),
    Column("approved_ms", BigInteger),
    Column("generation", BigInteger, nullable=False),  # rises with every change
    Column("created_ms", BigInteger, nullable=False),
    Column("package", Text),  # the digest of what was approved; null for what is linked
    Column("pending_package", Text),
    Column("previous_package", Text),  # what a rollback leads to
)

# Where a plugin is asked. What its plugin.toml says is replaced by an upgrade, what was set here is not (J5).
hook = Table(
    "hook",
    metadata,
    of_tenant(primary_key=True),
    Column("name", Text, primary_key=True),
    Column("plugin", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("declared", Text),  # JSON: as plugin.toml has it; null when a person added it
    Column("changed", Text, nullable=False),  # JSON object: what a person set
    Column("enabled", Boolean, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("removed_ms", BigInteger),  # declared, but a person wants none of it: upgrades leave it so
    ForeignKeyConstraint(["tenant_id", "plugin"], ["plugin.tenant_id", "plugin.id"]),
    Index("ix_hook_tenant_id_plugin", "tenant_id", "plugin"),
)

# One row is one call of a hook: what came of it, never what it was sent (rule J3).
hook_log = Table(
    "hook_log",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    owned_by("tenant_id"),
    Column("at_ms", BigInteger, nullable=False, index=True),
    Column("hook", Text, nullable=False),
    Column("plugin", Text, nullable=False),
    Column("delivery_id", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("outcome", Text, nullable=False),  # answered, failed, timed_out, skipped
    Column("action", Text, nullable=False),
    Column("took_us", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
    Column("trace_id", BigInteger),
    Column("message_id", BigInteger),
    Column("recipient", Text),
    Index("ix_hook_log_hook_id", "hook", "id"),
)

# Numbers that plugins told of themselves, the newest of each.
plugin_metric = Table(
    "plugin_metric",
    metadata,
    of_tenant(primary_key=True),
    Column("plugin", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Double, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

# Deliveries whose one callback was made; their tokens end within the hour (rule F3).
plugin_callback = Table(
    "plugin_callback",
    metadata,
    of_tenant(primary_key=True),
    Column("delivery_id", Text, primary_key=True),
    Column("plugin", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False, index=True),
)

# Failures of hooks in a row, and mails that made one fail while it answered others (rule E5).
hook_breaker = Table(
    "hook_breaker",
    metadata,
    of_tenant(primary_key=True),
    Column("hook", Text, primary_key=True),
    Column("failures", Text, nullable=False),  # JSON list: hashes of distinct mails
    Column("open_until_ms", BigInteger),  # null while it is closed
    Column("probing_until_ms", BigInteger, nullable=False),  # a lease of the process that finds out
    Column("last_error", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

hook_poison = Table(
    "hook_poison",
    metadata,
    of_tenant(primary_key=True),
    Column("hook", Text, primary_key=True),
    Column("sha256", LargeBinary, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
)
