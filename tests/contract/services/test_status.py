"""One screen of what is going on, locally and over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event, text

from mairust_core import __version__
from mairust_core.errors import Invalid, NotFound
from mairust_core.model.account import Account, NewAccount
from mairust_core.model.backup import BackedUp, NewBackup, Verification
from mairust_core.model.job import NewJob
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.model.status import Counts
from mairust_core.operations import BytesIn
from mairust_core.running import Running, presence
from mairust_core.services.accounts import Accounts
from mairust_core.services.backups import Backups
from mairust_core.services.collection import Collection
from mairust_core.services.messages import Messages
from mairust_core.services.status import Status
from mairust_core.store.tables import SCHEMA_VERSION
from tests.contract.services.conftest import Served
from tests.contract.services.mails import mail, receive
from tests.contract.services.words import Ops
from tests.support.jobs import change, enqueue, kill

MAIL = b"Subject: x\r\n\r\n"


def test_what_comes_in_is_counted(ops: Ops, served: Served, domain: str, ann: Account) -> None:
    """Accepted and refused, messages and bytes, as soon as they are there."""
    before = ops(Status).show()
    receive(served.site, [ann.address], mail(f"<{uuid4().hex}@x.example>"))
    receive(served.site, [f"nobody@{domain}"], b"")
    after = ops(Status).show()
    assert before.mail is not None
    assert after.mail is not None
    assert after.mail.accepted_last_hour - before.mail.accepted_last_hour == 1
    assert after.mail.refused_last_day - before.mail.refused_last_day == 1
    assert after.counts.messages - before.counts.messages == 1
    assert after.counts.bytes > before.counts.bytes


def test_the_stores_are_told(ops: Ops, served: Served, ann: Account) -> None:
    """Kind, version and schema of the database; room on the disk."""
    receive(served.site, [ann.address], mail(f"<{uuid4().hex}@x.example>"))
    found = ops(Status).show()
    assert found.version == __version__
    assert found.database is not None
    assert found.blobs is not None
    assert (found.database.kind, found.database.schema) == (served.site.storage.name, SCHEMA_VERSION)
    assert found.database.size_bytes > 10_000
    assert found.database.version.partition(".")[0].isdigit()
    assert found.blobs.used_bytes > 0
    assert 0 < found.blobs.free_bytes <= found.blobs.total_bytes
    assert any(one.pid for one in found.processes)


def test_blobs_that_are_out_of_reach_are_told_as_such(ops: Ops, served: Served, ann: Account) -> None:
    """All else is told: it is then that somebody looks. The disk below an empty mount point is not theirs."""
    receive(served.site, [ann.address], mail(f"<{uuid4().hex}@x.example>"))
    blobs = served.site.settings.blobs.path
    away = blobs.rename(blobs.with_name("away"))
    try:
        assert ops(Status).show().blobs is None
        blobs.mkdir()
        found = ops(Status).show()
        blobs.rmdir()
    finally:
        away.rename(blobs)
    assert found.blobs is None
    assert found.database is not None
    assert found.counts.messages > 0
    assert ops(Status).show().blobs is not None


def test_the_running_server_is_told_while_it_runs(ops: Ops, served: Served) -> None:
    """By its own word, which ends with it."""
    data_dir = served.site.settings.data_dir
    (data_dir / "run").mkdir(exist_ok=True)
    assert ops(Status).show().server is None
    said = Running(pid=4711, version="9.9", started_ms=1000, workers=3, listeners={"smtp": "127.0.0.1:2525"})
    with presence(data_dir) as here:
        assert ops(Status).show().server is None, "not ready yet"
        here.say(said)
        server = ops(Status).show().server
        assert server is not None
        assert (server.pid, server.workers, server.smtp, server.http) == (4711, 3, "127.0.0.1:2525", "off")
    assert ops(Status).show().server is None


def test_what_waits_and_the_last_collection(ops: Ops, domain: str) -> None:
    """A removed account waits until collection has run, which is remembered."""
    ops(Accounts).add(NewAccount(address=f"gone@{domain}"))
    ops(Accounts).remove(f"gone@{domain}")
    queues = ops(Status).show().queues
    assert queues is not None
    assert queues.accounts_to_purge >= 1
    done = ops(Collection).run()
    found = ops(Status).show()
    assert found.queues is not None
    assert found.queues.accounts_to_purge == 0
    assert found.collection is not None
    assert found.collection.outcome["accounts"] == done.accounts >= 1


def test_the_trash_is_told(ops: Ops, served: Served, ann: Account) -> None:
    """How much is in it, and when the first of it is gone."""
    before = ops(Status).show().trash
    messages = served.here(Messages)
    for _ in range(2):
        messages.delete(str(messages.append(ann.address, BytesIn(chunks=[MAIL])).id))
    after = ops(Status).show().trash
    assert before is not None
    assert after is not None
    assert after.messages == before.messages + 2
    with served.site.storage.read() as tx:
        oldest = tx.execute(text("SELECT min(deleted_ms) FROM trash")).scalar_one()
    kept = timedelta(days=served.site.settings.database.trash_days)
    assert after.first_gone_at == datetime.fromtimestamp(oldest / 1000, UTC) + kept


def test_the_queue_of_jobs_is_told(ops: Ops, served: Served) -> None:
    """What is ready, due, dead and held; what is done is not."""
    before = ops(Status).show().jobs
    later_ms = 4_000_000_000_000
    made = [enqueue(served.site, NewJob(kind="status", run_at_ms=later_ms)) for _ in range(3)]
    kill(served.site, made[0])
    change(served.site.storage, made[1], state="held")
    due = enqueue(served.site, NewJob(kind="status", run_at_ms=1000))
    after = ops(Status).show().jobs
    assert before is not None
    assert after is not None
    assert after.ready - before.ready == 2
    assert (after.due - before.due, after.dead - before.dead, after.held - before.held) == (1, 1, 1)
    assert after.oldest_due_at == datetime.fromtimestamp(1, UTC)
    for one in (*made, due):
        change(served.site.storage, one, state="done", finished_ms=1)
    assert ops(Status).show().jobs == before


def test_the_last_backup_and_what_was_found_in_it_are_told(ops: Ops) -> None:
    """Of each repository what was found last; a run that broke off is not the last backup."""
    backups = ops(Backups)
    one, other = f"/one-{uuid4().hex}", f"/other-{uuid4().hex}"
    for repository, snapshot in ((one, f"{one}-1"), (other, f"{other}-1"), (one, f"{one}-2"), (one, "")):
        done = BackedUp(repository=repository, snapshot=snapshot, messages=7, objects_new=1, bytes_new=2)
        backups.finish(str(int(backups.begin(NewBackup()).id)), done)
    backups.verified(Verification(snapshots=(f"{other}-1", "of another site"), percent=0, damaged=1))
    backups.verified(Verification(snapshots=(f"{one}-1",), percent=100, damaged=9))
    found = backups.verified(Verification(snapshots=(f"{one}-1", f"{one}-2"), percent=100, damaged=0))
    assert found.snapshot == f"{one}-2"
    told = ops(Status).show().backups
    assert told is not None
    assert told.last == found
    verified = {run.repository: (run.verified_percent, run.verify_damaged) for run in told.verified}
    assert (verified[one], verified[other]) == ((100, 0), (0, 1))
    assert all(run.verified_at is not None for run in told.verified)
    backups.verified(Verification(snapshots=(f"{other}-1",), percent=0, damaged=0))


def test_damage_is_known_until_a_look_that_could_see_it_finds_none(ops: Ops) -> None:
    """A shallow look ends what a shallow one found, and not what reading packs found."""
    backups = ops(Backups)
    repository = f"/{uuid4().hex}"
    done = BackedUp(repository=repository, snapshot=repository, messages=0, objects_new=0, bytes_new=0)
    backups.finish(str(int(backups.begin(NewBackup()).id)), done)

    def look(percent: int, damaged: int) -> tuple[int, int]:
        found = backups.verified(Verification(snapshots=(repository,), percent=percent, damaged=damaged))
        return found.verified_percent, found.verify_damaged

    assert look(0, 3) == (0, 3)
    assert look(0, 0) == (0, 0)
    assert look(10, 2) == (10, 2)
    assert look(0, 0) == look(10, 0) == look(99, 0) == (10, 2)
    assert look(0, 5) == (10, 5), "a shallow look may find more, and knows nothing of the rest"
    assert look(50, 1) == (50, 5)
    assert look(100, 2) == (100, 2)
    assert look(0, 1) == (100, 2)
    assert look(100, 0) == (100, 0)


def test_a_copy_says_nothing_of_the_original(ops: Ops) -> None:
    """It has the same snapshots, and lies elsewhere; who says not where means any."""
    backups = ops(Backups)
    here = f"/{uuid4().hex}"
    done = BackedUp(repository=here, snapshot=here, messages=0, objects_new=0, bytes_new=0)
    backups.finish(str(int(backups.begin(NewBackup()).id)), done)

    def look(repository: str, damaged: int) -> int:
        found = Verification(snapshots=(here,), percent=100, damaged=damaged, repository=repository)
        return backups.verified(found).verify_damaged

    assert look(here, 2) == 2
    with pytest.raises(NotFound):
        look("/copy", 0)
    told = ops(Status).show().backups
    assert told is not None
    assert {run.repository: run.verify_damaged for run in told.verified}[here] == 2
    assert look("", 0) == 0
    with pytest.raises(Invalid):
        look("/" * 201, 0)


@pytest.mark.parametrize("reach", [ReachKind.DOMAIN, ReachKind.ACCOUNT])
def test_rule_g4_a_narrow_key_is_told_little(
    served: Served, domain: str, ann: Account, reach: ReachKind
) -> None:
    """Its own numbers, and nothing of the site."""
    served.here(Accounts).add(NewAccount(address=f"other@{domain}"))
    receive(served.site, [ann.address], mail(f"<{uuid4().hex}@x.example>"))
    subject = domain if reach is ReachKind.DOMAIN else ann.address
    found = served.there(Status, served.issue(Scope.READ, reach=reach, subject=subject)).show()
    used = served.here(Accounts).show(ann.address).used_bytes
    narrow = reach is ReachKind.ACCOUNT
    assert found.counts == Counts(
        domains=0 if narrow else 1, accounts=1 if narrow else 2, messages=1, bytes=used
    )
    told = (found.mail, found.queues, found.database, found.blobs, found.server, found.collection)
    assert (*told, found.jobs, found.hooks, found.trash) == (None,) * 9
    assert found.processes == ()


@pytest.fixture
def statements(served: Served) -> Iterator[list[str]]:
    """The statements that this process sends."""
    seen: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(served.site.storage.engine, "after_cursor_execute", note)
    yield seen
    event.remove(served.site.storage.engine, "after_cursor_execute", note)


def test_a_screen_costs_few_statements(served: Served, statements: list[str]) -> None:
    """However much there is; and the mails of a day are counted off an index alone."""
    served.here(Status).show()
    assert len(statements) <= 19
    counting = next(one for one in statements if "FROM trace" in one)
    if served.site.storage.name == "sqlite":
        with served.site.storage.read() as tx:
            plan = tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {counting}", (0, 1)).all()
        assert any("COVERING INDEX ix_trace_at_ms" in str(row) for row in plan)
