"""Of each root's list of revocations: when it was issued, and whether it may be older than the site knew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("trust_key", sa.Column("issued_ms", sa.BigInteger()))
    op.add_column("trust_key", sa.Column("list_digest", sa.Text()))
    for name in ("confirmed_ms", "restored_ms"):
        op.add_column("trust_key", sa.Column(name, sa.BigInteger()))
