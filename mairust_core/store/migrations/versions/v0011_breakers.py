"""The breakers of hooks, and the mails that made one fail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create both tables, empty."""
    op.create_table(
        "hook_breaker",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("hook", sa.Text(), nullable=False),
        sa.Column("failures", sa.Text(), nullable=False),
        sa.Column("open_until_ms", sa.BigInteger(), nullable=True),
        sa.Column("probing_until_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "hook", name="pk_hook_breaker"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_hook_breaker_tenant_id"),
    )
    op.create_table(
        "hook_poison",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("hook", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "hook", "sha256", name="pk_hook_poison"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_hook_poison_tenant_id"),
    )
