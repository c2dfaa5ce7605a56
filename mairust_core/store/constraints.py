"""What a constraint of the database means to the caller."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import IntegrityError

from mairust_core.errors import MaiRustError


@contextmanager
def refusing(error: MaiRustError) -> Iterator[None]:
    """Turn a broken constraint into `error`: two who both looked first can still meet in the write."""
    try:
        yield
    except IntegrityError as broken:
        raise error from broken
