"""What both databases promise behind `StorageBackend` (rules C4, D2)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DataError, IntegrityError

from mairust_core import store
from mairust_core.errors import BadConfig, Conflict, Locked, TooMany
from mairust_core.ids import now_ms
from mairust_core.model.message_change import MessageFilter
from mairust_core.store import Pool, inspection, open_storage
from mairust_core.store.listing import Wanted
from mairust_core.store.tables import audit, trace
from tests.support.stores import ADMIN, Kit

WAIT_S = 20.0


def counted(kit: Kit, work: Callable[[], object]) -> list[str]:
    """The statements that reach the database meanwhile, without those that begin and end a transaction."""
    seen: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    event.listen(kit.storage.engine, "before_cursor_execute", note)
    try:
        work()
    finally:
        event.remove(kit.storage.engine, "before_cursor_execute", note)
    return seen


def audit_row(number: int, at_ms: int = 1) -> tuple[object, ...]:
    """A row of a table without foreign keys to anything a test made."""
    return (number, 1, at_ms, "somebody", "does", "something", None)


def wanted(account_id: int, mailbox_id: int | None = None) -> Wanted:
    """A list of everything."""
    return Wanted(account_id=account_id, mailbox_id=mailbox_id, filter=MessageFilter())


def test_a_whole_database_has_no_faults(kit: Kit) -> None:
    """The file of SQLite is read; PostgreSQL looks after its own."""
    with kit.storage.read() as tx:
        assert inspection.faults(kit.storage, tx) == []


def test_a_page_of_fifty_messages_is_one_query(kit: Kit) -> None:
    """Of an account, of a mailbox, and of a further page: no query per message."""
    kit.domain()
    ann = kit.account("ann@example.org")
    kit.store(*(kit.mail(ann, trace=True) for _ in range(60)))
    with kit.storage.read() as tx:
        inbox = store.mailboxes.find(tx, ann, "INBOX")
        pages = []
        for mailbox, cursor in ((None, ""), (inbox, ""), (inbox, f"{now_ms() + 5}-{1 << 62}")):
            statements = counted(
                kit,
                lambda mailbox=mailbox, cursor=cursor: pages.append(  # type: ignore[misc]  # bound at once
                    store.listing.page(tx, ADMIN, wanted(ann, mailbox), cursor, 50)
                ),
            )
            assert len(statements) == 1
    assert [len(page.items) for page in pages] == [50, 50, 50]
    assert [one.uid for one in pages[0].items] == list(range(60, 10, -1))


def test_pages_have_every_message_once_also_when_times_are_equal(kit: Kit) -> None:
    """The cursor is time and id: nothing is skipped or repeated at the seam."""
    kit.domain()
    ann = kit.account("ann@example.org")
    at_ms = now_ms()
    stored = kit.store(*(kit.mail(ann, received_ms=at_ms + number // 7) for number in range(40)))
    found: list[int] = []
    cursor: str | None = ""
    with kit.storage.read() as tx:
        while cursor is not None:
            page = store.listing.page(tx, ADMIN, wanted(ann), cursor, 9)
            found += [one.id for one in page.items]
            cursor = page.next_cursor
    assert sorted(found) == sorted(stored)
    assert len(found) == 40


def test_a_write_is_whole_or_nothing(kit: Kit) -> None:
    """An exception undoes every row of its transaction, and the next one works."""
    with pytest.raises(RuntimeError, match="on purpose"):
        _write_and_fail(kit)
    assert kit.rows("SELECT count(*) FROM audit") == [(0,)]
    with kit.storage.write() as tx:
        kit.storage.insert_rows(tx, audit, [audit_row(1)])
    assert kit.rows("SELECT count(*) FROM audit") == [(1,)]


def _write_and_fail(kit: Kit) -> None:
    with kit.storage.write() as tx:
        kit.storage.insert_rows(tx, audit, [audit_row(number) for number in range(10)])
        raise RuntimeError("on purpose")


def test_a_read_is_one_snapshot(kit: Kit) -> None:
    """What others commit meanwhile is seen by the next read, not by this one."""
    with kit.storage.read() as tx:
        before = kit.storage.fetch_all(tx, "SELECT count(*) FROM audit", ())
        with kit.storage.write() as other:
            kit.storage.insert_rows(other, audit, [audit_row(1)])
        assert kit.storage.fetch_all(tx, "SELECT count(*) FROM audit", ()) == before
    assert kit.rows("SELECT count(*) FROM audit") == [(1,)]


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 1000])
def test_rows_go_in_and_come_out_in_any_number(kit: Kit, count: int, together: bool) -> None:
    """One by one, by COPY or many in a statement: the same rows, with nulls, booleans and every character."""
    strange = "ä\t\\N\n日本\u2028\x7f"
    rows = [
        (number, 1, now_ms(), number % 2 == 0, "smtp", None, strange, "", "[]", strange, "", "[]")
        for number in range(count)
    ]
    insert = kit.storage.insert_together if together else kit.storage.insert_rows
    with kit.storage.write() as tx:
        insert(tx, trace, rows)
    found = kit.rows("SELECT id, accepted, client_ip, helo, message_id FROM trace ORDER BY id")
    assert [tuple(row) for row in found] == [(row[0], row[3], None, strange, strange) for row in rows]


def test_one_statement_for_many_rows_answers_in_order(kit: Kit) -> None:
    """`fetch_each` gives the row of each, None where there was none."""
    with kit.storage.write() as tx:
        kit.storage.insert_rows(tx, audit, [audit_row(number) for number in (1, 3)])
        found = kit.storage.fetch_each(
            tx, "UPDATE audit SET actor = ? WHERE id = ? RETURNING id, actor", [("a", 3), ("b", 2), ("c", 1)]
        )
        assert found == [(3, "a"), None, (1, "c")]
        assert kit.storage.fetch_each(tx, "SELECT 1", []) == []
    assert kit.rows("SELECT actor FROM audit ORDER BY id") == [("c",), ("a",)]


def test_keys_of_integers_are_found_and_upserted(kit: Kit) -> None:
    """A batch of them, also none at all."""
    columns = "account_id, key, tenant_id, thread_id, seen_ms"
    highest = (1 << 63) - 1
    rows = [(account, key, 1, 100 * account, 5) for account in (1, 2) for key in (10, highest)]
    keep = "ON CONFLICT (account_id, key) DO NOTHING"
    with kit.storage.write() as tx:
        kit.storage.upsert_ints(tx, "thread_key", columns, rows, keep)
        kit.storage.upsert_ints(tx, "thread_key", columns, [(1, 10, 1, 99, 99), (3, 1, 1, 1, 1)], keep)
        kit.storage.upsert_ints(tx, "thread_key", columns, [], keep)
        asked = [(1, 10), (2, highest), (2, 11), (3, 1)]
        found = kit.storage.fetch_by_ints(tx, "thread_key", "account_id, key, thread_id", asked)
        assert kit.storage.fetch_by_ints(tx, "thread_key", "account_id, key, thread_id", []) == []
    assert sorted(tuple(row) for row in found) == [(1, 10, 100), (2, highest, 200), (3, 1, 1)]


def test_what_a_constraint_or_a_type_forbids_is_told_apart_from_a_database_that_is_down(kit: Kit) -> None:
    """Rule C4: one bad row must never look like an outage, which would refuse everybody's mail."""
    with pytest.raises(IntegrityError), kit.storage.write() as tx:
        kit.storage.insert_rows(tx, audit, [audit_row(1), audit_row(1)])
    with pytest.raises(IntegrityError), kit.storage.write() as tx:
        kit.storage.insert_rows(tx, audit, [audit_row(1) for _ in range(10)])
    with pytest.raises(IntegrityError), kit.storage.write() as tx:
        kit.storage.insert_together(tx, audit, [audit_row(number) for number in (1, 2, 1)])
    with pytest.raises((DataError, OverflowError)), kit.storage.write() as tx:
        kit.storage.execute_many(tx, "UPDATE generation SET value = ?", [(1 << 70,)])
    with kit.storage.read() as tx:
        assert store.generations.current(tx) == 1


def test_two_who_want_one_address_meet_in_the_write(kit: Kit) -> None:
    """Both looked before either wrote: one gets it, the other hears of a conflict."""
    kit.domain()

    def claim(_: int) -> object:
        try:
            return kit.account("ann@example.org")
        except Conflict as error:
            return error

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(claim, range(16)))
    assert sum(isinstance(one, int) for one in found) == 1
    assert sum(isinstance(one, Conflict) for one in found) == 15


def test_threads_write_at_once_and_lose_nothing(kit: Kit) -> None:
    """Forty transactions of eight threads that read and write one number."""

    def add(_: int) -> None:
        with kit.storage.write() as tx:
            kit.storage.serialise(tx, "test")
            [(value,)] = kit.storage.fetch_all(tx, "SELECT value FROM generation", ())
            kit.storage.execute_many(tx, "UPDATE generation SET value = ?", [(value + 1,)])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    assert kit.rows("SELECT value FROM generation") == [(41,)]


def test_a_task_is_done_by_one_at_a_time(kit: Kit) -> None:
    """Another storage, as of another process, is told so at once; afterwards, or for another task, it may."""
    other = open_storage(kit.settings.database.url)
    try:
        with kit.storage.alone("gc"):
            with pytest.raises(Locked), other.alone("gc"):
                pytest.fail("two at a time")
            with other.alone("else"):
                assert other.name == kit.storage.name
        with other.alone("gc"):
            assert other.name == kit.storage.name
    finally:
        other.close()


def test_a_long_read_stops_no_writer(kit: Kit) -> None:
    """Listing a large site must not hold up its mail."""
    done = threading.Event()

    def write() -> None:
        kit.run("UPDATE generation SET value = value + ?", 1)
        done.set()

    with kit.storage.read() as tx, ThreadPoolExecutor(1) as pool:
        tx.execute(text("SELECT count(*) FROM audit")).all()
        pool.submit(write)
        assert done.wait(WAIT_S)


def test_who_finds_every_connection_in_use_is_told_to_come_again(kit: Kit) -> None:
    """Not for ever waiting, not an error nobody knows; when one is given back, work goes on."""
    small = open_storage(kit.settings.database.url, Pool(size=1, more=0, wait_s=0.01))
    with closing(small):
        with small.read():
            with pytest.raises(TooMany), small.read():
                pytest.fail("two connections of one")
            with pytest.raises(TooMany), small.write():
                pytest.fail("two connections of one")
        with small.write() as tx:
            assert store.generations.current(tx) == 1


def test_an_unknown_scheme_is_refused() -> None:
    """Naming what was given."""
    for url in ("mysql://x", "sqlite:relative", "nothing"):
        with pytest.raises(BadConfig):
            open_storage(url)
