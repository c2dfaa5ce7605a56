"""Two indexes that 0017 dropped where it ran: backups read by account, calls of hooks expire by time."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Make those that are missing."""
    op.create_index("ix_message_account_id", "message", ["account_id"], if_not_exists=True)
    op.create_index("ix_hook_log_at_ms", "hook_log", ["at_ms"], if_not_exists=True)
