"""A site with a bit of everything in it, and what is in it as plain values: for backups and restores."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from mairust_core import store
from mairust_core.app import Site, opened
from mairust_core.config import Settings
from mairust_core.first_run import create_site
from mairust_core.ids import now_ms
from mairust_core.mime import describe
from mairust_core.model.account import NewAccount
from mairust_core.model.alias import NewAlias
from mairust_core.model.blob import Bytes
from mairust_core.model.delivery import Copy, Delivery, Stored
from mairust_core.model.domain import NewDomain
from mairust_core.model.ids import Id
from mairust_core.model.principal import DEFAULT_TENANT, Principal, Scope
from mairust_core.model.token import NewToken
from mairust_core.services.accounts import Accounts
from mairust_core.services.aliases import Aliases
from mairust_core.services.backups import Backups
from mairust_core.services.domains import Domains
from mairust_core.services.tokens import Tokens
from mairust_core.store import StorageBackend
from mairust_core.store.facts import kept_facts
from mairust_core.transfer.repository import Repository
from mairust_core.transfer.repository.taking import Taken, take
from tests.support.stores import message

TESTER = Principal.local("tester")
LARGE = (1 << 20) + 12_345
ANN, BOB = "ann@example.org", "bob@example.org"

_MAIL = (
    "SELECT a.address, b.name, p.uid, b.uidvalidity, m.id, m.sha256, m.received_ms, m.thread_id,"
    " m.size_bytes, m.trace_headers, m.hidden, m.tags, m.metadata, p.flags, p.keywords, p.modseq"
    " FROM placement p JOIN message m ON m.id = p.message_id JOIN mailbox b ON b.id = p.mailbox_id"
    " JOIN account a ON a.id = p.account_id ORDER BY m.id"
)
_FACTS = (
    "SELECT sha256, size_bytes, crlf_size_bytes, header_size_bytes, eol, described, date_ms, subject,"
    " message_id, snippet, has_attachments, facts, envelope, bodystructure FROM content ORDER BY sha256"
)
_OTHER = (
    "SELECT folded, display FROM address ORDER BY folded",
    "SELECT target, position FROM alias_target ORDER BY target",
    "SELECT id, name, scopes, reach FROM token WHERE name <> 'first administrator' ORDER BY id",
    "SELECT id, actor, operation, subject, details FROM audit ORDER BY id",
    "SELECT account_id, key, thread_id, seen_ms FROM thread_key ORDER BY account_id, key",
    "SELECT address, admin, enabled, password_hash, quota_bytes, used_bytes, messages FROM account"
    " ORDER BY address",
    "SELECT name, messages, unseen FROM mailbox ORDER BY id",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What a mail is given on its way in."""

    mailbox: str = "INBOX"
    flags: int = 0
    keywords: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    trace_headers: bytes = b""
    hidden: tuple[tuple[int, int], ...] = ()


def make_site(settings: Settings) -> None:
    """A site with Ann, Bob and an alias, and no mail."""
    create_site(settings, "tester")
    with opened(settings) as site:
        site.service(Domains, TESTER).add(NewDomain(name="example.org"))
        accounts = site.service(Accounts, TESTER)
        accounts.add(NewAccount(address=ANN, password="correct horse", admin=True))
        accounts.add(NewAccount(address=BOB, quota_bytes=1 << 30))
        site.service(Aliases, TESTER).add(NewAlias(address="sales@example.org", to=(ANN, BOB)))
        site.service(Tokens, TESTER).create(NewToken(name="of a robot", scopes=(Scope.READ,)))


def furnish(site: Site, mails: int = 20) -> None:
    """Fill a site: mail small and large, shared and not, in mailboxes with every kind of mark."""
    deliver(site, ANN, *(message() for _ in range(mails)))
    deliver(site, ANN, message(body="x" * LARGE), post=Post(mailbox="Archiv/日本", flags=1))
    deliver(site, BOB, b"\xff\xfe no header at all \r\n\r\n", message("Grüße"), post=Post(flags=3))
    marked = Post(
        mailbox="Work",
        flags=5,
        keywords=("$Forwarded", "later"),
        tags=("work", "重要"),
        trace_headers=b"Return-Path: <a@b.example>\r\nReceived: by x\r\n",
        hidden=((0, 7),),
    )
    shared = message("shared", headers="Authentication-Results: forged; spf=pass")
    deliver(site, ANN, shared, post=marked)
    deliver(site, BOB, shared)


def account_id(site: Site, address: str) -> Id:
    """The id of an account."""
    with site.storage.read() as tx:
        return store.accounts.get(tx, TESTER, address).id


def deliver(site: Site, address: str, *mails: bytes, post: Post | None = None) -> list[Id]:
    """Store mail for an account, as a listener would; the ids."""
    post = post or Post()
    owner = account_id(site, address)
    batch = []
    for data in mails:
        content, kept = Bytes.of(data), kept_facts(describe(data))
        copy = Copy(
            id=site.ids.next(),
            account_id=owner,
            size_bytes=kept.crlf_size_bytes + len(post.trace_headers),
            mailbox=post.mailbox,
            flags=post.flags,
            keywords=post.keywords,
            tags=post.tags,
            trace_headers=post.trace_headers,
            hidden=post.hidden,
        )
        batch.append(
            Delivery(
                tenant_id=DEFAULT_TENANT,
                content=content,
                kept=kept,
                copies=(copy,),
                received_ms=now_ms(),
            )
        )
    outcomes = site.committer.commit_many(batch)
    assert all(isinstance(one, Stored) for one in outcomes), outcomes
    return [id_ for one in outcomes if isinstance(one, Stored) for id_ in one.ids]


def back_up(site: Site, repository: Repository, **options: Any) -> Taken:
    """One run of a backup."""
    return take(Repository.open(repository.path), site.service(Backups, TESTER), **options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What is in a site, without what a restore changes: UIDNEXT, MODSEQ, locations."""

    mail: list[tuple[Any, ...]]
    facts: list[tuple[Any, ...]]
    other: list[list[tuple[Any, ...]]]

    @classmethod
    def of(cls, storage: StorageBackend) -> Contents:
        """Read everything."""
        return cls(
            mail=[row[:-1] for row in _rows(storage, _MAIL)],
            facts=_rows(storage, _FACTS),
            other=[_rows(storage, sql) for sql in _OTHER],
        )


def contents_of(settings: Settings) -> Contents:
    """What is in the site of some settings."""
    with opened(settings) as site:
        return Contents.of(site.storage)


def mail_of(site: Site) -> dict[int, bytes]:
    """The bytes of every message, as they came."""
    with site.storage.read() as tx, closing(site.open_blobs()) as blobs:
        sql = (
            "SELECT m.id, b.location, m.sha256 FROM message m JOIN blob b ON b.sha256 = m.sha256"
            " AND b.tenant_id = m.tenant_id"
        )
        return {row[0]: blobs.get(row[1], bytes(row[2])) for row in site.storage.fetch_all(tx, sql, ())}


def _rows(storage: StorageBackend, sql: str) -> list[tuple[Any, ...]]:
    """Rows as both databases mean them: bytes as bytes, JSON parsed, truth as truth."""
    with storage.read() as tx:
        return [tuple(map(_plain, row)) for row in storage.fetch_all(tx, sql, ())]


def _plain(value: Any) -> Any:
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        return json.loads(value)
    return value
