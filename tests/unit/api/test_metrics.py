"""What a monitor is told when something cannot be seen."""

from __future__ import annotations

import logging

import pytest

from mairust_core.api.looks import Look
from mairust_core.api.metrics import seen
from mairust_core.observe.series import Family


async def test_what_takes_too_long_is_left_out_and_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    """Its error has no words of its own."""

    def look() -> list[Family]:
        raise TimeoutError

    with caplog.at_level(logging.WARNING):
        assert await seen(Look(look)) == []
    assert "numbers are left out: what they are read from does not answer" in caplog.text
