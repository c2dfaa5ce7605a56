"""Sites filled below the road: rows and texts are those of real mail, only the blobs are not there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mairust_core.app import Site, opened
from mairust_core.config import load_settings
from mairust_core.first_run import create_site
from mairust_core.ids import now_ms
from mairust_core.mime import describe
from mairust_core.model.account import NewAccount
from mairust_core.model.blob import Bytes, Locator
from mairust_core.model.delivery import Copy, Delivery
from mairust_core.model.domain import NewDomain
from mairust_core.model.principal import DEFAULT_TENANT, Principal
from mairust_core.search.documents import Heading, pack, text_of
from mairust_core.services.accounts import Accounts
from mairust_core.services.domains import Domains
from mairust_core.store import indexing, ingest
from mairust_core.store.facts import kept_facts
from mairust_core.store.guilt import Located

BENCHER = Principal.local("benchmark")
ADDRESS = "ann@example.org"
BATCH = 512
GAP_MS = 300_000
"""Between one mail and the next: 200,000 are two years'."""


@contextmanager
def new_site(directory: Path, database: str | None) -> Iterator[Site]:
    """An open site with one account."""
    settings = load_settings(data_dir=directory, env={}, overrides={"database.url": database})
    create_site(settings, "benchmark")
    with opened(settings) as site:
        site.service(Domains, BENCHER).add(NewDomain(name=ADDRESS.partition("@")[2]))
        site.service(Accounts, BENCHER).add(NewAccount(address=ADDRESS))
        yield site


def store(site: Site, contents: Sequence[bytes]) -> int:
    """Store mail with its texts, not indexed yet; the bytes of the texts in UTF-8."""
    account_id = int(site.service(Accounts, BENCHER).show(ADDRESS).id)
    began_ms = now_ms() - len(contents) * GAP_MS
    size = 0
    for start in range(0, len(contents), BATCH):
        batch = [
            _delivery(site, account_id, content, began_ms + (start + at) * GAP_MS)
            for at, content in enumerate(contents[start : start + BATCH])
        ]
        ingest.write_batch(site.storage, batch, ingest.boot_clock())
        rows = [_text_row(one.delivery) for one in batch]
        size += sum(row[4] for row in rows)
        with site.storage.write() as tx:
            indexing.keep_texts(site.storage, tx, rows)
    return size


def _delivery(site: Site, account_id: int, content: bytes, received_ms: int) -> Located:
    held = Bytes.of(content)
    copy = Copy(id=site.ids.next(), account_id=account_id, size_bytes=len(content))
    delivery = Delivery(
        tenant_id=DEFAULT_TENANT,
        content=held,
        kept=kept_facts(describe(content)),
        copies=(copy,),
        received_ms=received_ms,
    )
    return Located(0, delivery, Locator(f"nowhere/{copy.id}"))


def _text_row(one: Delivery) -> tuple[bytes, int, str, int, int, bytes]:
    facts = describe(one.content.view())
    heading = Heading(
        subject=facts.subject,
        from_=tuple(f"{who.name} {who.address}" for who in facts.from_),
        to=tuple(f"{who.name} {who.address}" for who in facts.to),
        cc=tuple(f"{who.name} {who.address}" for who in facts.cc),
        filenames=tuple(a.filename for a in facts.attachments),
    )
    text, extent = text_of(heading, one.content.view())
    return (one.content.sha256, DEFAULT_TENANT, extent, now_ms(), len(text.encode()), pack(text))
