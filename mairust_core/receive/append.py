"""Append: a message that a person or programme gives, not a mail transaction (rules B1, B2, E3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mairust_core.errors import MaiRustError, TooLarge
from mairust_core.ids import now_ms, to_ms
from mairust_core.model.blob import Content
from mairust_core.model.delivery import Copy, Delivery
from mairust_core.model.flags import split
from mairust_core.model.ids import Id
from mairust_core.model.message_change import Appended
from mairust_core.operations import BytesIn
from mairust_core.receive.describing import describe_safely

if TYPE_CHECKING:
    from mairust_core.app import Site
    from mairust_core.model.receipt import Receipt


def append(
    site: Site, to: tuple[int, int], wanted: Appended, given: BytesIn, receipt: Receipt | None = None
) -> Id:
    """Store the bytes as they are, in a mailbox that exists; the id once they are durable.

    `to` are tenant and account. Raises `Invalid` for too many keywords, `Locked` when a request with this
    receipt came first, `TooLarge` beyond `smtp.max_size`, `TooMany`, `DiskFull`, `QuotaExceeded`,
    `StorageDown`.
    """
    tenant_id, account_id = to
    flags, keywords = split(wanted.flags)
    content = collect(site, given)
    try:
        facts = describe_safely(content)
        copy = Copy(
            id=site.ids.next(),
            account_id=account_id,
            mailbox=wanted.mailbox,
            size_bytes=facts.crlf_size_bytes if facts else content.size_bytes,
            flags=flags,
            keywords=keywords,
            tags=wanted.tags,
        )
        received_ms = now_ms() if wanted.date is None else to_ms(wanted.date)
        delivery = Delivery(
            tenant_id=tenant_id, content=content, facts=facts, copies=(copy,), received_ms=received_ms,
            receipt=receipt,
        )  # fmt: skip
        outcome = site.committer.commit_many([delivery])[0]
    finally:
        content.close()
    if isinstance(outcome, MaiRustError):
        raise outcome
    return outcome.ids[0]


def collect(site: Site, given: BytesIn) -> Content:
    """All bytes of a stream as content; raises `TooLarge` as soon as they are too many."""
    limit_bytes = site.settings.smtp.max_size
    if given.size_bytes is not None and given.size_bytes > limit_bytes:
        raise TooLarge("message", limit=limit_bytes)
    collector = site.blobs.collector()
    try:
        size_bytes = 0
        for chunk in given.chunks:
            size_bytes += len(chunk)
            if size_bytes > limit_bytes:
                raise TooLarge("message", limit=limit_bytes)
            collector.write(chunk)
        return collector.finish()
    finally:
        collector.discard()
