"""Looking after the limits of a process while it works, no more often than they can be broken."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from mairust_core.sandbox.confinement import PROCESSES, Program
from mairust_core.sandbox.usage import Usage

SHORTEST_S = 0.005
IDLE_S = 1.0
JUST_NOW_S = 0.005
"""What is used between two calls so short after each other counts for the second."""
UNCOUNTED_S = 0.02
"""Memory and processes that no control group bounds are looked at so often during a call."""
UNCOUNTED_IDLE_S = 0.25
"""And so often between two: without a user of its own, its processes take the place of others'."""
MOST_TASKS = PROCESSES + 2
"""With bubblewrap and the first process of its namespace."""
_CPUS = os.cpu_count() or 1


class Watch:
    """The CPU and memory of one process: a call's limit for each call, and for each time between two.

    It cannot use more CPU than there are processors: until then nobody needs to look.
    """

    def __init__(
        self, usage: Callable[[], Usage], program: Program, stop: Callable[[str], None], *, counted: bool
    ) -> None:
        self._usage = usage
        self._limits = program.limits
        self._stop = stop
        self._counted = counted
        self._base_us = 0
        self._startup_us = program.startup_cpu_ms * 1000
        self._begun = False
        self._called = False
        self._peak_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._ended_s = float("-inf")
        self._closed = False
        self.last_call = Usage()
        """What the last call took: its CPU, and the most memory that was seen."""

    def begin(self) -> None:
        """The launcher became the plugin; what was used until now is ours."""
        self._base_us = self._usage().cpu_us
        self._begun = True
        self._arm(0)

    def begin_call(self) -> None:
        """From here on it works for a call; what it did since the last one is judged by itself."""
        self._called = True
        self._peak_bytes, self.last_call = 0, Usage()
        just_now = asyncio.get_running_loop().time() - self._ended_s < JUST_NOW_S
        if self._begun and not self._startup_us and not just_now:
            used = self._usage()
            self._judge(used)
            self._base_us = used.cpu_us
        self._arm(0)

    def end_call(self) -> None:
        """It answered, or never will."""
        if self._called and not self._closed:
            self._base_us = self._note(self._usage()).cpu_us
        self._called = False
        self._ended_s = asyncio.get_running_loop().time()
        self._startup_us = 0
        self._arm(0)

    def close(self) -> None:
        """Nothing more is looked at."""
        if self._called and not self._closed:
            self._note(self._usage())
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def ended(self, used: Usage) -> None:
        """The process is gone, and that is what it and those it waited for used in all."""
        if self._begun and self._called:
            self._note(used)

    def _note(self, used: Usage) -> Usage:
        """Of a process that is gone nothing is known any more: the most that was seen counts."""
        self._peak_bytes = max(self._peak_bytes, used.memory_bytes)
        cpu_us = max(self.last_call.cpu_us, used.cpu_us - self._base_us)
        self.last_call = Usage(cpu_us=cpu_us, memory_bytes=self._peak_bytes)
        return used

    def _limit_us(self) -> int:
        return self._limits.cpu_ms * 1000 + self._startup_us

    def _arm(self, used_us: int) -> None:
        """Have it looked at in time; a look that is due earlier finds by itself when the next one is."""
        if self._closed or not self._begun:
            return
        loop = asyncio.get_running_loop()
        at_s = loop.time() + self._delay_s(used_us)
        if self._timer is not None:
            if self._due_s <= at_s:
                return
            self._timer.cancel()
        self._timer, self._due_s = loop.call_at(at_s, self._look), at_s

    def _delay_s(self, used_us: int) -> float:
        if not self._called:
            return IDLE_S if self._counted else UNCOUNTED_IDLE_S
        left_s = (self._limit_us() - used_us) / 1_000_000 / _CPUS
        return max(left_s if self._counted else min(left_s, UNCOUNTED_S), SHORTEST_S)

    def _look(self) -> None:
        self._timer = None
        used = self._usage()
        if self._called:
            self._note(used)
        if self._judge(used):
            self._arm(used.cpu_us - self._base_us)

    def _judge(self, used: Usage) -> bool:
        if used.cpu_us - self._base_us > self._limit_us():
            self._stop(f"it used more than {self._limits.cpu_ms} ms of CPU")
        elif used.memory_bytes > self._limits.memory_mb << 20:
            self._stop(f"it used more than {self._limits.memory_mb} MB of memory")
        elif used.tasks > MOST_TASKS:
            self._stop(f"it had more than {PROCESSES} processes and threads")
        return not self._closed
