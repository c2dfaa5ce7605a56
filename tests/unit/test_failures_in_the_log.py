"""What the log of a server says when work that nobody waits for fails."""

from __future__ import annotations

from functools import partial

import pytest

from mairust_core.errors import DiskFull
from mairust_core.serve.working import attend


class Settings:
    """Something with a secret, such as a site."""

    def __repr__(self) -> str:
        return "postgresql://mairust:hunter2@db"


@pytest.mark.parametrize("error", [DiskFull("database", url="sqlite:///x"), RuntimeError("bang")])
def test_trap_a3_work_that_fails_is_named_without_what_it_holds(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is bound to it stays out of the log: settings, tokens, a whole site."""

    def fail(_: Settings) -> None:
        raise error

    attend(partial(fail, Settings()))
    (line,) = caplog.messages
    assert "hunter2" not in caplog.text
    assert "fail" in line.partition(":")[0]
