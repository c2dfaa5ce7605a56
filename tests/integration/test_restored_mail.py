"""Mail comes out of a repository pack by pack, on all processors."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from mairust_core.blobs.memory import MemoryBlobStore
from mairust_core.model.blob import Content, Locator
from mairust_core.restore.mail import store_mail
from mairust_core.restore.wanted import Wanted
from mairust_core.transfer.repository import Repository
from tests.support.repositories import FakeSite, run


def test_trap_m4_a_restore_holds_no_more_of_three_times_as_much(tmp_path: Path) -> None:
    """Some packs and what is found in them, and nothing of those that are stored."""
    peaks = []
    for packs in (12, 36):
        mails = [b"Subject: %d\r\n\r\n" % number + b"%d " % number * 500 for number in range(packs * 100)]
        run(tmp_path / f"{packs}", FakeSite(mail={"ann@x": mails}, per_pack=100))
        repository = Repository.open(tmp_path / f"{packs}")
        wanted = Wanted(repository.index)
        for mail in mails:
            wanted.add(sha256(mail).digest(), 1)
        del mails
        tracemalloc.start()
        stored = sum(len(batch.contents) for batch in store_mail(repository, _Forgetful(), wanted, {}))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert stored == packs * 100
    assert peaks[1] < peaks[0] * 1.4


class _Forgetful(MemoryBlobStore):
    """Keeps nothing, so that only what the restore holds is counted."""

    def put_many(self, contents: Sequence[Content]) -> list[Locator]:
        locations = super().put_many(contents)
        self.delete_many(locations)
        return locations
