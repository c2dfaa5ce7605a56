"""Sites for tests of what lies below the services: a database, a blob store, a committer."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection

from mairust_core import store
from mairust_core.blobs import BlobStore
from mairust_core.blobs.fs import FsBlobStore
from mairust_core.blobs.memory import MemoryBlobStore
from mairust_core.config import Settings, load_settings
from mairust_core.ids import IdSource, now_ms
from mairust_core.mime import describe
from mairust_core.model.account import NewAccount
from mairust_core.model.alias import NewAlias
from mairust_core.model.blob import Bytes, Content
from mairust_core.model.content import Facts
from mairust_core.model.delivery import Copy, Delivery, Stored, Trace
from mairust_core.model.ids import Id
from mairust_core.model.mailbox import INBOX
from mairust_core.model.principal import DEFAULT_TENANT, Principal
from mairust_core.receive.committer import Committer, Outcome
from mairust_core.store import StorageBackend, open_storage, process_numbers, schema
from mairust_core.store.facts import kept_facts
from mairust_core.store.sqlite import Sqlite
from tests.support.invariants import check_site

ADMIN = Principal.local("tester")
_numbers = itertools.count()


@dataclass
class Kit:
    """An open site with nothing in it, and short words for what tests do to it."""

    settings: Settings
    storage: StorageBackend
    blobs: BlobStore
    ids: IdSource
    committer: Committer

    def domain(self, name: str = "example.org") -> None:
        """Add a domain."""
        with self.storage.write() as tx:
            store.domains.add(tx, ADMIN, self.ids.next(), name)

    def account(self, address: str, *, quota_bytes: int | None = None, admin: bool = False) -> int:
        """Add an account; its id."""
        ids = (self.ids.next(), self.ids.next(), self.ids.next())
        written = NewAccount(address=address).address
        with self.storage.write() as tx:
            made = store.accounts.add(
                tx, ADMIN, ids, written, admin=admin, quota_bytes=quota_bytes, password_hash=None
            )
        return made.id

    def alias(self, address: str, *targets: str) -> None:
        """Add an alias."""
        with self.storage.write() as tx:
            store.aliases.add(tx, ADMIN, self.ids.next(), NewAlias(address=address, to=targets))

    def copy(self, account_id: int, size_bytes: int, mailbox: str = INBOX, address: str = "") -> Copy:
        """One copy with an id of its own."""
        return Copy(
            id=self.ids.next(),
            account_id=account_id,
            size_bytes=size_bytes,
            mailbox=mailbox,
            address=address,
        )

    def mail(
        self,
        *account_ids: int,
        data: bytes | None = None,
        mailbox: str = INBOX,
        once: bool = False,
        received_ms: int | None = None,
        address: str = "",
        trace: bool = False,
    ) -> Delivery:
        """A described mail to these accounts, new each time unless `data` is given."""
        content = Bytes.of(data if data is not None else message())
        copies = tuple(self.copy(one, content.size_bytes, mailbox, address) for one in account_ids)
        received = received_ms or now_ms()
        return Delivery(
            tenant_id=DEFAULT_TENANT,
            content=content,
            kept=kept_facts(facts_of(content)),
            copies=copies,
            received_ms=received,
            trace=self.trace(received) if trace else None,
            once=once,
        )

    def trace(self, at_ms: int) -> Trace:
        """The story of a mail that came from nowhere."""
        return Trace(
            id=self.ids.next(), at_ms=at_ms, road="smtp", client_ip=None, helo="x", mail_from="", rcpt_to=()
        )

    def commit(self, *deliveries: Delivery) -> list[Outcome]:
        """Commit a batch."""
        return self.committer.commit_many(deliveries)

    def store(self, *deliveries: Delivery) -> list[Id]:
        """Commit a batch that must go in; the ids of all copies."""
        outcomes = self.commit(*deliveries)
        assert all(isinstance(one, Stored) for one in outcomes), outcomes
        return [copy_id for one in outcomes if isinstance(one, Stored) for copy_id in one.ids]

    def rows(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        """All rows of a query."""
        with self.storage.read() as tx:
            return self.storage.fetch_all(tx, sql, values)

    def run(self, sql: str, *values: object) -> None:
        """One statement in a transaction of its own."""
        with self.storage.write() as tx:
            self.storage.execute_many(tx, sql, [values])

    def problems(self) -> list[str]:
        """What is broken, by the checker of all invariants."""
        return check_site(self.settings, self.blobs)


def message(subject: str = "", *, headers: str = "", body: str = "") -> bytes:
    """A small mail that no other one equals."""
    number = next(_numbers)
    lines = (
        "From: Bob <bob@elsewhere.example>",
        "To: Ann <ann@example.org>",
        f"Subject: {subject or f'mail {number}'}",
        *([headers.strip()] if headers else []),
        *(
            []
            if "message-id:" in headers.lower()
            else [f"Message-ID: <{number}.{random.random()}@t.example>"]
        ),
        "",
        body or f"Hello {number}.",
        "",
    )
    return "\r\n".join(lines).encode()


def facts_of(content: Content) -> Facts:
    """The facts of a content."""
    return describe(content.view())


def settings_for(data_dir: Path, url: str | None = None) -> Settings:
    """The settings of a test's site."""
    return load_settings(data_dir=data_dir, env={}, overrides={"database.url": url})


def _nothing() -> None:
    """Nothing is to be done."""


@dataclass
class _Around:
    """A storage that does something before each of its transactions, and before it is committed."""

    storage: StorageBackend
    before: Callable[[], object]
    at_end: Callable[[], object]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.storage, name)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """As the storage does."""
        self.before()
        with self.storage.write() as tx:
            yield tx
            self.at_end()


def around(
    storage: StorageBackend, before: Callable[[], object] = _nothing, at_end: Callable[[], object] = _nothing
) -> StorageBackend:
    """The storage, with something done before each transaction, and in it before it is committed."""
    return cast(StorageBackend, _Around(storage, before, at_end))


@contextmanager
def open_kit(settings: Settings, *, memory: bool = False, roll_bytes: int = 1 << 20) -> Iterator[Kit]:
    """A kit on a database that may be empty."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    storage = open_storage(settings.database.url)
    if isinstance(storage, Sqlite):
        storage.create_file()
    schema.create(storage)
    blobs: BlobStore = (
        MemoryBlobStore() if memory else FsBlobStore(settings.blobs.path, roll_bytes=roll_bytes)
    )
    ids = process_numbers.lease(storage)
    committer = Committer(storage, blobs, lambda: ids)
    try:
        yield Kit(settings=settings, storage=storage, blobs=blobs, ids=ids, committer=committer)
    finally:
        committer.close()
        blobs.close()
        storage.close()
