"""Collection beside ingest and readers, and killed at every step, on both databases (C2, D1, D2)."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from mairust_core import store
from mairust_core.app import open_site
from mairust_core.blobs.fs import FsBlobStore
from mairust_core.config import Settings
from mairust_core.errors import MaiRustError
from mairust_core.first_run import create_site
from mairust_core.model.blob import MEMORY_LIMIT_BYTES, Locator
from mairust_core.model.ids import Id
from mairust_core.observe.faults import STEPS
from mairust_core.receive.collection import Ages, Collection
from mairust_core.receive.committer import Committer
from tests.integration.store.conftest import Start
from tests.support.invariants import check_site
from tests.support.stores import ADMIN, Kit, around, message, open_kit, settings_for

OUR_STEPS = [step.name for step in STEPS if step.name.startswith(("gc.", "compact."))]
AT_ONCE = Ages(condemned_s=-1, leftover_s=-1, sealed_s=-1)


def test_trap_d2_collection_beside_ingest_of_the_same_bytes_leaves_no_dangling_reference(
    kit: Kit, start: Start
) -> None:
    """Accounts with the same few mails come and go while two processes collect: each reads all it has."""
    kit.domain()
    bob = kit.account("bob@example.org")
    churners = [start("churn", 20) for _ in range(2)]
    collectors = [start("collect", 40) for _ in range(2)]
    for worker in (*churners, *collectors):
        worker.go()
    for _ in range(40):
        kit.store(kit.mail(bob))
    assert [worker.done()["errors"] for worker in churners] == [[], []]
    assert sum(worker.done()["blobs"] for worker in collectors) > 0
    Collection(kit.storage, kit.blobs, AT_ONCE, rest=lambda _: None).run()
    assert kit.problems() == []
    assert kit.rows("SELECT count(*) FROM message") == [(40,)]


@pytest.mark.parametrize("step", OUR_STEPS)
def test_rule_c2_killed_at_any_step_of_collection_every_message_is_intact(
    site_settings: Settings, start: Start, step: str
) -> None:
    """SIGKILL, then collection again: all mail is there, and in the end no byte that nobody needs."""
    with open_kit(site_settings, roll_bytes=1) as kit:
        _fill(kit)
    worker = start("collect", 4, step)
    worker.go()
    worker.process.communicate(timeout=60)
    assert worker.process.returncode == -signal.SIGKILL
    assert check_site(site_settings) == []
    _collect_all(site_settings)
    assert check_site(site_settings) == []
    with open_kit(site_settings) as kit:
        assert kit.rows("SELECT count(*) FROM message") == [(6,)]
        assert kit.rows("SELECT count(*) FROM blob") == [(6,)]
        _assert_no_orphans(kit, site_settings.blobs.path)


def _fill(kit: Kit) -> None:
    """A removed account whose mail shares segments with that of a living one."""
    kit.domain()
    ann, bob = kit.account("ann@example.org"), kit.account("bob@example.org")
    large = message(body="z" * MEMORY_LIMIT_BYTES)
    for _ in range(3):
        kit.store(
            *(kit.mail(ann) for _ in range(9)), kit.mail(bob), kit.mail(ann, data=message(body="y" * 2**20))
        )
    kit.store(kit.mail(bob, data=large), kit.mail(bob), kit.mail(bob))
    with kit.storage.write() as tx:
        store.accounts.remove(tx, ADMIN, "ann@example.org")
    kit.blobs.put_many([kit.mail(bob).content])


def _collect_all(settings: Settings) -> None:
    with open_kit(settings, roll_bytes=1) as kit:
        assert isinstance(kit.blobs, FsBlobStore)
        for _ in range(3):
            kit.blobs.seal_abandoned()
            Collection(kit.storage, kit.blobs, AT_ONCE, rest=lambda _: None).run()


def _assert_no_orphans(kit: Kit, directory: Path) -> None:
    named = {str(row[0]) for row in kit.rows("SELECT location FROM blob")}
    files = {f"f:{path.parent.name}:{path.name}" for path in directory.glob("files/*/*")}
    assert files <= named
    assert list(directory.glob("tmp/*")) == []
    for segment in directory.glob("segments/*.sealed"):
        assert any(segment.stem in location for location in named), f"{segment} is of no use"


def test_rule_c2_a_reader_never_misses_mail_that_compaction_moves(site_settings: Settings) -> None:
    """It read the row before the move and the bytes after the old segment was deleted."""
    create_site(site_settings, "tester")
    with open_kit(site_settings, roll_bytes=1) as kit:
        kit.domain()
        ann, bob = kit.account("ann@example.org"), kit.account("bob@example.org")
        kept: list[Id] = []
        for _ in range(5):
            kept += kit.store(*(kit.mail(ann) for _ in range(9)), kit.mail(bob))[-1:]
        kit.store(kit.mail(bob))
        with kit.storage.write() as tx:
            store.accounts.remove(tx, ADMIN, "ann@example.org")
        with closing(open_site(site_settings)) as site:
            with site.storage.read() as tx:
                early = [store.messages.get(tx, ADMIN, one)[1] for one in kept]
            failures: list[MaiRustError] = []
            stop = threading.Event()
            reader = threading.Thread(target=_read_until, args=(site, kept, stop, failures))
            reader.start()
            runs = [Collection(kit.storage, kit.blobs, AT_ONCE).run() for _ in range(3)]
            stop.set()
            reader.join()
            assert sum(run.segments for run in runs) >= 5
            assert failures == []
            for source in early:
                assert len(site.read_blob(source)) == source.size_bytes
            site.ids.next()


def test_rule_c2_what_a_transaction_under_way_is_about_to_name_is_not_swept(tmp_path: Path) -> None:
    """On SQLite a process may sleep just before its COMMIT, until its bytes look old: it is waited for."""
    with open_kit(settings_for(tmp_path / "site")) as kit, ThreadPoolExecutor(1) as beside:
        kit.domain()
        mail = kit.mail(kit.account("ann@example.org"), data=message(body="z" * MEMORY_LIMIT_BYTES))
        asleep, awake = threading.Event(), threading.Event()

        def sleep() -> None:
            asleep.set()
            awake.wait(60)

        def wake() -> None:
            if asleep.is_set():
                awake.set()

        class Swept(FsBlobStore):
            def locators_of_files(self, older_than_s: float) -> Iterator[Locator]:
                """Those that are there once the mail is about to be committed."""
                beside.submit(committer.commit_many, [mail])
                assert asleep.wait(60)
                yield from super().locators_of_files(older_than_s)

        committer = Committer(around(kit.storage, at_end=sleep), kit.blobs, lambda: kit.ids)
        with closing(Swept(kit.settings.blobs.path)) as blobs:
            Collection(around(kit.storage, before=wake), blobs, AT_ONCE, rest=lambda _: None).run()
        beside.shutdown()
        assert kit.rows("SELECT id FROM message") == [(mail.copies[0].id,)]
        assert kit.problems() == []


def _read_until(site: object, kept: list[Id], stop: threading.Event, failures: list[MaiRustError]) -> None:
    from mairust_core.app import Site

    assert isinstance(site, Site)
    while not stop.is_set():
        for one in kept:
            try:
                with site.storage.read() as tx:
                    source = store.messages.get(tx, ADMIN, one)[1]
                site.read_blob(source)
            except MaiRustError as error:
                failures.append(error)
