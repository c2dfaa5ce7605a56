"""Describing on other cores: the same facts, whatever becomes of the processes."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mairust_core.blobs.memory import MemoryBlobStore
from mairust_core.blobs.records import Prepacked, pack
from mairust_core.mime import SNIPPET, describe
from mairust_core.model.blob import MEMORY_LIMIT_BYTES, Bytes
from mairust_core.receive.describers import Describers
from mairust_core.store.facts import kept_facts
from tests.support.processes import process_tree, state
from tests.support.stores import message

PARENT = """
import sys, time
from mairust_core.model.blob import Bytes
from mairust_core.receive.describers import Describers
describers = Describers(2)
for _ in range(2):
    describers.submit([Bytes.of(b"Subject: x\\n\\n")] * 10).result()
print("ready", flush=True)
describers.submit([Bytes.of(b"Subject: x\\n\\n" + b"y" * 500_000)] * 2000).result()
time.sleep(60)
"""


@pytest.fixture
def describers() -> Iterator[Describers]:
    """Two processes."""
    with contextlib.closing(Describers(2)) as made:
        yield made


def describers_below(pid: int) -> list[int]:
    """The describing processes below one; beside them run the database servers of other tests."""
    found = []
    for child in process_tree(pid)[1:]:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if b"describer_process" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


def contents(count: int) -> list[Bytes]:
    """Messages, a large one and ones that are hardly any among them."""
    found = [Bytes.of(message(body="x" * number)) for number in range(count)]
    odd = [
        b"",
        b"\0",
        b"\xff" * 200,
        b"a" * (MEMORY_LIMIT_BYTES + 1),
        b"Content-Type: multipart/x; boundary=a\n\n--a",
    ]
    return [*found, *map(Bytes.of, odd)]


def test_facts_and_records_are_those_made_here(describers: Describers) -> None:
    """In order; what is not small is left as it is."""
    given = contents(40)
    described = describers.submit(given).result()
    assert [kept for _, kept in described] == [
        kept_facts(describe(one.view(), extent=SNIPPET)) for one in given
    ]
    for one, (content, _) in zip(given, described, strict=True):
        assert isinstance(content, Prepacked) == (one.size_bytes <= MEMORY_LIMIT_BYTES)
        assert pack(content) == pack(one)
        assert (content.sha256, content.size_bytes, content.view()) == (one.sha256, one.size_bytes, one.data)


def test_records_made_elsewhere_are_stored(describers: Describers) -> None:
    """Any store takes them, and gives the bytes back."""
    store = MemoryBlobStore()
    described = [content for content, _ in describers.submit(contents(5)).result()]
    locators = store.put_many(described)
    assert [store.get(at, one.sha256) for at, one in zip(locators, described, strict=True)] == [
        one.view() for one in described
    ]


def test_calls_to_one_process_hear_their_own_answers() -> None:
    """More at once than it has at hand; some are longer than a pipe holds."""
    with contextlib.closing(Describers(1)) as describers:
        groups = [[Bytes.of(message(body="x" * 9 * 2**number)) for _ in range(5)] for number in range(17)]
        running = [describers.submit(group) for group in groups]
        for group, one in zip(groups, running, strict=True):
            assert [content.sha256 for content, _ in one.result()] == [each.sha256 for each in group]


def test_a_process_that_dies_is_replaced_and_nothing_is_lost(describers: Describers) -> None:
    """Killed between calls and within them: every message is described all the same."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(6):
        running = [describers.submit(contents(30)) for _ in range(4)]
        children = describers_below(os.getpid())
        if children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(children), signal.SIGKILL)
        for one in running:
            assert all(facts is not None for _, facts in one.result())


def test_no_process_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL in the middle of the work: the children find their pipes closed and end."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        children = describers_below(parent.pid)
        assert len(children) >= 1
        parent.kill()
    deadline = time.monotonic() + 30
    while any(state(pid) not in {"", "Z"} for pid in children):
        assert time.monotonic() < deadline, "children of a killed parent still run"
        time.sleep(0.01)
