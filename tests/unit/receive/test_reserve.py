"""The room kept for deleting."""

from __future__ import annotations

from pathlib import Path

from mairust_core.receive import reserve


def test_rule_j3_room_is_kept_once_and_given_up_only_when_there_is_none(tmp_path: Path) -> None:
    """On a disk with room the file is made, stays as it is, and is not given up."""
    assert reserve.keep(tmp_path, 10_000)
    assert (tmp_path / reserve.NAME).stat().st_size == 10_000
    assert (tmp_path / reserve.NAME).stat().st_blocks * 512 >= 10_000, "room, not only a size"
    assert reserve.keep(tmp_path, 50_000)
    assert (tmp_path / reserve.NAME).stat().st_size == 10_000
    assert not reserve.give_up(tmp_path)
    assert (tmp_path / reserve.NAME).exists()


def test_what_is_larger_than_what_is_free_is_given_up(tmp_path: Path) -> None:
    """That is what a full disk looks like: less free than is kept."""
    with open(tmp_path / reserve.NAME, "wb") as file:
        file.truncate(1 << 43)  # a hole: of this size, without the room
    assert reserve.give_up(tmp_path)
    assert not (tmp_path / reserve.NAME).exists()
    assert not reserve.give_up(tmp_path)
