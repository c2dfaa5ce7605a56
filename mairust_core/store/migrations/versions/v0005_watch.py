"""Traces by Message-ID, counts of traces off an index, and what is done every so often."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Index traces by Message-ID and by time with their outcome; add the table of upkeep."""
    op.drop_index("ix_trace_at_ms", "trace")
    op.create_index("ix_trace_at_ms", "trace", ["at_ms", "accepted", "tenant_id"])
    given = sa.text("message_id != ''")
    op.create_index(
        "ix_trace_message_id", "trace", ["message_id"], sqlite_where=given, postgresql_where=given
    )
    op.create_table(
        "upkeep",
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("took_ms", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("task", name="pk_upkeep"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_upkeep_tenant_id"),
    )
