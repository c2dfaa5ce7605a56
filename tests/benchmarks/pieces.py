"""Measuring in pieces: what is built before may be built on a busy machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def piece(name: str, *, wait: bool) -> Iterator[None]:
    """What is measured; with `wait` it is announced, and begins at a line on stdin."""
    if wait:
        print(f"ready: {name}", flush=True)
        sys.stdin.readline()
    yield
    if wait:
        print(f"done: {name}", flush=True)
