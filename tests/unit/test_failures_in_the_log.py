"""What the log of a server says when work that nobody waits for fails."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from mairust_core.errors import DiskFull
from mairust_core.serve.worker import _every


class Settings:
    """Something with a secret, such as a site."""

    def __repr__(self) -> str:
        return "postgresql://mairust:hunter2@db"


@pytest.mark.parametrize("error", [DiskFull("database", url="sqlite:///x"), RuntimeError("bang")])
async def test_trap_a3_work_that_fails_is_named_without_what_it_holds(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is bound to it stays out of the log: settings, tokens, a whole site."""
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    def fail(_: Settings) -> None:
        loop.call_soon_threadsafe(done.set)
        raise error

    task = asyncio.create_task(_every(60.0, partial(fail, Settings()), 0))
    await done.wait()
    while not caplog.records:
        await asyncio.sleep(0)
    task.cancel()
    assert "hunter2" not in caplog.text
    assert "partial" in caplog.text
