"""Letting go: of what is purged, bit by bit, and of the whole index when it is dropped."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mairust_core.model.principal import DEFAULT_TENANT
from mairust_core.model.search import IndexMode
from mairust_core.store import indexing

if TYPE_CHECKING:
    from mairust_core.app import Site

GONE_SHARE = 16
"""A segment is made anew when more than one in so many of its messages is purged."""
SWEEP_ROWS = 1000
DROP_ROWS = 1000


def forget_gone(site: Site, stopping: threading.Event | None = None) -> int:
    """Let go of what is purged: texts of gone contents, and messages in the index; how many of these.

    Segments that lost many messages are made anew by the next round; the few in others are never found.
    """
    stopping = stopping or threading.Event()
    after: bytes | None = b""
    while after is not None and not stopping.is_set():
        with site.storage.read() as tx:
            gone, after = indexing.gone_texts(tx, DEFAULT_TENANT, after, SWEEP_ROWS)
        if gone:
            with site.storage.write() as tx:
                indexing.forget_texts(tx, DEFAULT_TENANT, gone)
    return sum(_sweep(site, stopping))


def _sweep(site: Site, stopping: threading.Event) -> Iterator[int]:
    after = 0
    while not stopping.is_set():
        with site.storage.read() as tx:
            found = indexing.some_segments(tx, DEFAULT_TENANT, after, 1)
            gone = indexing.gone_from(tx, found[0][0]) if found else 0
        if not found:
            return
        after, documents = found[0]
        if documents and gone * GONE_SHARE > documents:
            with site.storage.write() as tx:
                indexing.mark_stale(tx, DEFAULT_TENANT, 0, segment_id=after)
            yield gone


def drop(site: Site) -> None:
    """Delete every segment and the queue, in small steps; goes on where it was stopped."""
    while True:
        with site.storage.write() as tx:
            site.storage.serialise(tx, indexing.LOCK)
            if indexing.state(tx, DEFAULT_TENANT).mode is not IndexMode.OFF:
                return  # somebody has it built again meanwhile
            if not indexing.drop_some(tx, DEFAULT_TENANT, DROP_ROWS):
                return
