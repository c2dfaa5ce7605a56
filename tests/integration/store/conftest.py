"""Processes at work on one store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mairust_core.config import Settings
from tests.support import forks

ROOT = Path(__file__).parents[3]
TIMEOUT_S = 120
Start = Callable[..., "Worker"]


class Worker:
    """One process of `tests.support.store_process`."""

    def __init__(self, settings: Settings, work: str, count: int, crash_at: str) -> None:
        arguments = [work, str(settings.data_dir), settings.database.url, str(count)]
        command = [sys.executable, "-m", "tests.support.store_process", *arguments]
        environment = {**os.environ, "MAIRUST_CRASH_AT": crash_at}
        pipe = subprocess.PIPE
        self.process = forks.Popen[str](
            command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n", self.process.communicate()[1]

    def go(self) -> None:
        """Begin."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def done(self) -> dict[str, Any]:
        """What it did."""
        out, errors = self.process.communicate(timeout=TIMEOUT_S)
        assert self.process.returncode == 0, errors
        return dict(json.loads(out))


@pytest.fixture
def start(site_settings: Settings) -> Iterator[Start]:
    """Starts workers on the test's site; those that still live are killed at the end."""
    workers: list[Worker] = []

    def begin(work: str, count: int, crash_at: str = "") -> Worker:
        workers.append(Worker(site_settings, work, count, crash_at))
        return workers[-1]

    yield begin
    for worker in workers:
        worker.process.kill()
        worker.process.communicate()
