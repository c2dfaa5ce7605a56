"""Plugin packages, and whom to trust with them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables, empty, and say of each plugin which packages it has."""
    _trust()
    _packages()
    for name in ("package", "pending_package", "previous_package"):
        op.add_column("plugin", sa.Column(name, sa.Text()))


def _trust() -> None:
    op.create_table(
        "trust_key",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("serial", sa.BigInteger()),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.Column("added_ms", sa.BigInteger(), nullable=False),
        sa.Column("removed_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_trust_key"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_trust_key_tenant_id"),
    )
    op.create_table(
        "trust_revocation",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("root", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("taken_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "root", "kind", "value", name="pk_trust_revocation"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_trust_revocation_tenant_id"),
    )


def _packages() -> None:
    op.create_table(
        "plugin_package",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("archive", sa.Text(), nullable=False),
        sa.Column("plugin", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("toml", sa.Text(), nullable=False),
        sa.Column("listing", sa.Text(), nullable=False),
        sa.Column("root", sa.Text()),
        sa.Column("signatures", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.Column("added_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "digest", name="pk_plugin_package"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_plugin_package_tenant_id"),
    )
    op.create_table(
        "plugin_package_part",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("archive", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "archive", "number", name="pk_plugin_package_part"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_plugin_package_part_tenant_id"),
    )
    op.create_index("ix_plugin_package_part_at_ms", "plugin_package_part", ["at_ms"])
