"""Hooks are followed while their database is away, and of that not every second is told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mairust_core.errors import StorageDown
from mairust_core.hooks.book import MemoryBook, Registered
from tests.contract.hooks.conftest import House


class LeftBehind(MemoryBook):
    """A book that nobody can read while it is away."""

    away = ""

    def enabled(self) -> Sequence[Registered]:
        """What was written down last, where that can be read."""
        if self.away:
            raise StorageDown("error", url="x", why=self.away)
        return super().enabled()


async def test_hooks_that_cannot_be_read_are_told_of_once(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """An outage of an hour is a few lines for each process, not seven thousand; the end is told, too."""
    await house.close()
    house.book = house.site.hook_book = book = LeftBehind()
    caplog.set_level("INFO", "mairust.hooks")
    await house.open()
    for book.away in ("gone", "gone", "gone", "starting", "starting", ""):
        await house.changed()
    told = [one.getMessage() for one in caplog.records if one.name == "mairust.hooks"]
    said = [one.split(":")[0] for one in told]
    assert said == ["hooks are not read for now", "hooks are not read for now", "hooks are read again"], told
