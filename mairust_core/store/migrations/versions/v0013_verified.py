"""What `backup verify` found is kept beside the backup it was found in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0011"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("backup", sa.Column("verified_ms", sa.BigInteger()))
    for name in ("verified_percent", "verify_damaged"):
        op.add_column("backup", sa.Column(name, sa.BigInteger(), nullable=False, server_default=sa.text("0")))
