"""What workers count: places of their own, sums for whoever asks, and nothing lost with a worker."""

from __future__ import annotations

import os

import pytest

from mairust_core.model.reply import Reply
from mairust_core.observe.counters import (
    BOUNDS_S,
    METHODS,
    OUTCOMES,
    ROADS,
    STATUSES,
    AllCounters,
    Counters,
)
from mairust_core.observe.series import counted, text

STORED, LATER, NEVER = Reply(250, "2.0.0", "stored"), Reply(451, "4.3.0", "later"), Reply(550, "5.1.1", "no")
MAILS = 2_000


def test_each_place_is_one_number() -> None:
    """Every count changes what it is called, once, and nothing else."""
    for road in ROADS:
        for outcome, reply in zip(OUTCOMES, (STORED, LATER, NEVER), strict=True):
            counters = Counters.alone()
            counters.road(road).refused(reply)
            sums = counters.all.sums()
            assert {name: n for name, n in sums.mails.items() if n} == {(road, outcome): 1}
            assert not any((*sums.came.values(), *sums.recipients_refused.values(), sums.mail_times.count))
    for number, method in enumerate(METHODS):
        for status, name in enumerate(STATUSES, 2):
            counters = Counters.alone()
            counters.http.answered(method, status * 100 + number, 0.1)
            sums = counters.all.sums()
            assert {name: n for name, n in sums.requests.items() if n} == {(method, name): 1}
            assert (sums.http_times.count, sums.mail_times.count) == (1, 0)


def test_what_is_no_method_and_no_answer_is_counted_too() -> None:
    """The names stay those of a closed set; a request that nobody answered was one of 500."""
    http = (counters := Counters.alone()).http
    http.answered("BREW", 405, 0.1)
    http.answered("GET", 0, 0.1)
    found = {name: n for name, n in counters.all.sums().requests.items() if n}
    assert found == {("other", "4xx"): 1, ("GET", "5xx"): 1}


def test_a_mail_is_counted_by_its_replies() -> None:
    """One over SMTP; over LMTP each recipient's, and its bytes once if anybody has it."""
    counters = Counters.alone()
    for road, size_bytes, answers in (
        ("smtp", 10, [STORED]),
        ("smtp", 100, [LATER]),
        ("smtp", 1000, [NEVER]),
        ("lmtp", 7, [NEVER, STORED, LATER, STORED]),
        ("deliver", 70, [NEVER, NEVER]),
    ):
        mail = counters.road(road)
        begun_ns = mail.mail_begins()
        assert counters.all.sums().waiting == 1
        mail.mail_ends(begun_ns, size_bytes, answers)
    sums = counters.all.sums()
    assert (sums.waiting, sums.mail_times.count) == (0, 5)
    assert sums.stored_bytes == {"smtp": 10, "lmtp": 7, "deliver": 0}
    assert [sums.mails["smtp", outcome] for outcome in OUTCOMES] == [1, 1, 1]
    assert [sums.mails["lmtp", outcome] for outcome in OUTCOMES] == [2, 1, 1]
    assert [sums.mails["deliver", outcome] for outcome in OUTCOMES] == [0, 0, 2]


def test_a_mail_without_an_answer_waits_no_more() -> None:
    """It is in no outcome: it was counted before."""
    mail = (counters := Counters.alone()).road("smtp")
    mail.mail_ends(mail.mail_begins(), 5, ())
    sums = counters.all.sums()
    assert (sums.waiting, sum(sums.mails.values()), sum(sums.stored_bytes.values())) == (0, 0, 0)


@pytest.mark.parametrize(("seconds", "upto"), [*((bound, bound) for bound in BOUNDS_S), (0.0, 0.001)])
def test_a_time_is_of_the_first_bound_that_is_not_less(seconds: float, upto: float) -> None:
    """As Prometheus has it: `le` is less or equal; what is more than all of them counts as +Inf alone."""
    http = (counters := Counters.alone()).http
    http.answered("GET", 200, seconds)
    assert counters.all.sums().http_times.upto == [int(bound >= upto) for bound in BOUNDS_S]
    http.answered("GET", 200, seconds + 31)
    times = counters.all.sums().http_times
    assert times.upto == [int(bound >= upto) for bound in BOUNDS_S]
    assert times.count == 2
    assert times.seconds == pytest.approx(2 * seconds + 31)


def test_processes_write_into_one_memory_and_nothing_is_lost() -> None:
    """Four at the same time, each as often as it can: the sums are what they did."""
    shared = AllCounters(4)
    pids = [_forked(shared, index) for index in range(4)]
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0] * 4
    sums = shared.sums()
    assert sums.workers == 4
    assert sums.mails["smtp", "stored"] == sums.mail_times.count == 4 * MAILS
    assert sums.stored_bytes["smtp"] == sum(range(1, 5)) * MAILS
    assert sums.came["lmtp"] == 4 * MAILS
    assert sums.open["lmtp"] == 4


def _forked(shared: AllCounters, index: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        counters = shared.of(index)
        counters.begin()
        smtp, lmtp = counters.road("smtp"), counters.road("lmtp")
        lmtp.came()
        for _ in range(MAILS - 1):
            lmtp.came()
            lmtp.went()
        for _ in range(MAILS):
            smtp.mail_ends(smtp.mail_begins(), index + 1, (STORED,))
    except BaseException:
        os._exit(1)
    os._exit(0)


def test_a_successor_goes_on_where_its_predecessor_was() -> None:
    """What was counted stays; what it had open is gone with it, and so is the mail that it had."""
    shared = AllCounters(2)
    other = shared.of(1)
    other.begin()
    other.road("smtp").came()
    pid = os.fork()
    if pid == 0:
        mine = shared.of(0)
        mine.begin()
        mail = mine.road("smtp")
        mail.came()
        mail.mail_ends(mail.mail_begins(), 3, (STORED,))
        mail.mail_begins()
        os._exit(0)
    os.waitpid(pid, 0)
    before = shared.sums()
    assert (before.workers, before.waiting, before.open["smtp"]) == (2, 1, 2)
    shared.of(0).stops()
    stopping = shared.sums()
    assert (stopping.workers, stopping.waiting, stopping.open["smtp"]) == (1, 1, 2)
    shared.of(0).end()
    ended = shared.sums()
    assert (ended.workers, ended.waiting, ended.open["smtp"], ended.came["smtp"]) == (1, 0, 1, 2)
    successor = shared.of(0)
    successor.begin()
    mail = successor.road("smtp")
    mail.mail_ends(mail.mail_begins(), 4, (STORED,))
    sums = shared.sums()
    assert (sums.workers, sums.waiting, sums.mails["smtp", "stored"]) == (2, 0, 2)
    assert sums.stored_bytes["smtp"] == 7


def test_the_text_of_times_adds_up() -> None:
    """Each bucket holds those below it, +Inf is the count, and the names are those of the format."""
    http = (counters := Counters.alone()).http
    for seconds in (0.0005, 0.002, 0.002, 0.3, 100):
        http.answered("GET", 200, seconds)
    lines = text(counted(counters.all.sums())).splitlines()
    name = "mairust_http_request_seconds"
    buckets = [int(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name}_bucket")]
    assert buckets == [1, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 5]
    assert f'{name}_bucket{{le="0.001"}} 1' in lines
    assert f'{name}_bucket{{le="+Inf"}} 5' in lines
    assert f"{name}_count 5" in lines
    [total] = [line for line in lines if line.startswith(f"{name}_sum ")]
    assert float(total.rpartition(" ")[2]) == pytest.approx(100.3045)
    assert lines.count(f"# TYPE {name} histogram") == 1
