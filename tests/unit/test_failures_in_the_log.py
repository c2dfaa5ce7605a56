"""What the log of a server says when work that nobody waits for fails."""

from __future__ import annotations

import asyncio
import logging
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
    told = asyncio.Event()

    def tell(record: logging.LogRecord) -> bool:
        told.set()
        return bool(record.msg)

    def fail(_: Settings) -> None:
        raise error

    log = logging.getLogger("mairust.serve")
    log.addFilter(tell)
    try:
        task = asyncio.create_task(_every(60.0, partial(fail, Settings()), 0))
        await told.wait()
    finally:
        log.removeFilter(tell)
    task.cancel()
    (line,) = caplog.messages
    assert "hunter2" not in caplog.text
    assert line.startswith("partial")
