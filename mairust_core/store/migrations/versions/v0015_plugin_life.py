"""Plugins at work: which mail they saw, what they took and said, tokens, health, their processes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables, empty."""
    _accesses()
    _usage()
    _log()
    _tokens()
    _state()


def _accesses() -> None:
    op.create_table(
        "plugin_access",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("plugin", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("hook", sa.Text(), nullable=False),
        sa.Column("occasion", sa.Text(), nullable=False),
        sa.Column("saw", sa.Text(), nullable=False),
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("trace_id", sa.BigInteger()),
        sa.Column("message_id", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_plugin_access"),
    )
    op.create_index("ix_plugin_access_plugin_id", "plugin_access", ["plugin", "id"])
    op.create_index("ix_plugin_access_account_id_id", "plugin_access", ["account_id", "id"])
    op.create_index("ix_plugin_access_message_id", "plugin_access", ["message_id"])


def _usage() -> None:
    sums = (
        "calls", "failures", "timeouts", "skipped", "signed", "tokens", "tokens_refused", "wall_us", "cpu_us",
        "peak_bytes", "last_ms",
    )  # fmt: skip
    op.create_table(
        "plugin_usage",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("plugin", sa.Text(), nullable=False),
        sa.Column("day", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in sums),
        sa.PrimaryKeyConstraint("tenant_id", "plugin", "day", name="pk_plugin_usage"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_plugin_usage_tenant_id"),
    )


def _log() -> None:
    op.create_table(
        "plugin_log",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("plugin", sa.Text(), nullable=False),
        sa.Column("hook", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_plugin_log"),
    )
    op.create_index("ix_plugin_log_at_ms", "plugin_log", ["at_ms"])
    op.create_index("ix_plugin_log_plugin_id", "plugin_log", ["plugin", "id"])


def _tokens() -> None:
    op.create_table(
        "plugin_token",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("plugin", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("delivery_id", sa.Text()),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_ms", sa.BigInteger()),
        sa.Column("uses", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_plugin_token"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_plugin_token_tenant_id"),
    )
    op.create_index("ix_plugin_token_plugin", "plugin_token", ["plugin"])
    op.create_index("ix_plugin_token_expires_ms", "plugin_token", ["expires_ms"])


def _state() -> None:
    op.create_table(
        "plugin_health",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("plugin", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("checked_ms", sa.BigInteger(), nullable=False),
        sa.Column("took_us", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "plugin", name="pk_plugin_health"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_plugin_health_tenant_id"),
    )
    op.create_table(
        "plugin_worker",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("plugin", sa.Text(), nullable=False),
        sa.Column("process", sa.BigInteger(), nullable=False),
        sa.Column("workers", sa.BigInteger(), nullable=False),
        sa.Column("busy", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "plugin", "process", name="pk_plugin_worker"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_plugin_worker_tenant_id"),
    )
    op.create_index("ix_plugin_worker_at_ms", "plugin_worker", ["at_ms"])
