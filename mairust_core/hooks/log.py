"""The log of hooks: one line for each question, written a little later and in batches (rule J3)."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from mairust_core.errors import MaiRustError
from mairust_core.hooks.steps import Step
from mairust_core.model.hook import Mode

MAX_WAITING = 2000
"""Lines between two flushes; further ones are left out and counted."""

log = logging.getLogger("mairust.hooks")


class Came(StrEnum):
    """What came of one question."""

    ANSWERED = "answered"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    SKIPPED = "skipped"
    """Not asked: its breaker is open, its plugin blocked, or too many calls were under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One question; `detail` is why it failed, or which fields were ignored."""

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


class HookLog(Protocol):
    """Where lines go. Thread-safe."""

    def record(self, lines: Sequence[Line]) -> None:
        """Write them down; raises the errors of the store."""
        ...


class Lines:
    """Lines of one process on their way into the log. Thread-safe."""

    def __init__(self, target: HookLog, most: int = MAX_WAITING) -> None:
        self._target = target
        self._most = most
        self._waiting: deque[Line] = deque()
        self._left_out = 0
        self._lock = threading.Lock()

    def add(self, steps: Iterable[Step], trace_id: int | None, message_id: int | None = None) -> None:
        """Note some questions; never waits."""
        for step in steps:
            if len(self._waiting) < self._most:
                self._waiting.append(line(step, trace_id, message_id))
            else:
                self._left_out += 1

    def flush(self) -> int:
        """Write what waits, on the calling thread; how many. What cannot be written is left out."""
        with self._lock:
            lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
            left_out, self._left_out = self._left_out, 0
        if left_out:
            log.warning("%d calls of hooks are not in their log: there were too many", left_out)
        written = self._write(lines) if lines else 0
        if written < len(lines):
            log.warning("%d calls of hooks are not in their log", len(lines) - written)
        return written

    def _write(self, lines: Sequence[Line]) -> int:
        """All of them, or one by one those that can be: what one plugin answered costs no other its lines."""
        try:
            self._target.record(lines)
        except MaiRustError as error:  # the store's trouble, not that of a line
            log.warning("the log of hooks cannot be written: %s", error)
            return 0
        except Exception:
            if len(lines) > 1:
                return sum(self._write([one]) for one in lines)
            log.exception("a call of hook %s cannot be written down", lines[0].hook)
            return 0
        return len(lines)


def line(step: Step, trace_id: int | None, message_id: int | None) -> Line:
    """The line of one question."""
    hook, outcome = step.registered.hook, step.outcome
    detail = outcome.error or ""
    if outcome.said.refused:
        detail = f"ignored: {', '.join(outcome.said.refused)}"
    return Line(
        at_ms=step.at_ms,
        hook=hook.name,
        plugin=step.registered.plugin.id,
        delivery_id=step.delivery_id,
        mode=hook.mode,
        came=_came(step),
        action=outcome.said.action.name.lower(),
        ms=outcome.ms,
        detail=detail,
        trace_id=trace_id,
        message_id=message_id,
        recipient=step.recipient,
    )


def _came(step: Step) -> Came:
    outcome = step.outcome
    if outcome.error is None:
        return Came.ANSWERED
    if outcome.late:
        return Came.TIMED_OUT
    return Came.FAILED if outcome.called else Came.SKIPPED
