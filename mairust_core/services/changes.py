"""One administrative change: its transaction, its audit entry, and the word to every cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mairust_core import store
from mairust_core.model.ids import Id
from mairust_core.operations import Service
from mairust_core.operations.asked import details
from mairust_core.operations.asked import note_before as note_before

if TYPE_CHECKING:
    from sqlalchemy import Connection


@contextmanager
def change(
    service: Service, operation: str, subject: str, content: Mapping[str, Any] | None = None
) -> Iterator[Connection]:
    """A write transaction that is audited as `NOUN.operation` on `subject` and advances the generation.

    The entry says what the call asked for, and what `note_before` was told inside; `content` says besides
    what a body of bytes turned out to be.
    """
    site = service.site
    entry_id = site.ids.next()
    with site.storage.write() as tx:
        yield tx
        record(tx, service, entry_id, operation, subject, content)
        store.generations.advance(tx)


def noted(service: Service, operation: str, subject: str) -> None:
    """Audit as `NOUN.operation` what changes nothing, before it is done."""
    site = service.site
    entry_id = site.ids.next()
    with site.storage.write() as tx:
        record(tx, service, entry_id, operation, subject)


def record(
    tx: Connection,
    service: Service,
    entry_id: Id,
    operation: str,
    subject: str,
    content: Mapping[str, Any] | None = None,
) -> None:
    """Audit it in the transaction of its effect."""
    name = f"{service.noun}.{operation}"
    store.audits.record(tx, entry_id, service.by, name, subject, details(content or {}))
