"""What is logged while a command runs, in the form of its other warnings: each kind once, with a count."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mairust_cli.output import Output
from mairust_core.i18n import say


@contextmanager
def heard(output: Output) -> Iterator[None]:
    """Tell what is logged as a warning or worse, until the end; how many more of a kind there were, then."""
    logger = logging.getLogger("mairust")
    listener = _Listener(output)
    logger.addHandler(listener)
    try:
        yield
    finally:
        logger.removeHandler(listener)
        listener.tell_counts()


class _Listener(logging.Handler):
    def __init__(self, output: Output) -> None:
        super().__init__(logging.WARNING)
        self._output = output
        self._first: dict[object, str] = {}
        self._more: dict[object, int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        kind = _kind(record)
        if kind in self._first:
            self._more[kind] = self._more.get(kind, 0) + 1
            return
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f" ({type(record.exc_info[1]).__name__}: {record.exc_info[1]})"
        self._first[kind] = text
        self._output.warn(text)

    def tell_counts(self) -> None:
        for kind, count in self._more.items():
            text = say("log.more", self._output.lang, count=count, text=self._first[kind])
            self._output.warn(text)


def _kind(record: logging.LogRecord) -> object:
    """What records have in common that say the same of different things."""
    values: tuple[Any, ...] = record.args if isinstance(record.args, tuple) else ()
    return record.name, record.msg, tuple(getattr(one, "key", None) for one in values)
