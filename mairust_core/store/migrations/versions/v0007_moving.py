"""The ledger of imports, and subscriptions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create both tables, empty."""
    op.create_table(
        "import_ledger",
        sa.Column("account_id", BIG, autoincrement=False, nullable=False),
        sa.Column("mailbox", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("copies", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "mailbox", "sha256", name="pk_import_ledger"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "subscription",
        sa.Column("account_id", BIG, autoincrement=False, nullable=False),
        sa.Column("mailbox", sa.Text(), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "mailbox", name="pk_subscription"),
        sqlite_with_rowid=False,
    )
