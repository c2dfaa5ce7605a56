"""What commits the deliveries of an event loop keeps the same promises as a thread and as a process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from mairust_core.blobs.memory import MemoryBlobStore
from mairust_core.errors import NotFound, OutcomeUnknown, QuotaExceeded, StorageDown, TooMany
from mairust_core.mime import Outline
from mairust_core.model.blob import MEMORY_LIMIT_BYTES, Content, Locator
from mairust_core.model.delivery import CallRows, Delivery, Later, Stored
from mairust_core.model.job import NewJob
from mairust_core.model.mailbox import QUARANTINE
from mairust_core.receive.committer import Commits, Committer, Outcome
from mairust_core.receive.distant_committer import DistantCommitter
from mairust_core.store.facts import kept_facts
from tests.support import forks
from tests.support.stores import Kit, message

CHILD = """
import sys
from contextlib import closing
from functools import cache
from pathlib import Path
from mairust_core.blobs.fs import FsBlobStore
from mairust_core.receive.committer import Committer
from mairust_core.receive.committer_process import answer
from mairust_core.store import open_storage, process_numbers
with closing(open_storage(sys.argv[1])) as storage, closing(FsBlobStore(Path(sys.argv[2]))) as blobs:
    ids = cache(lambda: process_numbers.lease(storage))
    answer(Committer(storage, blobs, ids), 0, 1, lambda: 60.0)
"""
END_S = 30.0
MANY = 300
"""More than one write takes, and more than a pipe holds."""


@dataclass
class Process:
    """A committing process, and what is to be closed when a loop is done with it."""

    kit: Kit
    popen: subprocess.Popen[bytes] = field(init=False)
    lost: int = 0

    def __post_init__(self) -> None:
        blobs = self.kit.settings.blobs.path
        self.popen = forks.Popen[bytes](
            [sys.executable, "-c", CHILD, self.kit.settings.database.url, str(blobs)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def committer(self, **limits: int) -> DistantCommitter:
        """Its committer; closing that lets the process end."""
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        made = DistantCommitter(
            os.dup(self.popen.stdin.fileno()),
            os.dup(self.popen.stdout.fileno()),
            self.kit.committer,
            self._lost,
            **limits,
        )
        self.popen.stdin.close()
        self.popen.stdout.close()
        return made

    def _lost(self) -> None:
        self.lost += 1


@pytest.fixture
def process(kit: Kit) -> Iterator[Process]:
    """A committing process on the site of `kit`, killed if it still runs."""
    kit.domain()
    made = Process(kit)
    yield made
    with contextlib.suppress(ProcessLookupError):
        made.popen.kill()
    made.popen.wait(END_S)


@pytest.fixture(params=["thread", "process"])
def commits(request: pytest.FixtureRequest, kit: Kit) -> Iterator[Commits]:
    """Each of the two, on each database."""
    if request.param == "thread":
        kit.domain()
        yield kit.committer
        return
    with contextlib.closing(request.getfixturevalue("process").committer()) as distant:
        yield distant


def commit(commits: Commits, *deliveries: Delivery) -> list[Outcome]:
    """All at once, as sessions of one event loop."""

    async def run() -> list[Outcome]:
        return list(await asyncio.gather(*map(commits.commit, deliveries)))

    return asyncio.run(run())


def test_mail_of_many_sessions_is_stored_once_each(kit: Kit, commits: Commits) -> None:
    """Far more than one batch: every outcome is its own, the bytes come back, nothing is broken."""
    ann, bob = kit.account("ann@example.org"), kit.account("bob@example.org")
    mails = [kit.mail(ann, bob, data=message(body="x" * 9000), trace=True) for _ in range(MANY)]
    assert commit(commits, *mails) == [Stored(ids=tuple(c.id for c in one.copies)) for one in mails]
    assert kit.rows("SELECT count(*), count(DISTINCT sha256) FROM message") == [(2 * MANY, MANY)]
    assert kit.problems() == []


def test_a_preview_that_was_left_is_read(kit: Kit, commits: Commits) -> None:
    """Facts that came without are stored with it."""
    mail = kit.mail(kit.account("ann@example.org"), data=message(body="Good morning"))
    outline = Outline(mail.content.view())
    kept = kept_facts(outline.facts())
    assert kept.snippet == ""
    assert isinstance(commit(commits, mail._replace(kept=kept, unread=outline.text))[0], Stored)
    assert kit.rows("SELECT snippet FROM content") == [("Good morning\n",)]


def test_facts_that_were_left_are_found(kit: Kit, commits: Commits) -> None:
    """A mail that comes without any is stored with all of them."""
    mail = kit.mail(kit.account("ann@example.org"), data=message(body="Good morning"))
    assert mail.kept is not None
    assert isinstance(commit(commits, mail._replace(kept=None, facts_left=True))[0], Stored)
    found = kit.rows("SELECT snippet, described, message_id, envelope FROM content")
    assert found == [("Good morning\n", True, mail.kept.message_id, mail.kept.envelope)]


def test_rule_c4_only_the_guilty_hear_of_it(kit: Kit, commits: Commits) -> None:
    """An account that is full and one that is gone, told by their numbers; the rest of the batch goes in."""
    ann = kit.account("ann@example.org")
    full, gone = kit.account("bob@example.org", quota_bytes=1), ann + 1
    good, over, lost = commit(commits, kit.mail(ann), kit.mail(full), kit.mail(gone))
    assert isinstance(good, Stored)
    assert isinstance(over, QuotaExceeded)
    assert over.values["account_id"] == full
    assert isinstance(lost, NotFound)
    assert lost.values["account_id"] == gone
    assert kit.problems() == []


def test_what_is_missing_is_made_and_what_collides_gets_another_id(kit: Kit, commits: Commits) -> None:
    """A mailbox nobody made, and an id that somebody has (rule A4)."""
    ann = kit.account("ann@example.org")
    first, other = kit.mail(ann, mailbox="Invoices"), kit.mail(ann, trace=True)
    taken = first.copies[0].id
    second = other._replace(copies=(other.copies[0]._replace(id=taken),))

    async def run() -> tuple[Outcome, Outcome]:
        return await commits.commit(first), await commits.commit(second)

    outcomes = asyncio.run(run())
    assert outcomes[0] == Stored(ids=(taken,))
    assert isinstance(outcomes[1], Stored)
    assert outcomes[1].ids != (taken,)
    assert kit.problems() == []


def test_b5_what_was_asked_is_written_with_the_mail(kit: Kit, commits: Commits) -> None:
    """A line for each question, an access for each account that was shown; its message, where it got one."""
    ann, bob = kit.account("ann@example.org"), kit.account("bob@example.org")
    mail = kit.mail(ann, trace=True)
    asked = rows(kit, mail, bob)
    mail = mail._replace(calls=asked)
    assert isinstance(commit(commits, mail, kit.mail(bob))[0], Stored)
    assert kit.rows("SELECT id, hook, message_id FROM hook_log") == [(asked.log[0][0], "h", None)]
    found = kit.rows("SELECT account_id, message_id FROM plugin_access ORDER BY id")
    assert found == [(ann, mail.copies[0].id), (bob, None)]


def test_rule_c4_a_row_of_the_log_that_nobody_takes_costs_no_mail(kit: Kit, commits: Commits) -> None:
    """The mail is stored, described, and told that the rows are not; so is its neighbour."""
    ann = kit.account("ann@example.org")
    good, odd, other = (kit.mail(ann, trace=True) for _ in range(3))
    asked = rows(kit, good)
    row = rows(kit, odd).log[0]
    broken = CallRows(log=[(*row[:3], None, *row[4:])], accesses=rows(kit, odd).accesses)
    batch = [good._replace(calls=asked), odd._replace(calls=broken), other]
    stored = [one for one in commit(commits, *batch) if isinstance(one, Stored)]
    assert [one.without_calls for one in stored] == [False, True, False]
    assert kit.rows("SELECT id FROM hook_log") == [(asked.log[0][0],)]
    assert kit.rows("SELECT message_id FROM plugin_access") == [(good.copies[0].id,)]
    assert kit.rows("SELECT count(*) FROM content WHERE described") == [(3,)]


def test_b5_facts_that_nobody_takes_do_not_cost_what_plugins_saw(kit: Kit, commits: Commits) -> None:
    """Only what is at fault is left out; and both, where both are."""
    ann = kit.account("ann@example.org")
    one, both = kit.mail(ann, trace=True), kit.mail(ann, trace=True)
    assert one.kept is not None
    odd = one.kept._replace(crlf_size_bytes=1 << 80)
    row = rows(kit, both).log[0]
    broken = CallRows(log=[(*row[:3], None, *row[4:])])
    batch = [one._replace(kept=odd, calls=rows(kit, one)), both._replace(kept=odd, calls=broken)]
    stored = [one for one in commit(commits, *batch) if isinstance(one, Stored)]
    assert [one.without_calls for one in stored] == [False, True]
    assert kit.rows("SELECT message_id FROM plugin_access") == [(one.copies[0].id,)]
    assert kit.rows("SELECT count(*) FROM content WHERE NOT described") == [(2,)]


@pytest.mark.parametrize("taken", ["log", "accesses"])
def test_rule_a4_a_row_whose_id_is_taken_gets_another(kit: Kit, commits: Commits, taken: str) -> None:
    """With it the mail and its trace; every row leads to what it is about."""
    ann = kit.account("ann@example.org")
    first, again = kit.mail(ann, trace=True), kit.mail(ann, trace=True)
    before, after = rows(kit, first), rows(kit, again)
    after = after._replace(**{taken: getattr(before, taken)})
    assert isinstance(commit(commits, first._replace(calls=before))[0], Stored)
    [stored] = commit(commits, again._replace(calls=after))
    assert isinstance(stored, Stored)
    assert not stored.without_calls
    traces = kit.rows("SELECT trace_id FROM message ORDER BY id")
    assert kit.rows("SELECT trace_id FROM hook_log ORDER BY id") == traces
    assert kit.rows("SELECT trace_id, message_id FROM plugin_access ORDER BY id") == kit.rows(
        "SELECT trace_id, id FROM message ORDER BY id"
    )


def rows(kit: Kit, mail: Delivery, *others: int) -> CallRows:
    """What one hook was asked about the copies of a mail, and of accounts that get none."""
    assert mail.trace is not None
    ids, trace_id = kit.ids, int(mail.trace.id)
    call = (
        int(ids.next()), 1, 5, "h", "com.example.h", "d", "enforce", "answered", "deliver", 7, "", trace_id,
        None, "ann@example.org",
    )  # fmt: skip
    accounts = [*(copy.account_id for copy in mail.copies), *others]
    seen = [
        (int(ids.next()), 1, 5, "com.example.h", "1.0.0", "h", "mail", "headers", one, trace_id, None)
        for one in accounts
    ]
    return CallRows(log=[call], accesses=seen)


def test_rule_e2_jobs_are_made_with_the_copy(kit: Kit, commits: Commits) -> None:
    """What a hook is to be asked later is in the same transaction."""
    mail = kit.mail(kit.account("ann@example.org"), mailbox=QUARANTINE)
    job = NewJob(kind="hook", payload={"hook": "h"})
    later = Later(id=kit.ids.next(), copy=mail.copies[0].id, job=job, delay_ms=5)
    assert isinstance(commit(commits, mail._replace(later=(later,)))[0], Stored)
    assert kit.rows("SELECT id, kind, state FROM job") == [(later.id, "hook", "ready")]


def test_large_mail_and_equal_mail_go_the_same_way(kit: Kit, commits: Commits) -> None:
    """Over 1 MiB in a file of its own; the pipe's repetition is stored once (rule C4)."""
    ann = kit.account("ann@example.org")
    large = kit.mail(ann, data=message(body="x" * MEMORY_LIMIT_BYTES))
    once = kit.mail(ann, once=True)
    twice = once._replace(copies=(kit.copy(ann, once.content.size_bytes),))
    outcomes = commit(commits, large, once, twice)
    assert all(isinstance(one, Stored) for one in outcomes)
    assert outcomes[1] == outcomes[2]
    assert kit.rows("SELECT count(*) FROM message") == [(2,)]
    assert kit.problems() == []


def test_what_is_expected_may_come_or_not(kit: Kit, commits: Commits) -> None:
    """Said before the first mail, between two, twice, and for nothing: mail is stored all the same."""
    ann = kit.account("ann@example.org")
    mails = [kit.mail(ann) for _ in range(3)]

    async def run() -> list[Outcome]:
        found = []
        for one in mails:
            commits.expect()
            await asyncio.sleep(0.01)
            commits.expect()
            found.append(await commits.commit(one))
        commits.expect()
        return found

    assert asyncio.run(run()) == [Stored(ids=(one.copies[0].id,)) for one in mails]
    assert kit.problems() == []


def test_a_mail_without_a_single_byte_is_a_mail(kit: Kit, commits: Commits) -> None:
    """Between others; what follows is not held up by it."""
    ann = kit.account("ann@example.org")
    mails = [kit.mail(ann, data=data) for data in (b"", message(), b"")]
    assert all(isinstance(one, Stored) for one in commit(commits, *mails))
    assert kit.rows("SELECT count(*) FROM message") == [(3,)]
    assert kit.problems() == []


def test_a_sender_who_goes_away_does_not_take_another_ones_answer(kit: Kit, commits: Commits) -> None:
    """A wait that is cancelled leaves the outcomes of all others with those they belong to."""
    ann = kit.account("ann@example.org")
    mails = [kit.mail(ann) for _ in range(9)]

    async def run() -> list[Outcome | BaseException]:
        waiting = [asyncio.ensure_future(commits.commit(one)) for one in mails]
        await asyncio.sleep(0)
        waiting[4].cancel()
        return list(await asyncio.gather(*waiting, return_exceptions=True))

    found = asyncio.run(run())
    assert isinstance(found.pop(4), asyncio.CancelledError)
    del mails[4]
    assert found == [Stored(ids=(one.copies[0].id,)) for one in mails]


def test_a_process_that_dies_answers_nobody_wrongly(kit: Kit, process: Process) -> None:
    """Who waits hears that the outcome is not known, the owner is told once, and nothing more is taken."""
    ann = kit.account("ann@example.org")
    distant = process.committer()

    async def run() -> list[Outcome]:
        assert isinstance(await distant.commit(kit.mail(ann)), Stored)
        process.popen.send_signal(signal.SIGSTOP)
        waiting = [asyncio.ensure_future(distant.commit(kit.mail(ann))) for _ in range(MANY)]
        await asyncio.sleep(0.05)
        process.popen.kill()
        return [*await asyncio.gather(*waiting), await distant.commit(kit.mail(ann))]

    *unknown, refused = asyncio.run(run())
    assert {type(one) for one in unknown} == {OutcomeUnknown}
    assert isinstance(refused, TooMany)
    assert process.lost == 1


def test_closing_lets_the_process_finish_what_it_got(kit: Kit, process: Process) -> None:
    """It ends by itself, with exit code 0, after the last mail is stored."""
    mail = kit.mail(kit.account("ann@example.org"))
    distant = process.committer()

    async def run() -> None:
        waiting = asyncio.ensure_future(distant.commit(mail))
        await asyncio.sleep(0)
        distant.close()
        distant.close()
        assert isinstance(await waiting, OutcomeUnknown)

    asyncio.run(run())
    assert process.popen.wait(END_S) == 0
    assert kit.rows("SELECT id FROM message") == [(mail.copies[0].id,)]
    assert process.lost == 0


def test_a_full_queue_takes_no_more(kit: Kit, process: Process) -> None:
    """Beyond so many waiting mails it is 4xx; what waits is stored when the process goes on."""
    ann = kit.account("ann@example.org")
    distant = process.committer(max_waiting=3)

    async def run() -> list[Outcome]:
        process.popen.send_signal(signal.SIGSTOP)
        waiting = [asyncio.ensure_future(distant.commit(kit.mail(ann))) for _ in range(3)]
        await asyncio.sleep(0)
        refused = await distant.commit(kit.mail(ann))
        process.popen.send_signal(signal.SIGCONT)
        return [refused, *await asyncio.gather(*waiting)]

    refused, *rest = asyncio.run(run())
    assert isinstance(refused, TooMany)
    assert {type(one) for one in rest} == {Stored}
    distant.close()


class Stuck(MemoryBlobStore):
    """A disk that hangs until it is let go, and then fails."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.gate = threading.Event(), threading.Event()

    def put_many(self, contents: Sequence[Content]) -> list[Locator]:
        """Nothing is kept."""
        self.reached.set()
        assert self.gate.wait(END_S)
        raise StorageDown("blobs", directory="memory", why="it hung")


def test_a_full_queue_of_a_thread_takes_no_more(kit: Kit) -> None:
    """4096 mails wait beside those that are being written; one more is 4xx at once."""
    kit.domain()
    blobs, mail = Stuck(), kit.mail(kit.account("ann@example.org"))
    committer = Committer(kit.storage, blobs, lambda: kit.ids)

    async def run() -> list[Outcome]:
        written = asyncio.ensure_future(committer.commit(mail))
        assert await asyncio.to_thread(blobs.reached.wait, END_S)
        waiting = [asyncio.ensure_future(committer.commit(mail)) for _ in range(4096)]
        await asyncio.sleep(0)
        further = asyncio.ensure_future(committer.commit(mail))
        await asyncio.sleep(0)
        blobs.gate.set()
        return [await further, await written, *await asyncio.gather(*waiting)]

    with contextlib.closing(committer):
        refused, *rest = asyncio.run(run())
    assert isinstance(refused, TooMany)
    assert {type(one) for one in rest} == {StorageDown}
