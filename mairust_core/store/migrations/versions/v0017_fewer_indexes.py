"""Two indexes less, which cost every mail and every call of a hook a write.

Messages are found by their places, old calls of hooks by their ids.
"""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Drop them."""
    op.drop_index("ix_message_account_id", "message")
    op.drop_index("ix_hook_log_at_ms", "hook_log")
