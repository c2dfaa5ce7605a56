"""What is known of the site as a whole: its name, and which UIDVALIDITY was given."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the table and its row."""
    site = op.create_table(
        "site",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("uidvalidity", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_site"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_site_tenant_id"),
    )
    op.bulk_insert(site, [{"id": 1, "tenant_id": 1, "name": secrets.token_hex(16), "uidvalidity": 0}])
