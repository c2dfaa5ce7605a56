"""Lists of messages: complete whatever is asked, in the order of an index, on both databases."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from mairust_core import store
from mairust_core.model.delivery import Copy, Delivery
from mairust_core.model.flags import FLAGS, joined
from mairust_core.model.message import Summary
from mairust_core.model.message_change import MessageFilter
from mairust_core.store.listing import Wanted, page
from tests.support.stores import ADMIN, Kit

COUNT = 80
START = datetime(2026, 1, 1, tzinfo=UTC)
FILTERS: tuple[dict[str, Any], ...] = (
    {},
    {"mailbox": "Work"},
    {"tag": "a"},
    {"tag": "b", "mailbox": "INBOX"},
    {"flag": "\\Seen"},
    {"unflag": "\\Seen", "mailbox": "Work"},
    {"flag": "$junk", "unflag": "\\Flagged"},
    {"unflag": "later", "tag": "a"},
    {"since": START + timedelta(seconds=10), "before": START + timedelta(seconds=30)},
    {"since": START + timedelta(seconds=5), "flag": "\\Seen"},
    {"tag": "a", "before": START + timedelta(seconds=25)},
    {"deleted": True},
    {"deleted": True, "mailbox": "Work"},
    {"deleted": True, "tag": "a", "unflag": "\\Seen"},
    {"tag": "nobody"},
)
SQLITE_BAD = ("TEMP B-TREE", "SCAN ")
POSTGRESQL_BAD = ("Sort", "Seq Scan on placement", "Seq Scan on message", "Seq Scan on trash")


def mail(kit: Kit, chance: random.Random, account_id: int, number: int) -> Delivery:
    """One message with flags, keywords and tags by chance; several have the same time."""
    made = kit.mail(account_id, received_ms=round(START.timestamp() * 1000) + number // 3 * 1000)
    copy = Copy(
        id=made.copies[0].id,
        account_id=account_id,
        size_bytes=made.copies[0].size_bytes,
        mailbox=chance.choice(["INBOX", "Work"]),
        flags=chance.choice([0, 1, 4, 5]),
        keywords=tuple(chance.sample(["$Junk", "later"], chance.randint(0, 2))),
        tags=tuple(chance.sample(["a", "b"], chance.randint(0, 2))),
    )
    return Delivery(
        tenant_id=1, content=made.content, kept=made.kept, copies=(copy,), received_ms=made.received_ms
    )


@pytest.fixture
def ann(kit: Kit) -> int:
    """An account with mail in two mailboxes and the trash, beside another with the same."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    kit.domain()
    accounts = [kit.account("ann@example.org"), kit.account("bob@example.org")]
    for account_id in accounts:
        kit.store(*(mail(kit, chance, account_id, number) for number in range(COUNT)))
    for (id_,) in kit.rows("SELECT id FROM message"):
        if chance.random() < 0.3:
            with kit.storage.write() as tx:
                store.trash.put(tx, [store.placements.hold(tx, ADMIN, id_)])  # type: ignore[arg-type]  # a row's id
    return accounts[0]


def fits(one: Summary, wanted: MessageFilter) -> bool:
    """Whether a list shall show a message, in the words of its documentation."""
    flags = {flag.casefold() for flag in one.flags}
    return (
        (one.deleted_at is not None) == wanted.deleted
        and wanted.mailbox in {"", one.mailbox}
        and (not wanted.tag or wanted.tag in one.tags)
        and (not wanted.flag or wanted.flag.casefold() in flags)
        and (not wanted.unflag or wanted.unflag.casefold() not in flags)
        and (wanted.since is None or one.received_at >= wanted.since)
        and (wanted.before is None or one.received_at < wanted.before)
    )


def asked(kit: Kit, account_id: int, given: dict[str, Any]) -> Wanted:
    """A list as the service asks for it."""
    wanted = MessageFilter(**given)
    with kit.storage.read() as tx:
        mailbox_id = store.mailboxes.find(tx, account_id, wanted.mailbox) if wanted.mailbox else None
    return Wanted(account_id=account_id, mailbox_id=mailbox_id, filter=wanted)


def everything(kit: Kit, wanted: Wanted, limit: int, scanned: int) -> list[Summary]:
    """All pages of a list."""
    found: list[Summary] = []
    cursor: str | None = ""
    with kit.storage.read() as tx:
        while cursor is not None:
            one = page(tx, ADMIN, wanted, cursor, limit, scanned)
            assert len(one.items) <= limit
            found += one.items
            cursor = one.next_cursor
    return found


def test_every_filter_finds_what_fits_and_nothing_else(kit: Kit, ann: int) -> None:
    """Newest first, each once, through pages of any size, however little is looked at for one."""
    with kit.storage.read() as tx:
        rows = [
            store.messages.get(tx, ADMIN, row[0])[0]
            for row in kit.storage.fetch_all(tx, "SELECT id FROM message WHERE account_id = ?", (ann,))
        ]
    for given in FILTERS:
        wanted = asked(kit, ann, given)
        expected = [int(one.id) for one in sorted(rows, key=_newest_first) if fits(one, wanted.filter)]
        for limit, scanned in ((50, 10_000), (3, 7), (1, 1), (500, 2)):
            found = everything(kit, wanted, limit, scanned)
            assert [int(one.id) for one in found] == expected, (given, limit, scanned)
            assert all(one in rows for one in found)


def _newest_first(one: Summary) -> tuple[float, int]:
    return -one.received_at.timestamp(), -int(one.id)


def test_a_page_ends_early_rather_than_look_at_everything(kit: Kit, ann: int) -> None:
    """Where no index helps: a cursor to go on from, and less than was asked for."""
    wanted = asked(kit, ann, {"flag": "\\Draft"})
    with kit.storage.read() as tx:
        first = page(tx, ADMIN, wanted, "", 50, scanned=10)
        assert (first.items, first.next_cursor is None) == ((), False)
        assert (
            page(tx, ADMIN, wanted, first.next_cursor or "", 50, scanned=10).next_cursor != first.next_cursor
        )
        assert page(tx, ADMIN, wanted, "", 50).next_cursor is None


def statements(kit: Kit, work: Callable[[], object]) -> list[tuple[str, Any]]:
    """What a piece of work sends to the database."""
    seen: list[tuple[str, Any]] = []

    def note(_: object, __: object, sql: str, values: Any, *more: object) -> None:
        seen.append((sql, values))

    event.listen(kit.storage.engine, "before_cursor_execute", note)
    try:
        work()
    finally:
        event.remove(kit.storage.engine, "before_cursor_execute", note)
    return seen


@pytest.mark.parametrize("given", FILTERS, ids=str)
def test_a_page_is_one_statement_or_two_in_the_order_of_an_index(
    kit: Kit, ann: int, given: dict[str, Any]
) -> None:
    """Nothing is sorted and no table of mail read through, also from the middle on: asked of the planner."""
    if kit.storage.name == "postgresql":
        with kit.storage.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))
    wanted = asked(kit, ann, given)
    scans = bool({"tag", "flag", "unflag"} & given.keys()) or {"deleted", "mailbox"} <= given.keys()
    for cursor in ("", f"{round(START.timestamp() * 1000) + 15_000}-{1 << 60}"):
        with kit.storage.read() as tx:
            sent = statements(kit, lambda cursor=cursor: page(tx, ADMIN, wanted, cursor, 5, 20))  # type: ignore[misc]  # called at once
            assert len(sent) == (2 if scans else 1)
            for sql, values in sent:
                plan = _plan(kit, tx, sql, values)
                bad = SQLITE_BAD if kit.storage.name == "sqlite" else POSTGRESQL_BAD
                assert not [word for word in bad if word in plan], plan


def _plan(kit: Kit, tx: Any, sql: str, values: Any) -> str:
    cursor = tx.connection.cursor()
    if kit.storage.name == "sqlite":
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", values)
        return "\n".join(row[3] for row in cursor.fetchall())
    # the tables are small: what would be read through or sorted for that reason is not of interest
    for setting in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "enable_bitmapscan"):
        cursor.execute(f"SET LOCAL {setting} = off")
    cursor.execute(f"EXPLAIN {sql}", values)
    return "\n".join(row[0] for row in cursor.fetchall())


def test_flags_are_named_alike_everywhere() -> None:
    """What a message shows can be asked for."""
    assert joined(31, ("$Junk",)) == (*FLAGS, "$Junk")
