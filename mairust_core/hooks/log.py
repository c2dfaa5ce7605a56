"""What is kept of questions and not written with the mail: sums, and what plugins wrote beside their answers.

So are the lines of the log, and who saw which mail, where the mail is not stored, or was before. All of it is
written a little later and in batches (rule J3), in small transactions (rule D2).
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar

from mairust_core.errors import MaiRustError
from mairust_core.hooks.accesses import Access, accesses_of
from mairust_core.hooks.figures import Figure, Figures
from mairust_core.hooks.sayings import Saying, Sayings
from mairust_core.hooks.steps import Step
from mairust_core.hooks.transport import Alive
from mairust_core.model.hook import Mode
from mairust_core.model.ids import Id

MAX_WAITING = 2000
"""Lines between two flushes; further ones are left out and counted."""
MAX_ACCESSES = 20_000
"""Accesses that wait for a database that cannot be written; it takes no mail either, so few come."""
AT_ONCE = 400
"""Rows of a kind in one transaction."""

T = TypeVar("T")

log = logging.getLogger("mairust.hooks")


class Came(StrEnum):
    """What came of one question."""

    ANSWERED = "answered"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    SKIPPED = "skipped"
    """Not asked: its breaker is open, its plugin blocked, or too many calls were under way."""


class Line(NamedTuple):
    """One question; `detail` is why it failed, or which fields were ignored.

    A tuple, for each mail makes some.
    """

    at_ms: int
    hook: str
    plugin: str
    delivery_id: str
    mode: Mode
    came: Came
    action: str
    ms: float
    detail: str
    trace_id: int | None
    message_id: int | None
    recipient: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What is written down together. `alive` are the processes of local plugins here, None: as before."""

    lines: Sequence[Line] = ()
    accesses: Sequence[Access] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict)
    sayings: Sequence[Saying] = ()
    alive: Mapping[str, Alive] | None = None

    def __bool__(self) -> bool:
        return bool(self.lines or self.accesses or self.figures or self.sayings) or self.alive is not None


class HookLog(Protocol):
    """Where all that goes. Thread-safe."""

    def record(self, noted: Noted) -> None:
        """Write it down, in one transaction; raises the errors of the store."""
        ...


def note(target: HookLog, noted: Noted) -> None:
    """Write down what a thread asked by itself; what cannot be written is told in the log of the server."""
    if not noted:
        return
    try:
        target.record(noted)
    except MaiRustError as error:
        log.error("who saw %d mails is written down nowhere: %s", len(noted.accesses), error)


class Lines:
    """What waits in one process to be written down. Thread-safe."""

    def __init__(self, target: HookLog, most: int = MAX_WAITING) -> None:
        self._target = target
        self._most = most
        self._waiting: deque[Line] = deque()
        self._accesses: deque[Access] = deque()
        self._figures = Figures()
        self._sayings = Sayings()
        self._left_out = 0
        self._lock = threading.Lock()

    def count(self, steps: Iterable[Step]) -> None:
        """Note what some questions took, and what plugins wrote beside their answers; never waits."""
        for step in steps:
            self._figures.add(step.registered.plugin, step.outcome, step.at_ms)
            if step.outcome.log or step.outcome.error is not None:
                self._sayings.add(step)

    def note(
        self,
        steps: Iterable[Step],
        trace_id: int | None,
        stored: Mapping[int, Id],
        message_id: int | None = None,
    ) -> None:
        """Note some questions, and whose mail plugins saw; never waits.

        `stored` are the messages of the mail, by account; `message_id` is the one that was asked about.
        """
        for step in steps:
            if len(self._waiting) < self._most:
                self._waiting.append(line(step, trace_id, message_id))
            else:
                self._left_out += 1
            self._accesses.extend(accesses_of(step, trace_id, stored))

    def flush(self, alive: Mapping[str, Alive] | None = None) -> int:
        """Write what waits, on the calling thread; how many lines. Lines that cannot be written are left out.

        Accesses are kept until they can.
        """
        with self._lock:
            left_out, self._left_out = self._left_out, 0
            if left_out:
                log.warning("%d calls of hooks are not in their log: there were too many", left_out)
            figures, sayings = self._figures.take(), self._sayings.take()
            tried = written = 0
            while noted := self._some(figures, sayings, alive):
                tried += len(noted.lines)
                if (done := self._written(noted)) is None:
                    break
                written += done
                figures, sayings, alive = {}, [], None
            if written < tried:
                log.warning("%d calls of hooks are not in their log", tried - written)
            return written

    def _some(
        self, figures: Mapping[str, Figure], sayings: Sequence[Saying], alive: Mapping[str, Alive] | None
    ) -> Noted:
        return Noted(
            lines=_taken(self._waiting),
            accesses=_taken(self._accesses),
            figures=figures,
            sayings=sayings,
            alive=alive,
        )

    def _written(self, noted: Noted) -> int | None:
        """How many lines could be written; None while nothing can."""
        try:
            self._target.record(noted)
        except MaiRustError as error:  # the store's trouble, not that of a line
            self._keep(noted)
            log.warning("the log of hooks cannot be written: %s", error)
            return None
        except Exception:
            return self._written_singly(noted)
        return len(noted.lines)

    def _keep(self, noted: Noted) -> None:
        self._figures.put_back(noted.figures)
        self._accesses.extendleft(reversed(noted.accesses))
        lost = max(0, len(self._accesses) - MAX_ACCESSES)
        for _ in range(lost):
            self._accesses.pop()
        if lost:
            log.error("%d times a plugin saw mail, and that is written down nowhere", lost)

    def _written_singly(self, noted: Noted) -> int | None:
        """Each by itself, what cannot be written together: what one plugin says costs no other anything."""
        parts = [
            *(Noted(lines=[one]) for one in noted.lines),
            *(Noted(accesses=[one]) for one in noted.accesses),
            *(Noted(sayings=[one]) for one in noted.sayings),
            Noted(figures=noted.figures, alive=noted.alive),
        ]
        whole = [one for one in parts if one]
        if len(whole) == 1:
            about = noted.lines[0].hook if noted.lines else "plugins"
            log.exception("a call of hook %s cannot be written down", about)
            return 0
        done = [self._written(one) for one in whole]
        return None if None in done else sum(one or 0 for one in done)


def _taken(waiting: deque[T]) -> list[T]:
    return [waiting.popleft() for _ in range(min(len(waiting), AT_ONCE))]


def line(step: Step, trace_id: int | None, message_id: int | None) -> Line:
    """The line of one question."""
    hook, outcome = step.registered.hook, step.outcome
    detail = outcome.error or ""
    if outcome.said.refused:
        detail = f"ignored: {', '.join(outcome.said.refused)}"
    return Line(
        step.at_ms, hook.name, step.registered.plugin.id, step.delivery_id, hook.mode, _came(step),
        outcome.said.action.word, outcome.ms, detail, trace_id, message_id, step.recipient,
    )  # fmt: skip


def _came(step: Step) -> Came:
    outcome = step.outcome
    if outcome.error is None:
        return Came.ANSWERED
    if outcome.late:
        return Came.TIMED_OUT
    return Came.FAILED if outcome.called else Came.SKIPPED
