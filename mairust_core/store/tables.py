"""The tables of a site. Every row carries its tenant (rule A3); times are milliseconds since 1970 UTC.

blob       bytes that lie in the blob store, by hash
content    parsed facts of some bytes, shared by all who got them (rule A1)
message    one account's copy: id, trace headers, tags, metadata
placement  a message in one mailbox: uid, modseq, flags
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    Select,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

AnyRow = Row[*tuple[Any, ...]]
AnySelect = Select[*tuple[Any, ...]]

# In SQLite only an INTEGER primary key is the row id itself; BIGINT would be a second index.
BigId = BigInteger().with_variant(Integer(), "sqlite")


def _tenant() -> Column[int]:
    return Column("tenant_id", BigId, ForeignKey("tenant.id"), nullable=False)


def _owner(name: str, **more: Any) -> Column[int]:
    """A tenant, account or mailbox named by a row of every mail, without a foreign key.

    The transaction that writes it holds the account's and the mailbox's row by its UPDATE (rule A2), so a
    key would prove nothing more, and its share locks would make every UPDATE of a busy account a multixact.
    """
    return Column(name, BigId, nullable=False, **more)


tenant = Table(
    "tenant",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False, unique=True),
)

generation = Table(
    "generation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("value", BigInteger, nullable=False),
)

process_number = Table(
    "process_number",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("last_ms", BigInteger, nullable=False),
    Column("leased_ms", BigInteger),  # null once returned cleanly
    Column("holder", Text, nullable=False),
)

domain = Table(
    "domain",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    _tenant(),
    Column("name", Text, nullable=False, unique=True),
    Column("created_ms", BigInteger, nullable=False),
)

account = Table(
    "account",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    _tenant(),
    Column("domain_id", BigId, ForeignKey("domain.id"), nullable=False, index=True),
    Column("address", Text, nullable=False),
    Column("admin", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("password_hash", Text),
    Column("quota_bytes", BigInteger),
    Column("used_bytes", BigInteger, nullable=False),
    Column("messages", BigInteger, nullable=False),
    Column("modseq", BigInteger, nullable=False),
    Column("uidvalidity", BigInteger, nullable=False),  # the last one given to a mailbox (rule A2)
    Column("created_ms", BigInteger, nullable=False),
    Column("removed_ms", BigInteger),  # its mail is purged by collection, some at a time
)

# Accounts and aliases share one table, so that an address means one thing (rule A3).
address = Table(
    "address",
    metadata,
    Column("folded", Text, primary_key=True),
    _tenant(),
    Column("id", BigId, nullable=False, unique=True),
    Column("domain_id", BigId, ForeignKey("domain.id"), nullable=False, index=True),
    Column("display", Text, nullable=False),
    Column("account_id", BigId, ForeignKey("account.id"), index=True),  # null for an alias
    Column("created_ms", BigInteger, nullable=False),
)

alias_target = Table(
    "alias_target",
    metadata,
    Column("address_id", BigId, ForeignKey("address.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    _tenant(),
    Column("target", Text, nullable=False),
    Column("target_folded", Text, nullable=False, index=True),
)

mailbox = Table(
    "mailbox",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    _tenant(),
    Column("account_id", BigId, ForeignKey("account.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("uidvalidity", BigInteger, nullable=False),
    Column("uidnext", BigInteger, nullable=False),
    Column("messages", BigInteger, nullable=False),
    Column("unseen", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    UniqueConstraint("account_id", "name"),
)

# Its condition on PostgreSQL is added by `postgresql.py`: naming it here would load that dialect on
# SQLite too, which costs a command a third of its start.
blob_condemned = Index(
    "ix_blob_condemned_ms", "condemned_ms", sqlite_where=Column("condemned_ms").is_not(None)
)

blob = Table(
    "blob",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("tenant_id", BigId, primary_key=True),
    Column("location", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("condemned_ms", BigInteger),  # null while something refers to it (rule C2)
    blob_condemned,
)

content = Table(
    "content",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("tenant_id", BigId, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("crlf_size_bytes", BigInteger, nullable=False),
    Column("header_size_bytes", BigInteger, nullable=False),
    Column("eol", Text, nullable=False),
    Column("described", Boolean, nullable=False),  # false: stored, although it could not be read (rule C4)
    Column("date_ms", BigInteger),  # null when the Date field is absent or nonsense
    Column("subject", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("snippet", Text, nullable=False),
    Column("has_attachments", Boolean, nullable=False),
    Column("facts", Text, nullable=False),  # JSON: parties, references, attachments
    Column("envelope", LargeBinary, nullable=False),
    Column("bodystructure", LargeBinary, nullable=False),
    ForeignKeyConstraint(
        ["sha256", "tenant_id"], ["blob.sha256", "blob.tenant_id"], ondelete="RESTRICT"
    ),
)  # fmt: skip

trace = Table(
    "trace",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    _owner("tenant_id"),
    Column("at_ms", BigInteger, nullable=False, index=True),
    Column("accepted", Boolean, nullable=False),
    Column("road", Text, nullable=False),
    Column("client_ip", Text),
    Column("helo", Text, nullable=False),
    Column("mail_from", Text, nullable=False),
    Column("rcpt_to", Text, nullable=False),  # JSON: [[address, [account id, …]], …]
    Column("message_id", Text, nullable=False),
    Column("reply", Text, nullable=False),
    Column("events", Text, nullable=False),  # JSON: [{"at", "kind", …}, …]
)

message = Table(
    "message",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    _owner("tenant_id"),
    _owner("account_id", index=True),
    Column("sha256", LargeBinary, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("thread_id", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),  # of the CRLF rendering (rule B2)
    Column("trace_headers", LargeBinary, nullable=False),
    Column("hidden", Text, nullable=False),  # JSON: [[start, end], …] byte ranges of the blob (rule B2)
    Column("tags", Text, nullable=False),  # JSON list
    Column("metadata", Text, nullable=False),  # JSON object
    Column("trace_id", BigInteger),  # null when it did not come by mail; trace rows expire, no foreign key
    ForeignKeyConstraint(
        ["sha256", "tenant_id"], ["content.sha256", "content.tenant_id"], ondelete="RESTRICT"
    ),
    Index("ix_message_sha256_tenant_id", "sha256", "tenant_id"),
)  # fmt: skip

placement = Table(
    "placement",
    metadata,
    _owner("mailbox_id", primary_key=True),
    Column("uid", BigInteger, primary_key=True, autoincrement=False),
    _owner("tenant_id"),
    _owner("account_id"),
    Column("message_id", BigId, ForeignKey("message.id"), nullable=False, unique=True),
    Column("modseq", BigInteger, nullable=False),
    Column("flags", Integer, nullable=False),
    Column("keywords", Text, nullable=False),  # JSON list
    Column("received_ms", BigInteger, nullable=False),
    Index("ix_placement_account_page", "account_id", "received_ms", "message_id"),
    Index("ix_placement_mailbox_page", "mailbox_id", "received_ms", "message_id"),
)

thread_key = Table(
    "thread_key",
    metadata,
    _owner("account_id", primary_key=True, autoincrement=False),
    Column("key", BigInteger, primary_key=True, autoincrement=False),  # 63 bits of a hash
    _owner("tenant_id"),
    Column("thread_id", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# What came through the pipe within a day: a front server repeats its whole recipient list (rule C4).
pipe_delivery = Table(
    "pipe_delivery",
    metadata,
    _owner("account_id", primary_key=True, autoincrement=False),
    Column("sha256", LargeBinary, primary_key=True),
    _owner("tenant_id"),
    Column("message_id", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)

token = Table(
    "token",
    metadata,
    Column("id", Text, primary_key=True),
    _tenant(),
    Column("name", Text, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("scopes", Text, nullable=False),  # JSON list
    Column("reach", Text, nullable=False),
    Column("domain_id", BigId, ForeignKey("domain.id", ondelete="CASCADE")),
    Column("account_id", BigId, ForeignKey("account.id", ondelete="CASCADE")),
    Column("created_by", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger),  # null: never
    Column("revoked_ms", BigInteger),  # null while it is good
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    _tenant(),
    Column("at_ms", BigInteger, nullable=False, index=True),
    Column("actor", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("subject", Text, nullable=False),
)

# Backups that were begun; while one is pinned no blob is deleted (rules C2, I3).
backup = Table(
    "backup",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    _tenant(),
    Column("started_ms", BigInteger, nullable=False),
    Column("pinned_until_ms", BigInteger),  # a lease; null once it is over
    Column("finished_ms", BigInteger),
    Column("actor", Text, nullable=False),
    Column("repository", Text, nullable=False),
    Column("snapshot", Text, nullable=False),
    Column("messages", BigInteger, nullable=False),
    Column("objects_new", BigInteger, nullable=False),
    Column("bytes_new", BigInteger, nullable=False),
    Column("damaged", BigInteger, nullable=False),
)

SCHEMA_VERSION = "0008"
"""The newest migration; the tables above are what it leads to (a test compares them)."""

alembic_version = Table("alembic_version", metadata, Column("version_num", Text, primary_key=True))
