"""Where files of tests may lie in memory."""

from __future__ import annotations

from tests.support import memory


def test_there_is_a_place_only_where_there_is_room() -> None:
    """An exbibyte is nowhere; a byte is wherever the machine has shared memory at all."""
    assert memory.place(1 << 60) is None
    assert memory.place(1) == (memory.MEMORY if memory.MEMORY.is_dir() else None)
