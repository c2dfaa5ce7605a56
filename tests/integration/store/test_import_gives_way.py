"""Interactive mail goes before an import, also between processes that share SQLite's lock (rule D2)."""

from __future__ import annotations

import threading
from contextlib import closing

from mairust_core.config import Settings
from mairust_core.model.delivery import Stored
from mairust_core.receive.committer import Committer
from mairust_core.receive.importing import GAP_S
from mairust_core.store import open_storage
from tests.support.stores import Kit

BATCHES = 40
MAILS = 12
FEW = 4
"""Batches of an import between a mail's submission and its commit: one in flight, and chance."""


def test_rule_d2_a_mail_waits_for_few_batches_of_an_import(kit: Kit, site_settings: Settings) -> None:
    """Whatever the machine's speed: counted in batches, not in seconds, and nearly always one or two."""
    kit.domain()
    ann, bob = kit.account("ann@example.org"), kit.account("bob@example.org")
    done = [0]
    ended = threading.Event()
    waited: list[int] = []

    def import_all() -> None:
        # a connection of its own, and a lock of its own, as another process has
        with closing(open_storage(site_settings.database.url)) as storage:
            committer = Committer(storage, kit.blobs, lambda: kit.ids, gap_s=GAP_S)
            for _ in range(BATCHES):
                committer.commit_many([kit.mail(ann) for _ in range(50)])
                done[0] += 1
        ended.set()

    importing = threading.Thread(target=import_all)
    importing.start()
    while not ended.is_set() and len(waited) < MAILS:
        before = done[0]
        (outcome,) = kit.commit(kit.mail(bob))
        assert isinstance(outcome, Stored)
        waited.append(done[0] - before)
    importing.join()
    assert waited
    assert sorted(waited)[len(waited) // 2] <= FEW
    assert kit.rows("SELECT messages FROM account WHERE id = ?", ann) == [(BATCHES * 50,)]
