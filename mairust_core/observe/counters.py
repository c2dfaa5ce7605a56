"""What the workers of a node count: numbers in memory that all of them see, each writing its own alone.

No lock, no name and no text on the way of a mail: a count is a store of eight bytes at a place that was
found out before. Whoever is asked for the numbers adds up what all workers wrote.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left
from collections.abc import Sequence
from time import perf_counter_ns
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mairust_core.model.reply import Reply

ROADS = ("smtp", "lmtp", "deliver")
OUTCOMES = ("stored", "deferred", "refused")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other")
STATUSES = ("2xx", "3xx", "4xx", "5xx")
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Upper ends, included, of the times that are told apart."""

_BOUNDS_NS = tuple(round(bound * 1e9) for bound in BOUNDS_S)
_TIMES = len(BOUNDS_S) + 2
"""How many took how long, beyond the last bound too, and all their nanoseconds."""

# Where a worker's numbers lie, counted from the beginning of its own
_ALIVE = 0
_BEGUN = 1
_MAIL_TIMES = 2
_HTTP_TIMES = _MAIL_TIMES + _TIMES
_HTTP = _HTTP_TIMES + _TIMES
_ROADS = _HTTP + len(METHODS) * len(STATUSES)
# and of a road, from the beginning of the road's
_CAME, _WENT, _SENT_AWAY, _BYTES, _OUTCOME, _NO_RECIPIENT = 0, 1, 2, 3, 4, 4 + len(OUTCOMES)
_ROAD = _NO_RECIPIENT + len(OUTCOMES) - 1

_USED = _ROADS + _ROAD * len(ROADS)
CELLS = -(-_USED // 8) * 8
"""Of a worker, in whole cache lines: two workers never write into one."""


class AllCounters:
    """The numbers of all workers of a node; made before they are forked, shared with those who are."""

    def __init__(self, workers: int = 1) -> None:
        self._cells = memoryview(mmap.mmap(-1, workers * CELLS * 8)).cast("q")
        self._workers = workers

    def of(self, index: int) -> Counters:
        """Those that one worker writes, and after it whoever takes its place."""
        return Counters(self, index, self._cells[index * CELLS : (index + 1) * CELLS])

    def sums(self) -> Sums:
        """What all workers counted, added up."""
        cells = self._cells.tolist()
        parts = (cells[index * CELLS : (index + 1) * CELLS] for index in range(self._workers))
        return Sums([sum(column) for column in zip(*parts, strict=True)])


class Counters:
    """The numbers of one worker. Written by its event loop alone."""

    def __init__(self, all_: AllCounters, index: int, cells: memoryview) -> None:
        self.all = all_
        self.index = index
        self.http = HttpCounters(cells)
        self._cells = cells

    @classmethod
    def alone(cls) -> Counters:
        """Of a process that shares them with nobody."""
        return AllCounters().of(0)

    def road(self, name: str) -> MailCounters:
        """Those of mail on one road, a name of `ROADS`."""
        return MailCounters(self._cells, ROADS.index(name))

    def begin(self) -> None:
        """The worker is there."""
        self._cells[_ALIVE] = 1

    def stops(self) -> None:
        """The worker is no longer there for anything new; what it has open is still counted."""
        self._cells[_ALIVE] = 0

    def end(self) -> None:
        """The worker is gone, and so is what it had open. To be called by whoever saw it go."""
        cells = self._cells
        cells[_ALIVE] = 0
        cells[_BEGUN] = sum(cells[_MAIL_TIMES : _MAIL_TIMES + _TIMES - 1])
        for start in range(_ROADS, _USED, _ROAD):
            cells[start + _WENT] = cells[start + _CAME]


class MailCounters:
    """What a worker counts of one road."""

    __slots__ = ("_by_first_digit", "_bytes", "_came", "_cells", "_no_recipient", "_sent_away", "_went")

    def __init__(self, cells: memoryview, road: int) -> None:
        start = _ROADS + road * _ROAD
        self._cells = cells
        self._came, self._went, self._sent_away = start + _CAME, start + _WENT, start + _SENT_AWAY
        self._bytes = start + _BYTES
        stored, deferred, refused = range(start + _OUTCOME, start + _OUTCOME + len(OUTCOMES))
        self._by_first_digit = (refused, refused, stored, refused, deferred, refused)
        """Where a reply's outcome is; 4 is for now, 5 for ever."""
        self._no_recipient = start + _NO_RECIPIENT

    def came(self) -> None:
        """A connection was taken in."""
        self._cells[self._came] += 1

    def went(self) -> None:
        """One that had come is closed."""
        self._cells[self._went] += 1

    def sent_away(self) -> None:
        """One that had come was refused, because there are too many."""
        self._cells[self._sent_away] += 1

    def recipient_refused(self, reply: Reply) -> None:
        """A recipient was answered so."""
        self._cells[self._no_recipient + (reply.code >= 500)] += 1

    def refused(self, reply: Reply) -> None:
        """A mail was answered so before its content came."""
        self._cells[self._by_first_digit[reply.code // 100]] += 1

    def mail_begins(self) -> int:
        """A mail is complete and waits for its answer; what `mail_ends` wants to hear."""
        self._cells[_BEGUN] += 1
        return perf_counter_ns()

    def mail_ends(self, begun_ns: int, size_bytes: int, answers: Sequence[Reply]) -> None:
        """It is answered; without `answers` when it was `refused` before."""
        cells = self._cells
        took_ns = perf_counter_ns() - begun_ns
        cells[_MAIL_TIMES + bisect_left(_BOUNDS_NS, took_ns)] += 1
        cells[_MAIL_TIMES + _TIMES - 1] += took_ns
        stored = False
        for answer in answers:
            code = answer.code
            cells[self._by_first_digit[code // 100]] += 1
            stored |= code < 300
        if stored:
            cells[self._bytes] += size_bytes


class HttpCounters:
    """What a worker counts of HTTP."""

    __slots__ = ("_cells", "_methods")

    def __init__(self, cells: memoryview) -> None:
        self._cells = cells
        self._methods = {name: _HTTP + n * len(STATUSES) for n, name in enumerate(METHODS)}

    def answered(self, method: str, status: int, seconds: float) -> None:
        """A request had this answer; 0 stands for none, of which its client is told by a 500."""
        cells = self._cells
        took_ns = int(seconds * 1e9)
        start = self._methods.get(method) or self._methods["other"]
        cells[start + (status // 100 - 2 if 200 <= status < 600 else 3)] += 1
        cells[_HTTP_TIMES + bisect_left(_BOUNDS_NS, took_ns)] += 1
        cells[_HTTP_TIMES + _TIMES - 1] += took_ns


class Times:
    """How long something took, of many: `upto` counts those of each bound and below, `count` all."""

    def __init__(self, cells: Sequence[int]) -> None:
        self.upto = [sum(cells[: n + 1]) for n in range(len(BOUNDS_S))]
        self.count = sum(cells[:-1])
        self.seconds = cells[-1] / 1e9


class Sums:
    """What all workers counted, by its names."""

    def __init__(self, cells: Sequence[int]) -> None:
        self._cells = cells
        self.workers = cells[_ALIVE]
        self.mail_times = Times(cells[_MAIL_TIMES : _MAIL_TIMES + _TIMES])
        self.http_times = Times(cells[_HTTP_TIMES : _HTTP_TIMES + _TIMES])
        self.waiting = max(0, cells[_BEGUN] - self.mail_times.count)
        """Mails that are complete and not answered."""

    def _of(self, cell: int) -> dict[str, int]:
        return {road: self._cells[_ROADS + n * _ROAD + cell] for n, road in enumerate(ROADS)}

    @property
    def came(self) -> dict[str, int]:
        """Connections ever, by road."""
        return self._of(_CAME)

    @property
    def open(self) -> dict[str, int]:
        """Connections now, by road."""
        went = self._of(_WENT)
        return {road: max(0, came - went[road]) for road, came in self.came.items()}

    @property
    def sent_away(self) -> dict[str, int]:
        """Connections of which there were too many, by road."""
        return self._of(_SENT_AWAY)

    @property
    def stored_bytes(self) -> dict[str, int]:
        """Content of stored mail, by road."""
        return self._of(_BYTES)

    @property
    def mails(self) -> dict[tuple[str, str], int]:
        """Answers to mail, by road and outcome."""
        found = {outcome: self._of(_OUTCOME + n) for n, outcome in enumerate(OUTCOMES)}
        return {(road, outcome): found[outcome][road] for road in ROADS for outcome in OUTCOMES}

    @property
    def recipients_refused(self) -> dict[tuple[str, str], int]:
        """Recipients that were not taken, by road and outcome."""
        found = {outcome: self._of(_NO_RECIPIENT + n) for n, outcome in enumerate(OUTCOMES[1:])}
        return {(road, outcome): found[outcome][road] for road in ROADS for outcome in OUTCOMES[1:]}

    @property
    def requests(self) -> dict[tuple[str, str], int]:
        """Answered requests, by method and kind of status."""
        names = [(method, status) for method in METHODS for status in STATUSES]
        return {name: self._cells[_HTTP + n] for n, name in enumerate(names)}
