"""A site on each database whose hooks are functions of the test, and mail that comes by the real road."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mairust_core import store
from mairust_core.app import Site, open_site
from mairust_core.config import load_settings
from mairust_core.first_run import create_site
from mairust_core.hooks.book import MemoryBook, Registered
from mairust_core.hooks.call_log import CallLog
from mairust_core.hooks.chain import HookChain
from mairust_core.hooks.log import Line, Noted
from mairust_core.hooks.memory import Plugin
from mairust_core.jobs import Timing
from mairust_core.jobs.lease import Lease
from mairust_core.model.account import NewAccount
from mairust_core.model.blob import Bytes
from mairust_core.model.delivery import Delivery
from mairust_core.model.domain import NewDomain
from mairust_core.model.envelope import Connection, Envelope, Recipient, Road
from mairust_core.model.hook_forms import HookCall
from mairust_core.model.ids import Id
from mairust_core.model.job import Leased
from mairust_core.model.message import Message
from mairust_core.model.plugin import Protocol
from mairust_core.model.principal import Principal
from mairust_core.model.reply import Reply
from mairust_core.model.story import Event
from mairust_core.receive.afterwards import Afterwards
from mairust_core.receive.committer import Commits, Outcome
from mairust_core.receive.refusals import Refusals
from mairust_core.receive.road import MailRoad, open_road
from mairust_core.services.accounts import Accounts
from mairust_core.services.domains import Domains
from mairust_core.services.messages import Messages
from mairust_core.services.traces import Traces
from mairust_core.store.tables import content
from tests.support.hooking import CLIENT, Plugins
from tests.support.postgres import PostgresServer, require_server

TESTER = Principal.local("tester")
_numbers = itertools.count()
IMPATIENT = Timing(first_pause_s=0.01, longest_pause_s=0.05)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL per test process."""
    server = require_server()
    yield server
    server.stop()


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site on each database; tests keep apart by domains of their own."""
    url = None
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.dsn(server.create_database())
    data_dir: Path = tmp_path_factory.mktemp("site")
    settings = load_settings(data_dir=data_dir, env={}, overrides={"database.url": url})
    create_site(settings, "tester")
    opened = open_site(settings)
    yield opened
    opened.close()


class Recorded:
    """The committer of a site, and what was given to it."""

    def __init__(self, to: Commits) -> None:
        self._to = to
        self.deliveries: list[Delivery] = []
        self.expected = 0

    def expect(self) -> None:
        """Count how often mail was announced."""
        self.expected += 1
        self._to.expect()

    async def commit(self, delivery: Delivery) -> Outcome:
        """Commit it."""
        self.deliveries.append(delivery)
        return await self._to.commit(delivery)


class House:
    """A domain of its own on the site, with a chain, a road, and short words for what tests do."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.plugins = Plugins()
        self.book = MemoryBook()
        self.domain = f"d{next(_numbers)}.example"
        site.service(Domains, TESTER).add(NewDomain(name=self.domain))
        self.ann, self.bob, self.carol = (self.account(name) for name in ("ann", "bob", "carol"))
        with site.storage.write() as tx:  # what an earlier test left is no concern of this one
            for table in ("hook_breaker", "hook_poison", "job"):
                site.storage.execute_many(tx, f"DELETE FROM {table}", [()])
        site.hook_book = self.book
        self.lines: list[Line] = []
        self.noted: list[Noted] = []
        self.log = CallLog(site.storage, lambda: site.ids)
        site.hook_log = self
        site.ways_to_plugins.by_protocol[Protocol.INPROCESS] = lambda: self.plugins.open
        self.committer = Recorded(site.committer)
        self.refusals = Refusals(site.storage, site.ids)
        self.chain: HookChain
        self.road: MailRoad

    def record(self, noted: Noted) -> None:
        """Be the log of hooks: all is remembered, and written down."""
        self.lines += noted.lines
        self.noted.append(noted)
        self.log.record(noted)

    def account(self, name: str) -> str:
        """Add an account; its address."""
        address = f"{name}@{self.domain}"
        self.site.service(Accounts, TESTER).add(NewAccount(address=address))
        return address

    async def open(self) -> None:
        """Make chain and road on this loop."""
        self.chain = self.site.open_chain()
        self.road = open_road(self.site, refusals=self.refusals, hooks=self.chain, committer=self.committer)

    async def close(self) -> None:
        """Close both; they may be opened again."""
        await self.chain.close()
        self.road.close()

    async def hook(self, function: Plugin, *registered: Registered) -> None:
        """Write hooks down, all answered by one function, beside those that are there."""
        for one in registered:
            self.plugins.add(one.plugin.id, function)
        self.book.write(*self.book.enabled(), *registered)
        await self.changed()

    async def changed(self) -> None:
        """Let the chain notice, as a change by anybody would."""
        with self.site.storage.write() as tx:
            store.generations.advance(tx)
        await self.chain.poll()

    async def receive(
        self, *recipients: str, data: bytes | None = None, road: Road = Road.SMTP
    ) -> list[Reply]:
        """One mail in by the road, as a listener brings it; what waits until after the reply is done too."""
        connection = Connection(road=road, ip=CLIENT.ip, helo=CLIENT.helo, session_id="s1")
        found: list[Recipient] = []
        for address in recipients or (self.ann,):
            answer = await self.road.recipient(address, connection)
            assert isinstance(answer, Recipient), answer
            found.append(answer)
        envelope = Envelope(
            mail_from="eve@elsewhere.example",
            recipients=tuple(found),
            connection=connection,
            received_at=datetime.now(UTC),
        )
        replies = await self.road.receive(envelope, Bytes.of(data or mail()))
        await self.chain.settle()
        self.refusals.flush()
        return replies

    def box(self, address: str, mailbox: str = "INBOX") -> list[Message]:
        """The messages in a mailbox; none when there is no such mailbox."""
        messages = self.site.service(Messages, TESTER)
        if mailbox not in self.mailboxes(address):
            return []
        return [messages.show(str(int(one.id))) for one in messages.browse(address, mailbox=mailbox).items]

    def mailboxes(self, address: str) -> list[str]:
        """The names of an account's mailboxes."""
        with self.site.storage.read() as tx:
            owner = store.accounts.get(tx, TESTER, address).id
            return [one.name for one in store.mailboxes.all_of(tx, owner)]

    def trace(self, id: str, kind: str = "hook") -> list[Event]:
        """Events of one kind in the story of a mail."""
        return [one for one in self.site.service(Traces, TESTER).show(id).events if one["kind"] == kind]

    def content(self, data: bytes) -> tuple[Any, ...]:
        """The row that describes some bytes."""
        sql = f"SELECT {', '.join(one.name for one in content.columns)} FROM content WHERE sha256 = ?"
        with self.site.storage.read() as tx:
            [found] = self.site.storage.fetch_all(tx, sql, (sha256(data).digest(),))
        return tuple(found)

    def calls(self) -> list[HookCall]:
        """What the log of hooks tells of mail to Ann."""
        names = "SELECT DISTINCT hook FROM hook_log WHERE recipient = ?"
        with self.site.storage.read() as tx:
            hooks = [hook for (hook,) in self.site.storage.fetch_all(tx, names, (self.ann,))]
            pages = [store.hook_calls.page(tx, TESTER, hook, None, "", 500) for hook in hooks]
        return [one for page in pages for one in page if one.recipient == self.ann]

    def jobs(self, kind: str) -> list[Leased]:
        """The unfinished jobs of a kind for this house's accounts, as leases would give them."""
        with self.site.storage.read() as tx:
            sql = (
                "SELECT id, kind, subject, payload, attempts, max_attempts, fence, run_at_ms - created_ms"
                " FROM job WHERE kind = ? AND state <> 'done' ORDER BY id"
            )
            rows = self.site.storage.fetch_all(tx, sql, (kind,))
        found = [(Leased(id=Id(r[0]), kind=r[1], subject=r[2], payload=json.loads(r[3]), attempts=r[4],
                         max_attempts=r[5], fence=r[6]), r[7]) for r in rows]  # fmt: skip
        return [one for one, _ in found if one.payload["addresses"][0].endswith(f"@{self.domain}")]

    def leased(self, job: Leased, attempt: int = 1) -> Leased:
        """A job under a real lease."""
        with self.site.storage.write() as tx:
            self.site.storage.execute_many(
                tx,
                "UPDATE job SET state = 'running', fence = fence + 1, attempts = ?, leased_until_ms = 1"
                " WHERE id = ?",
                [(attempt, job.id)],
            )
            [[fence]] = self.site.storage.fetch_all(tx, "SELECT fence FROM job WHERE id = ?", (job.id,))
        return Leased(
            id=job.id, kind=job.kind, subject=job.subject, payload=job.payload, attempts=attempt,
            max_attempts=job.max_attempts, fence=fence,
        )  # fmt: skip

    async def run(self, job: Leased, attempt: int = 1) -> None:
        """One attempt at a job; raises what its handler raises."""
        held = self.leased(job, attempt)
        handlers: dict[str, Any] = {
            kind.name: kind.handler for kind in Afterwards(self.site, self.chain).kinds()
        }
        try:
            await handlers[job.kind](self.site, job.payload, Lease(held))
        finally:
            await self.chain.settle()


@pytest.fixture
async def house(site: Site) -> AsyncIterator[House]:
    """A house whose chain and road are open on the test's loop."""
    made = await asyncio.to_thread(House, site)
    await made.open()
    yield made
    await made.close()


def mail(subject: str = "hello", body: str = "Hi.", headers: Sequence[str] = ()) -> bytes:
    """A mail that no other equals."""
    number = next(_numbers)
    lines = (
        "From: Eve <eve@elsewhere.example>",
        f"Message-ID: <{number}@t.example>",
        f"Subject: {subject}",
        *headers,
        "",
        body,
        "",
    )
    return "\r\n".join(lines).encode()


def stored_id(reply: Reply) -> str:
    """The id in `250 2.0.0 stored ID`."""
    assert reply.code == 250, reply
    return reply.text.split()[-1]
