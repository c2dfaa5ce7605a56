"""Plugins and their hooks: what is registered and approved, what was set, what came of each call."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables of plugins and hooks."""
    _plugins()
    _hooks()
    _hook_log()
    _told()


def _plugins() -> None:
    op.create_table(
        "plugin",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("directory", sa.Text(), nullable=False),
        sa.Column("manifest", sa.Text()),
        sa.Column("pending", sa.Text()),
        sa.Column("pending_directory", sa.Text()),
        sa.Column("approved_by", sa.Text()),
        sa.Column("approved_ms", sa.BigInteger()),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_plugin"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_plugin_tenant_id"),
    )


def _hooks() -> None:
    op.create_table(
        "hook",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("plugin", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("declared", sa.Text()),
        sa.Column("changed", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("removed_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("tenant_id", "name", name="pk_hook"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_hook_tenant_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "plugin"], ["plugin.tenant_id", "plugin.id"], name="fk_hook_tenant_id_plugin"
        ),
    )
    op.create_index("ix_hook_tenant_id_plugin", "hook", ["tenant_id", "plugin"])


def _hook_log() -> None:
    op.create_table(
        "hook_log",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("hook", sa.Text(), nullable=False),
        sa.Column("plugin", sa.Text(), nullable=False),
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("took_us", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.BigInteger()),
        sa.Column("message_id", sa.BigInteger()),
        sa.Column("recipient", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_hook_log"),
    )
    op.create_index("ix_hook_log_hook_id", "hook_log", ["hook", "id"])
    op.create_index("ix_hook_log_at_ms", "hook_log", ["at_ms"])


def _told() -> None:
    op.create_table(
        "plugin_metric",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("plugin", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "plugin", "name", name="pk_plugin_metric"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_plugin_metric_tenant_id"),
    )
    op.create_table(
        "plugin_callback",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("plugin", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "delivery_id", name="pk_plugin_callback"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_plugin_callback_tenant_id"),
    )
    op.create_index("ix_plugin_callback_at_ms", "plugin_callback", ["at_ms"])
