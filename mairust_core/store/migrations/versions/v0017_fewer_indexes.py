"""Nothing: this version dropped two indexes, and the next one has them again."""

from __future__ import annotations

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Leave them where they are."""
