"""The audit keeps what was asked, not only on what; entries of before say nothing of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the column, null in the rows that are there."""
    op.add_column("audit", sa.Column("details", sa.Text()))
