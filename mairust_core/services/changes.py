"""One administrative change: its transaction, its audit entry, and the word to every cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mairust_core import store
from mairust_core.operations import Service

if TYPE_CHECKING:
    from sqlalchemy import Connection


@contextmanager
def change(service: Service, operation: str, subject: str) -> Iterator[Connection]:
    """A write transaction that is audited as `NOUN.operation` on `subject` and advances the generation."""
    site = service.site
    entry_id = site.ids.next()
    with site.storage.write() as tx:
        yield tx
        store.audits.record(tx, entry_id, service.by, f"{service.noun}.{operation}", subject)
        store.generations.advance(tx)


def noted(service: Service, operation: str, subject: str) -> None:
    """Audit as `NOUN.operation` what changes nothing, before it is done."""
    site = service.site
    entry_id = site.ids.next()
    with site.storage.write() as tx:
        store.audits.record(tx, entry_id, service.by, f"{service.noun}.{operation}", subject)
