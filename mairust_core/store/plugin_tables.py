"""The tables of plugins at work: what they saw and took, what they said, how they are.

`store.tables` has them with all others.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, Text

from mairust_core.store.columns import BigId, metadata, of_tenant, owned_by

# One plugin was sent one account's copy of a mail, and what of it (B-5); a year (rule J3).
plugin_access = Table(
    "plugin_access",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),  # sorts by time, and is what expires
    owned_by("tenant_id"),
    Column("at_ms", BigInteger, nullable=False),
    Column("plugin", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("hook", Text, nullable=False),
    Column("occasion", Text, nullable=False),  # mail, shadow, replay
    Column("saw", Text, nullable=False),  # words with blanks between, as headers body:full
    owned_by("account_id"),
    Column("trace_id", BigInteger),
    Column("message_id", BigInteger),  # null: the mail was refused
    Index("ix_plugin_access_plugin_id", "plugin", "id"),
    Index("ix_plugin_access_account_id_id", "account_id", "id"),
    Index("ix_plugin_access_message_id", "message_id"),
)

# What calls of a plugin came to and took: of one day, days since 1970 in UTC; of all days under day 0.
plugin_usage = Table(
    "plugin_usage",
    metadata,
    of_tenant(primary_key=True),
    Column("plugin", Text, primary_key=True),
    Column("day", BigInteger, primary_key=True),
    Column("calls", BigInteger, nullable=False),
    Column("failures", BigInteger, nullable=False),
    Column("timeouts", BigInteger, nullable=False),
    Column("skipped", BigInteger, nullable=False),
    Column("signed", BigInteger, nullable=False),  # calls under the shared secret
    Column("tokens", BigInteger, nullable=False),  # uses of a token that was taken
    Column("tokens_refused", BigInteger, nullable=False),
    Column("wall_us", BigInteger, nullable=False),
    Column("cpu_us", BigInteger, nullable=False),
    Column("peak_bytes", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
)

# A line that a plugin wrote on stderr, or why a call of it failed; the newest thousand.
plugin_log = Table(
    "plugin_log",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    owned_by("tenant_id"),
    Column("at_ms", BigInteger, nullable=False, index=True),
    Column("plugin", Text, nullable=False),
    Column("hook", Text, nullable=False),
    Column("origin", Text, nullable=False),  # stderr, error, health
    Column("text", Text, nullable=False),
    Index("ix_plugin_log_plugin_id", "plugin", "id"),
)

# A token that somebody issued to a plugin, or one of a delivery that somebody revoked (rule G3).
plugin_token = Table(
    "plugin_token",
    metadata,
    of_tenant(primary_key=True),
    Column("id", Text, primary_key=True),  # its jti
    Column("plugin", Text, nullable=False, index=True),
    Column("scopes", Text, nullable=False),  # words with blanks between
    Column("delivery_id", Text),  # which one a callback is about
    Column("created_by", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False, index=True),
    Column("revoked_ms", BigInteger),
    Column("uses", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    Column("used_ms", BigInteger),
)

# How a plugin is that says where to ask: what the last check found.
plugin_health = Table(
    "plugin_health",
    metadata,
    of_tenant(primary_key=True),
    Column("plugin", Text, primary_key=True),
    Column("state", Text, nullable=False),  # well, unwell
    Column("since_ms", BigInteger, nullable=False),  # it is so
    Column("checked_ms", BigInteger, nullable=False),
    Column("took_us", BigInteger, nullable=False),
    Column("failures", BigInteger, nullable=False),  # one after another
    Column("detail", Text, nullable=False),
)

# The processes of a local plugin below one process of ours; who does not tell for a minute is gone.
plugin_worker = Table(
    "plugin_worker",
    metadata,
    of_tenant(primary_key=True),
    Column("plugin", Text, primary_key=True),
    Column("process", BigInteger, primary_key=True),  # as `process_number` has it
    Column("workers", BigInteger, nullable=False),
    Column("busy", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False, index=True),
)
