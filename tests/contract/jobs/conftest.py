"""Runners at work in this process, on each database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from random import Random

import pytest

from mairust_core.app import Site
from mairust_core.jobs import Kind, Schedule, Timing
from mairust_core.jobs.runner import Runner
from tests.support.stores import Kit

BRISK = Timing(first_pause_s=0.005, longest_pause_s=0.02, watch_s=0.02, return_s=0.1)
"""In no hurry about leases, so that a busy machine loses none."""
SHORT = Timing(lease_s=0.6, renew_s=0.1, first_pause_s=0.005, longest_pause_s=0.02, watch_s=0.02)
PATIENCE_S = 60.0


def until(true: Callable[[], bool], what: str = "it") -> None:
    """Wait until something is so; fails when it never is."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.005)


@pytest.fixture
def jobs_site(kit: Kit) -> Site:
    """The kit's site as runners and handlers see it."""
    site = Site(kit.settings, kit.storage)
    assert site.ids
    return site


class Start:
    """Starts runners; those still at work are stopped at the end."""

    def __init__(self, site: Site, stack: ExitStack) -> None:
        self.site = site
        self._stack = stack

    def __call__(
        self,
        *kinds: Kind,
        schedules: Sequence[Schedule] = (),
        threads: int = 2,
        timing: Timing = BRISK,
        ended: str = "",
    ) -> Runner:
        """A runner at work, which knows that the worker `ended` is gone."""
        runner = Runner(self.site, kinds, schedules, threads=threads, timing=timing, chance=Random(7))
        if ended:
            runner.inherit(ended)
        self._stack.callback(runner.stop, PATIENCE_S)
        runner.start()
        return runner

    @contextmanager
    def running(self, *kinds: Kind, timing: Timing = BRISK) -> Iterator[Runner]:
        """A runner for the length of a block."""
        runner = self(*kinds, timing=timing)
        yield runner
        runner.stop(PATIENCE_S)


@pytest.fixture
def start(jobs_site: Site) -> Iterator[Start]:
    """Starts runners on the test's site."""
    with ExitStack() as stack:
        yield Start(jobs_site, stack)
