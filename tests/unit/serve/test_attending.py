"""What is done every few seconds: tried again when it fails, and told of once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mairust_core.errors import StorageDown
from mairust_core.serve.working import attend


def test_an_outage_is_told_once_and_what_comes_after_it_again(caplog: pytest.LogCaptureFixture) -> None:
    """Every few seconds the same line would bury all others."""
    gone, other = (StorageDown("error", url="postgresql://x", why=why) for why in ("gone", "starting"))
    course: Iterator[Exception | None] = iter([gone, gone, gone, other, other, None, gone])

    def look() -> None:
        if error := next(course):
            raise error

    told = ""
    for _ in range(7):
        told = attend(look, told)
    said = [record.getMessage().partition("look: ")[2] for record in caplog.records]
    assert said == [str(gone), str(other), str(gone)]
    assert told.endswith(said[-1])


def test_what_nobody_expected_is_told_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """It never ends what would try again."""

    def look() -> None:
        raise ZeroDivisionError

    assert attend(look, attend(look)).endswith("look failed: ZeroDivisionError")
    [record] = caplog.records
    assert record.exc_info is not None
