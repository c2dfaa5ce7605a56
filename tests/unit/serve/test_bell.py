"""The bell between a worker and its process of jobs: heard there, never waited for, harmless in the end."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from mairust_core.serve.working import Bell, listen

LONG_S = 60.0


@pytest.fixture
def ends() -> Iterator[tuple[int, Bell]]:
    """Where it is heard, and the bell."""
    incoming, outgoing = os.pipe()
    bell = Bell(outgoing)
    yield incoming, bell
    bell.close()
    os.close(incoming)


def test_who_listens_hears_it_and_then_the_end(ends: tuple[int, Bell]) -> None:
    """Here it is set as well, for whoever runs the jobs when the process is gone."""
    incoming, bell = ends
    there = threading.Event()
    bell.set()
    assert listen(incoming, 0.01, there.set)
    assert (there.is_set(), bell.is_set()) == (True, True)
    there.clear()
    bell.close()
    assert not listen(incoming, LONG_S, there.set)
    assert not there.is_set()


def test_who_hears_nothing_goes_on_after_its_time(ends: tuple[int, Bell]) -> None:
    """And does what it does every few seconds."""
    there = threading.Event()
    assert listen(ends[0], 0.01, there.set)
    assert not there.is_set()


def test_one_that_does_not_listen_holds_nobody_up(ends: tuple[int, Bell]) -> None:
    """As when it is stopped: far more is rung than a pipe holds."""
    for _ in range(1 << 17):
        ends[1].set()
    assert len(os.read(ends[0], 1 << 20)) < 1 << 17


def test_it_writes_to_no_file_that_got_the_number_of_its_pipe() -> None:
    """Nor fails when the other end is gone before this one is closed."""
    incoming, outgoing = os.pipe()
    bell = Bell(outgoing)
    os.close(incoming)
    bell.set()
    bell.close()
    other, taken = os.pipe()
    os.dup2(taken, outgoing)
    try:
        bell.set()
        os.set_blocking(other, False)
        with pytest.raises(BlockingIOError):
            os.read(other, 1)
    finally:
        for fd in {other, taken, outgoing}:
            os.close(fd)
