"""Messages are found by their places; an index on their accounts cost every mail a page of the log."""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Drop the index."""
    op.drop_index("ix_message_account_id", "message")
