"""The room kept for deleting."""

from __future__ import annotations

from pathlib import Path

import pytest

from mairust_core import disk
from mairust_core.errors import DiskFull


def test_rule_j3_room_is_kept_once_and_given_up_only_when_there_is_none(tmp_path: Path) -> None:
    """On a disk with room the file is made, stays as it is, and is not given up."""
    assert disk.keep_reserve(tmp_path, 10_000)
    assert (tmp_path / disk.RESERVE).stat().st_size == 10_000
    assert (tmp_path / disk.RESERVE).stat().st_blocks * 512 >= 10_000, "room, not only a size"
    assert disk.keep_reserve(tmp_path, 50_000)
    assert (tmp_path / disk.RESERVE).stat().st_size == 10_000
    assert not disk.give_up_reserve(tmp_path)
    assert (tmp_path / disk.RESERVE).exists()


def test_what_is_larger_than_what_is_free_is_given_up(tmp_path: Path) -> None:
    """That is what a full disk looks like: less free than is kept."""
    with open(tmp_path / disk.RESERVE, "wb") as file:
        file.truncate(1 << 43)  # a hole: of this size, without the room
    assert disk.give_up_reserve(tmp_path)
    assert not (tmp_path / disk.RESERVE).exists()
    assert not disk.give_up_reserve(tmp_path)


def test_a_full_disk_that_is_named_keeps_its_name(tmp_path: Path) -> None:
    """Mail may lie on another one than the site."""
    with pytest.raises(DiskFull, match="/mnt/mail") as refused, disk.needing_room("init", tmp_path):
        raise DiskFull("blobs", directory="/mnt/mail", why="full")
    assert refused.value.detail == "blobs"
    with pytest.raises(DiskFull, match=str(tmp_path)), disk.needing_room("init", tmp_path):
        raise DiskFull("database", url="sqlite:///x")
