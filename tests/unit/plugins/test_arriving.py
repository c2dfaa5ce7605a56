"""A disk that fills while a package comes is told as that."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from mairust_core.errors import DiskFull
from mairust_core.operations import BytesIn
from mairust_core.plugins.arriving import Reader
from mairust_core.plugins.manifest import on_paper
from mairust_core.plugins.package import ArchiveLimits
from mairust_core.store import StorageBackend
from tests.support.disk import room_for
from tests.support.linking import TESTER, manifest_text, new_id
from tests.support.packaging import body, made

NOBODY_ASKS = cast(StorageBackend, None)


def arrive(reader: Reader, content: BytesIn) -> None:
    """Have a package come in."""
    with reader.arrived(TESTER, content):
        pass


@pytest.mark.parametrize("room", [0, 100])
def test_a_disk_that_fills_is_told_where_it_does(tmp_path: Path, room: int) -> None:
    """Whatever of a package went to disk before: less than a buffer is written, or nothing at all."""
    reader = Reader(NOBODY_ASKS, tmp_path, on_paper())
    data = made(manifest_text(new_id()))
    with room_for(room), pytest.raises(DiskFull):
        arrive(reader, body(data))


def test_rule_j3_what_mail_needs_is_not_given_to_packages(tmp_path: Path) -> None:
    """Nothing is read where the largest package would leave too little; nor where no file can be made."""
    for directory, limit in ((tmp_path, 1 << 62), (tmp_path / "gone", 1 << 20)):
        reader = Reader(NOBODY_ASKS, directory, on_paper(), ArchiveLimits(archive_bytes=limit))
        content = BytesIn(chunks=iter([b"x"]), size_bytes=1)
        with pytest.raises(DiskFull):
            arrive(reader, content)
        assert list(content.chunks) == [b"x"]
