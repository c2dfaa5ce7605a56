"""How far a long command is: one line on a terminal that redraws itself, with rate and time left.

Nothing is drawn in the first two seconds, so that a quick command leaves no flash, and nothing at all where
nobody looks. The line is gone when the work is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from mairust_cli.durations import duration
from mairust_cli.text import clean, crop, size
from mairust_core.i18n import say

SHOWN_AFTER_S = 2.0
DRAWN_EVERY_S = 0.1
BAR_COLUMNS = 20
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_CLEAR_LINE = "\r\x1b[2K"


class Progress:
    """Progress of `total` items (None: not known beforehand); as a context manager it cleans up after itself.

    `size` makes a number of items readable, as of bytes.
    """

    def __init__(
        self,
        screen: TextIO | None,
        title: str,
        total: int | None = None,
        *,
        size: Callable[[int], str] = "{:,}".format,
        columns: Callable[[], int] = lambda: 80,
        lang: str = "en",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._screen = screen
        self._title = title
        self._total = total
        self._size = size
        self._columns = columns
        self._lang = lang
        self._clock = clock
        self._began = clock()
        self._drawn = float("-inf")
        self._done = 0
        self._size_bytes = 0
        self._at = ""
        self._ticks = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._screen is not None and self._ticks:
            self._screen.write(_CLEAR_LINE)
            self._screen.flush()

    def expect(self, items: int) -> None:
        """So many more are to be done."""
        self._total = (self._total or 0) + items

    @property
    def done(self) -> int:
        """Items done so far."""
        return self._done

    def advance(self, items: int = 1, *, size_bytes: int = 0, at: str = "") -> None:
        """So many more are done, and so many bytes with them; the work is now `at` that place."""
        self._done += items
        self._size_bytes += size_bytes
        self._at = at or self._at
        now = self._clock()
        if self._screen is None or now - self._began < SHOWN_AFTER_S or now - self._drawn < DRAWN_EVERY_S:
            return
        self._drawn = now
        self._ticks += 1
        self._screen.write(_CLEAR_LINE + crop(self.line(now - self._began), self._columns() - 1))
        self._screen.flush()

    def line(self, took_s: float) -> str:
        """The line as it looks after so many seconds."""
        rate = self._done / took_s if took_s > 0 else 0.0
        told = f"{self._size(round(rate))}/s"
        if self._size_bytes and took_s > 0:
            told += f"  {size(round(self._size_bytes / took_s))}/s"
        title = f"{self._title}  {clean(self._at)}" if self._at else self._title
        if not self._total:
            spinner = _SPINNER[self._ticks % len(_SPINNER)]
            return f"{spinner} {title}  {self._size(self._done)}  {told}"
        share = min(self._done / self._total, 1.0)
        full = round(share * BAR_COLUMNS)
        bar = "━" * full + "─" * (BAR_COLUMNS - full)
        counted = f"{self._size(self._done)} / {self._size(self._total)}"
        left = ""
        if rate > 0:
            seconds = max(self._total - self._done, 0) / rate
            left = "  " + say("progress.left", self._lang, left=duration(seconds, self._lang))
        return f"{title}  {bar} {share:4.0%}  {counted}  {told}{left}"
