"""Long jobs rest where somebody else wants the processors, and only there."""

from __future__ import annotations

import os
import sys
import threading
import time

from mairust_core.jobs.resting import Resting, waited_s
from tests.support import forks

BUSY = "import os; os.sched_setaffinity(0, {{{one}}})\nwhile True: pass"
PATIENCE_S = 20.0


class _Noticed(threading.Event):
    """Notes how long anybody wanted to wait for it, and does not let them."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return False


def test_who_shares_an_interpreter_rests_after_each_step() -> None:
    stopping = _Noticed()
    rest = Resting(stopping, 2.0, always=True)
    rest(0.25)
    rest(0.5)
    assert stopping.waits == [0.5, 1.0]


def test_who_did_not_wait_for_a_processor_does_not_rest() -> None:
    """A step that took an hour can hardly have waited two minutes since the line before."""
    assert waited_s() is not None, "this kernel does not count"
    stopping = _Noticed()
    Resting(stopping, 2.0, always=False)(3600.0)
    assert stopping.waits == []


def test_who_waited_for_a_processor_rests() -> None:
    """Two that are always ready, on one processor: each waits half of the time."""
    stopping = _Noticed()
    allowed = os.sched_getaffinity(0)
    one = min(allowed)
    with forks.Popen([sys.executable, "-c", BUSY.format(one=one)]) as other:
        os.sched_setaffinity(threading.get_native_id(), {one})
        try:
            rest = Resting(stopping, 2.0, always=False)
            deadline = time.monotonic() + PATIENCE_S
            while not stopping.waits and time.monotonic() < deadline:
                _work(0.01)
                rest(0.01)
        finally:
            os.sched_setaffinity(threading.get_native_id(), allowed)
            other.kill()
    assert stopping.waits


def _work(took_s: float) -> None:
    began = time.thread_time()
    while time.thread_time() - began < took_s:
        pass
