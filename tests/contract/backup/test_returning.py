"""An account, a mailbox, a message: appended to a running site, with new UIDs each time (rule I2)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from mairust_core import store
from mairust_core.app import Site
from mairust_core.errors import Invalid, NotFound
from mairust_core.model.backup import Additions
from mairust_core.model.message_change import MessageChange
from mairust_core.operations import BytesIn
from mairust_core.services.backups import Backups
from mairust_core.services.messages import Messages
from mairust_core.transfer.repository import Repository
from mairust_core.transfer.repository.packs import Builder, Kind, Unpacker, read_directory
from mairust_core.transfer.repository.picking import Pick, Picker
from tests.support.http_server import running
from tests.support.invariants import check_site
from tests.support.sites import ANN, BOB, TESTER, Contents, Post, back_up, deliver, mail_of
from tests.support.stores import message

PutBack = Callable[[Pick], list[Additions]]


@dataclass(frozen=True, kw_only=True)
class Way:
    """Puts back what is picked of a snapshot, in this process or through a server."""

    backups: Backups
    repository: Repository
    snapshot: str

    def __call__(self, pick: Pick) -> list[Additions]:
        picker = Picker(self.repository, self.repository.read_snapshot(self.snapshot), pick)
        return [
            self.backups.put_back(BytesIn(chunks=[pack], size_bytes=len(pack))) for pack in picker.packs()
        ]


@pytest.fixture(params=["locally", "remotely"])
def way(request: pytest.FixtureRequest, site: Site, repository: Repository) -> Iterator[Way]:
    """A furnished site whose only snapshot has all of it."""
    snapshot = back_up(site, repository).snapshot
    again = Repository.open(repository.path)
    if request.param == "locally":
        yield Way(backups=site.service(Backups, TESTER), repository=again, snapshot=snapshot)
        return
    from mairust_core.remote import Server, remote

    url = site.settings.database.url
    database = url if url.startswith("postgresql") else None
    with running(site.settings.data_dir, database) as http:
        token = (site.settings.data_dir / "admin.token").read_text().strip()
        with Server(url=http.url, token=token) as server:
            yield Way(backups=remote(Backups, server), repository=again, snapshot=snapshot)


def marks(contents: Contents, address: str) -> list[tuple[object, ...]]:
    """What an additive restore keeps: mailbox, bytes, date, trace headers, hidden, tags, flags, keywords."""
    return sorted(
        ((row[1], row[5], row[6], *row[8:15]) for row in contents.mail if row[0] == address), key=repr
    )


def test_rule_i2_an_account_is_appended_to_itself(site: Site, way: Way) -> None:
    """Everything twice, with every mark, under new ids and UIDs; nobody else's mail changes."""
    before = Contents.of(site.storage)
    added = way(Pick(account=ANN))
    after = Contents.of(site.storage)
    assert [one.address for one in added] == [ANN] * len(added)
    assert not any(one.account_created for one in added)
    assert marks(after, ANN) == sorted(marks(before, ANN) * 2, key=repr)
    assert marks(after, BOB) == marks(before, BOB)
    assert [row for row in after.mail if row in before.mail] == before.mail
    assert check_site(site.settings) == []


def test_a_removed_account_comes_back(site: Site, way: Way) -> None:
    """With its password and quota of then, and all of its mail."""
    before = Contents.of(site.storage)
    mail = {bytes(row[5]) for row in before.mail if row[0] == BOB}
    with site.storage.write() as tx:
        store.aliases.remove(tx, TESTER, "sales@example.org")
        store.accounts.remove(tx, TESTER, BOB)
    added = way(Pick(account="BOB@Example.ORG"))
    assert [one.account_created for one in added] == [True]
    after = Contents.of(site.storage)
    assert {bytes(row[5]) for row in after.mail if row[0] == BOB} == mail
    assert marks(after, BOB)[: len(marks(before, BOB))]
    kept = [row for row in after.other[5] if row[0] == BOB]
    assert kept[-1][4] == 1 << 30
    assert all(data for data in mail_of(site).values())


def test_one_mailbox_and_one_message(site: Site, way: Way) -> None:
    """And nothing beside them."""
    before = Contents.of(site.storage)
    way(Pick(account=ANN, mailbox="Work"))
    (work,) = (row for row in before.mail if row[1] == "Work")
    middle = Contents.of(site.storage)
    assert len(middle.mail) == len(before.mail) + 1
    assert marks(middle, ANN).count(marks(before, ANN)[-1]) == 2
    way(Pick(message=str(work[4])))
    after = Contents.of(site.storage)
    assert [row[1] for row in after.mail].count("Work") == 3
    assert len(after.mail) == len(middle.mail) + 1
    assert check_site(site.settings) == []


def test_a_message_that_was_moved_comes_back_in_its_place(embedded: Site, repository: Repository) -> None:
    """In the order of UIDs, not of ids, whatever the order of the rows."""
    messages = embedded.service(Messages, TESTER)
    deliver(embedded, BOB, message(), post=Post(mailbox="Elsewhere"))
    oldest = deliver(embedded, BOB, *(message() for _ in range(600)))[0]
    for mailbox in ("Elsewhere", "INBOX"):
        messages.change(str(oldest), MessageChange(mailbox=mailbox))
    sql = (
        "SELECT p.message_id FROM placement p JOIN mailbox b ON b.id = p.mailbox_id"
        " JOIN account a ON a.id = p.account_id WHERE a.address = ? AND b.name = 'INBOX' ORDER BY p.uid"
    )
    with embedded.storage.read() as tx:
        expected = [row[0] for row in embedded.storage.fetch_all(tx, sql, (BOB,))]
    assert expected[-1] == oldest
    snapshot = repository.read_snapshot(back_up(embedded, repository).snapshot)
    packs = Picker(Repository.open(repository.path), snapshot, Pick(account=BOB, mailbox="INBOX")).packs()
    assert [row["message"]["id"] for pack in packs for row in rows_of(pack)["messages"]] == expected


def rows_of(pack: bytes) -> dict[str, Any]:
    """What a pack says of its messages."""
    file = BytesIO(pack)
    (entry,) = (one for one in read_directory(file, "p").entries() if one.kind is Kind.ROWS)
    found: dict[str, Any] = json.loads(Unpacker(file, "p").read(entry))
    return found


def test_one_message_brings_back_no_other_account(embedded: Site, repository: Repository) -> None:
    """One that was removed since stays removed; and what no account has changes nothing at all."""
    (id_,) = deliver(embedded, ANN, message())
    snapshot = repository.read_snapshot(back_up(embedded, repository).snapshot)
    with embedded.storage.write() as tx:
        store.aliases.remove(tx, TESTER, "sales@example.org")
        store.accounts.remove(tx, TESTER, BOB)
    (pack,) = Picker(repository, snapshot, Pick(message=str(id_))).packs()
    assert rows_of(pack)["account"]["address"] == ANN
    with pytest.raises(NotFound):
        next(Picker(repository, snapshot, Pick(message="4711")).packs())


@pytest.mark.parametrize(
    "pick",
    [
        Pick(account="nobody@example.org"),
        Pick(account=ANN, mailbox="Nowhere"),
        Pick(message="4711"),
        Pick(message="x"),
    ],
    ids=repr,
)
def test_what_is_not_in_the_snapshot_is_said_so(embedded: Site, repository: Repository, pick: Pick) -> None:
    """Whatever is looked for."""
    snapshot = repository.read_snapshot(back_up(embedded, repository).snapshot)
    with pytest.raises(NotFound, match="does not hold"):
        list(Picker(Repository.open(repository.path), snapshot, pick).packs())


def test_one_mail_over_quota_does_not_stop_the_rest(embedded: Site, repository: Repository) -> None:
    """It is named, with why."""
    snapshot = back_up(embedded, repository).snapshot
    with embedded.storage.write() as tx:
        embedded.storage.execute_many(
            tx, "UPDATE account SET quota_bytes = used_bytes + 2000 WHERE address = ?", [(ANN,)]
        )
    way = Way(
        backups=embedded.service(Backups, TESTER),
        repository=Repository.open(repository.path),
        snapshot=snapshot,
    )
    found = [one for added in way(Pick(account=ANN)) for one in added.messages]
    assert any(one.id is None and "no room" in one.error for one in found)
    assert check_site(embedded.settings) == []


@pytest.mark.parametrize(
    "sent",
    [b"", b"nonsense", b"\x50\x2a\x4d\x18", b"x" * 100_000],
    ids=["empty", "text", "magic", "long"],
)
def test_what_is_no_pack_is_refused(embedded: Site, sent: bytes) -> None:
    """And nothing is stored."""
    before = Contents.of(embedded.storage)
    with pytest.raises(Invalid, match="no whole pack"):
        embedded.service(Backups, TESTER).put_back(BytesIn(chunks=[sent]))
    assert Contents.of(embedded.storage) == before


@pytest.mark.parametrize(
    "rows",
    [
        b"[]",
        b'{"account": 1}',
        b'{"account": {"address": "ann@example.org"}}',
        b'{"account": {"address": "ann@example.org"}, "messages": [{}]}',
        b'{"account": {}, "messages": []}',
    ],
    ids=range(5),
)
def test_rows_that_are_none_are_refused(embedded: Site, rows: bytes, tmp_path: Path) -> None:
    """A client that makes something up hears so, and is told nothing of the inside."""
    file = BytesIO()
    builder = Builder(file)
    builder.add(Kind.ROWS, rows)
    builder.finish()
    with pytest.raises(Invalid):
        embedded.service(Backups, TESTER).put_back(BytesIn(chunks=[file.getvalue()]))
