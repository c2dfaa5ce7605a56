"""Secrets under envelope encryption, failed log-ins, answers to repeated requests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the four tables."""
    _master_key()
    _secret()
    _auth_failure()
    _idempotency()


def _tenant(table: str) -> tuple[sa.Column[int], sa.ForeignKeyConstraint]:
    column: sa.Column[int] = sa.Column("tenant_id", BIG, nullable=False)
    return column, sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=f"fk_{table}_tenant_id")


def _master_key() -> None:
    op.create_table(
        "master_key",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_master_key"),
    )


def _secret() -> None:
    tenant, tenant_key = _tenant("secret")
    op.create_table(
        "secret",
        tenant,
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger()),
        tenant_key,
        sa.PrimaryKeyConstraint("tenant_id", "name", name="pk_secret"),
    )
    op.create_index("ix_secret_key_id", "secret", ["key_id"])
    op.create_index("ix_secret_expires_ms", "secret", ["expires_ms"])


def _auth_failure() -> None:
    tenant, tenant_key = _tenant("auth_failure")
    op.create_table(
        "auth_failure",
        tenant,
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        tenant_key,
        sa.PrimaryKeyConstraint("tenant_id", "subject", name="pk_auth_failure"),
    )
    op.create_index("ix_auth_failure_until_ms", "auth_failure", ["until_ms"])


def _idempotency() -> None:
    tenant, tenant_key = _tenant("idempotency")
    op.create_table(
        "idempotency",
        tenant,
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.Text()),
        sa.Column("answer", sa.LargeBinary()),
        sa.Column("sealed", sa.Boolean(), nullable=False),
        tenant_key,
        sa.PrimaryKeyConstraint("tenant_id", "principal", "key_hash", name="pk_idempotency"),
    )
    op.create_index("ix_idempotency_at_ms", "idempotency", ["at_ms"])
