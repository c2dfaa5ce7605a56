"""The tables of a site. Every row carries its tenant (rule A3); times are milliseconds since 1970 UTC.

blob       bytes that lie in the blob store, by hash
content    parsed facts of some bytes, shared by all who got them (rule A1)
message    one account's copy: id, trace headers, tags, metadata
placement  a message in one mailbox: uid, modseq, flags
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from mairust_core.store.columns import AnyRow as AnyRow
from mairust_core.store.columns import AnySelect as AnySelect
from mairust_core.store.columns import BigId
from mairust_core.store.columns import metadata as metadata
from mairust_core.store.columns import of_tenant as _tenant
from mairust_core.store.columns import owned_by as _owner
from mairust_core.store.hook_tables import hook as hook
from mairust_core.store.hook_tables import hook_breaker as hook_breaker
from mairust_core.store.hook_tables import hook_log as hook_log
from mairust_core.store.hook_tables import hook_poison as hook_poison
from mairust_core.store.hook_tables import plugin as plugin
from mairust_core.store.hook_tables import plugin_callback as plugin_callback
from mairust_core.store.hook_tables import plugin_metric as plugin_metric
from mairust_core.store.package_tables import plugin_package as plugin_package
from mairust_core.store.package_tables import plugin_package_part as plugin_package_part
from mairust_core.store.package_tables import trust_key as trust_key
from mairust_core.store.package_tables import trust_revocation as trust_revocation
from mairust_core.store.plugin_tables import plugin_access as plugin_access
from mairust_core.store.plugin_tables import plugin_health as plugin_health
from mairust_core.store.plugin_tables import plugin_log as plugin_log
from mairust_core.store.plugin_tables import plugin_token as plugin_token
from mairust_core.store.plugin_tables import plugin_usage as plugin_usage
from mairust_core.store.plugin_tables import plugin_worker as plugin_worker

tenant = Table(
    "tenant",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False, unique=True),
)

# One row: what is known of the site as a whole.
site = Table(
    "site",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    _tenant(),
    Column("name", Text, nullable=False),  # random: by it the blob store knows whose blobs it holds
    Column("uidvalidity", BigInteger, nullable=False),  # the highest of accounts that were removed (A2)
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
    Column("floor", BigInteger, nullable=False, server_default="0"),  # tombstones up to this MODSEQ are gone
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

# Their condition on PostgreSQL is added by `postgresql.py`, as for blobs.
trace_message_id = Index("ix_trace_message_id", "message_id", sqlite_where=Column("message_id") != "")

trace = Table(
    "trace",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    _owner("tenant_id"),
    Column("at_ms", BigInteger, nullable=False),
    Column("accepted", Boolean, nullable=False),
    Column("road", Text, nullable=False),
    Column("client_ip", Text),
    Column("helo", Text, nullable=False),
    Column("mail_from", Text, nullable=False),
    Column("rcpt_to", Text, nullable=False),  # JSON: [[address, [account id, …]], …]
    Column("message_id", Text, nullable=False),
    Column("reply", Text, nullable=False),
    Column("events", Text, nullable=False),  # JSON: [{"at", "kind", …}, …]
    Index("ix_trace_at_ms", "at_ms", "accepted", "tenant_id"),  # the mails of a day are counted off it
    trace_message_id,
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

# What left a mailbox, by being moved, deleted or purged (rule A2, RFC 7162 §3.2.10).
tombstone = Table(
    "tombstone",
    metadata,
    _owner("mailbox_id", primary_key=True, autoincrement=False),
    Column("modseq", BigInteger, primary_key=True, autoincrement=False),
    _owner("tenant_id"),
    _owner("account_id", index=True),
    Column("uid", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)

# A deleted message until it is undeleted or its time is over: where it was, and how.
trash = Table(
    "trash",
    metadata,
    Column("message_id", BigId, ForeignKey("message.id"), primary_key=True, autoincrement=False),
    _owner("tenant_id"),
    _owner("account_id"),
    _owner("mailbox_id"),
    Column("mailbox", Text, nullable=False),  # its name when it was deleted
    Column("modseq", BigInteger, nullable=False),
    Column("flags", Integer, nullable=False),
    Column("keywords", Text, nullable=False),  # JSON list
    Column("received_ms", BigInteger, nullable=False),
    Column("deleted_ms", BigInteger, nullable=False, index=True),
    Index("ix_trash_account_page", "account_id", "received_ms", "message_id"),
)

# The tags of `message.tags`, the other way round: which messages have one, in the order of a page.
message_tag = Table(
    "message_tag",
    metadata,
    _owner("account_id", primary_key=True, autoincrement=False),
    Column("tag", Text, primary_key=True),
    Column("received_ms", BigInteger, primary_key=True, autoincrement=False),
    Column(
        "message_id",
        BigId,
        ForeignKey("message.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
        index=True,
    ),
    _owner("tenant_id"),
    sqlite_with_rowid=False,
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

# Copies that imports brought, by what they are and where they went; kept when the mail is gone (rule I1).
import_ledger = Table(
    "import_ledger",
    metadata,
    _owner("account_id", primary_key=True, autoincrement=False),
    Column("mailbox", Text, primary_key=True),  # by name: one that is made anew is the same target
    Column("sha256", LargeBinary, primary_key=True),
    _owner("tenant_id"),
    Column("copies", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# Mailboxes that mail programs shall show; a name may be here before or after its mailbox (RFC 9051 §6.3.7).
subscription = Table(
    "subscription",
    metadata,
    _owner("account_id", primary_key=True, autoincrement=False),
    Column("mailbox", Text, primary_key=True),
    _owner("tenant_id"),
    sqlite_with_rowid=False,
)

# What `search/` keeps: texts by content, and of each account which of its messages are indexed where.
content_text = Table(
    "content_text",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    _owner("tenant_id", primary_key=True, autoincrement=False),
    Column("extent", Text, nullable=False),  # whole | cut | header
    Column("made_ms", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),  # of the text in UTF-8
    Column("text", LargeBinary, nullable=False),  # zstd; gone when its content is, without a foreign key
)

index_queue = Table(
    "index_queue",
    metadata,
    _owner("account_id", primary_key=True, autoincrement=False),
    Column("received_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("message_id", BigInteger, primary_key=True, autoincrement=False),
    _owner("tenant_id"),
    sqlite_with_rowid=False,
)

index_segment = Table(
    "index_segment",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    _owner("tenant_id"),
    _owner("account_id", index=True),
    Column("documents", Integer, nullable=False),  # 0 while it is written or taken away: nobody sees it
    Column("newest_ms", BigInteger, nullable=False),  # with its id the greatest key of its documents
    Column("newest_id", BigInteger, nullable=False),
    Column("oldest_ms", BigInteger, nullable=False),
    Column("bucket_bits", Integer, nullable=False),
    Column("text_bytes", BigInteger, nullable=False),
    Column("index_bytes", BigInteger, nullable=False),
    Column("partial", LargeBinary, nullable=False),  # positions whose text is not whole, 16 bits each
    Column("stale_ms", BigInteger),  # to be made anew, with texts from then on; null: it is good
)

index_document = Table(
    "index_document",
    metadata,
    Column("segment_id", BigInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),  # ascending with the key
    _owner("tenant_id"),
    Column("message_id", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

index_posting = Table(
    "index_posting",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),  # segment << 16 | bucket
    _owner("tenant_id"),
    Column("data", LargeBinary, nullable=False),
)

index_state = Table(
    "index_state",
    metadata,
    _owner("tenant_id", primary_key=True, autoincrement=False),
    Column("mode", Text, nullable=False),  # on | off | filling; on without a row
    Column("epoch", BigInteger, nullable=False),  # counts the changes of mode
    # filling: queued up to this message; on: 0, or when a look was asked for
    Column("filled_to", BigInteger, nullable=False),
    Column("texts_ms", BigInteger, nullable=False),  # texts made before then are made again
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
    Column("details", Text),  # JSON: {"asked": {…}, "before": {…}, "cut": …}; null where nothing was kept
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
    Column("verified_ms", BigInteger),  # when its repository was last verified; null before
    Column("verified_percent", BigInteger, nullable=False, server_default=text("0")),
    Column("verify_damaged", BigInteger, nullable=False, server_default=text("0")),
)

# One row is one thing to do later, or that was done; what is over is kept for a while (rule J3).
# Their conditions on PostgreSQL are added by `postgresql.py`, as that of `blob_condemned`.
job_indexes = (
    Index(
        "ix_job_ready", "kind", "priority", "run_at_ms", "id", sqlite_where=text("state = 'ready'")
    ),  # what is next, however many are done, wait for their time, or are of a kind that is busy
    Index("ix_job_live", "state", "id", sqlite_where=text("state <> 'done'")),
    Index("ix_job_done", "finished_ms", sqlite_where=text("state = 'done'")),
    Index(
        "uq_job_dedupe",
        "tenant_id",
        "dedupe",
        unique=True,
        sqlite_where=text("dedupe IS NOT NULL AND finished_ms IS NULL"),
    ),
)

job = Table(
    "job",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    _owner("tenant_id"),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("payload", Text, nullable=False),  # JSON object; ids and names, never a secret
    Column("state", Text, nullable=False),  # ready, running, done, dead, held
    Column("priority", Integer, nullable=False),  # lower runs first
    Column("run_at_ms", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("fence", BigInteger, nullable=False),  # rises with every lease (rule F3)
    Column("leased_until_ms", BigInteger),  # by the database's clock; null unless running
    Column("worker", Text),  # who has or had it
    Column("last_error", Text),
    Column("dedupe", Text),  # at most one unfinished job has it
    Column("created_ms", BigInteger, nullable=False),
    Column("finished_ms", BigInteger),  # null unless done or dead
    *job_indexes,
    Index("ix_job_kind_id", "kind", "id"),
)

schedule = Table(
    "schedule",
    metadata,
    Column("name", Text, primary_key=True),
    _tenant(),
    Column("cron", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("last_ms", BigInteger),  # null until it was due for the first time
    Column("next_ms", BigInteger, nullable=False),
)

# What is done every so often, by whichever process: when last, and what came of it.
upkeep = Table(
    "upkeep",
    metadata,
    Column("task", Text, primary_key=True),
    _tenant(),
    Column("at_ms", BigInteger, nullable=False),
    Column("took_ms", BigInteger, nullable=False),
    Column("outcome", Text, nullable=False),  # JSON object
)

# The one master key under which data keys are wrapped now; its bytes are in a file, never here.
master_key = Table(
    "master_key",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("key_id", Text, nullable=False),
)

secret = Table(
    "secret",
    metadata,
    _tenant(primary_key=True),
    Column("name", Text, primary_key=True),
    Column("key_id", Text, nullable=False, index=True),  # of the master key around the data key
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, index=True),  # null: kept until it is deleted
)

# Failed attempts to log in, counted by where they came from and whom they aimed at (trap A4).
auth_failure = Table(
    "auth_failure",
    metadata,
    _tenant(primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("until_ms", BigInteger, nullable=False, index=True),  # when all of them are forgiven
)

# What a request under an `Idempotency-Key` answered, so that repeating it is safe.
idempotency = Table(
    "idempotency",
    metadata,
    _tenant(primary_key=True),
    Column("principal", Text, primary_key=True),
    Column("key_hash", LargeBinary, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("at_ms", BigInteger, nullable=False, index=True),
    Column("subject", Text),  # the id of what was made, while the answer is not written yet
    Column("answer", LargeBinary),
    Column("sealed", Boolean, nullable=False),  # the answer holds a secret and lies in `secret`
)

SCHEMA_VERSION = "0019"
"""The newest migration; the tables above are what it leads to (a test compares them)."""

alembic_version = Table("alembic_version", metadata, Column("version_num", Text, primary_key=True))
