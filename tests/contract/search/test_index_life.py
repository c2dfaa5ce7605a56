"""An index is made, made anew, dropped and swept, and every search on the way is exact (rule J1)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest
from sqlalchemy import event

from mairust_core.app import Site
from mairust_core.errors import Conflict, StorageDown
from mairust_core.model.message_change import Appended
from mairust_core.model.search import IndexMode, IndexStatus, Rebuild
from mairust_core.search import indexing as work
from mairust_core.search.database import STEP_ROWS, DatabaseEngine
from mairust_core.search.documents import Document, pack
from mairust_core.search.finding import find
from mairust_core.search.grammar import parse
from mairust_core.search.indexing import BEHIND, FAR_BEHIND, has_work, index_some, rests
from mairust_core.search.texts import read_text
from mairust_core.search.upkeep import forget_gone
from mairust_core.services.accounts import Accounts
from mairust_core.services.index import Index
from mairust_core.store import StorageBackend, collecting, indexing
from mairust_core.store import searching as queries
from tests.contract.search.test_engines import check, ids, no_rest, search
from tests.support.invariants import check_site
from tests.support.postgres import end_sessions_with_locks
from tests.support.searching import START_MS, TESTER, Letter, Mailbag, index_all


def status(site: Site) -> IndexStatus:
    """What the index says of itself."""
    return site.service(Index, TESTER).status()


def run(site: Site, sql: str, *values: object) -> None:
    """One statement in a transaction of its own."""
    with site.storage.write() as tx:
        site.storage.execute_many(tx, sql, [values])


def damage(site: Site, message_id: int, other_id: int) -> None:
    """Have other bytes where those of a message should be."""
    of = "sha256 = (SELECT sha256 FROM message WHERE id = ?)"
    other = f"SELECT b.location FROM blob b WHERE b.{of}"
    run(site, f"UPDATE blob SET location = ({other}) WHERE {of}", other_id, message_id)


def letters(count: int) -> list[Letter]:
    """So many, a minute apart; every third says so."""
    bodies = ("one of three", "other 京都", "and more")
    return [Letter(body=bodies[at % 3], received_ms=START_MS + 60_000 * at) for at in range(count)]


def test_more_that_waits_means_less_rest() -> None:
    """Mail goes first, but the index does not stay behind for ever."""
    assert rests(0) == rests(BEHIND - 1) > rests(BEHIND) > rests(FAR_BEHIND) > 0


def test_waiting_for_others_is_no_work_to_rest_from(ann: Mailbag) -> None:
    """On a busy machine the indexer would rest from that, too, and never keep up."""
    ann.put(*letters(3))
    held_s, took = 1.0, list[float]()
    begun = threading.Event()

    def hold() -> None:
        with ann.site.storage.write() as tx:
            ann.site.storage.serialise(tx, indexing.LOCK)
            begun.set()
            time.sleep(held_s)

    holder = threading.Thread(target=hold)
    holder.start()
    begun.wait()
    assert index_some(ann.site, rest=took.append) == 3
    holder.join()
    assert 0 < sum(took) < held_s / 2


@pytest.mark.parametrize("site_settings", ["postgresql"], indirect=True)
@pytest.mark.parametrize("size", [30, STEP_ROWS + 30])
def test_a_round_whose_lock_the_database_lost_leaves_it_to_another(ann: Mailbag, size: int) -> None:
    """Nothing is indexed twice, or lost; the other takes away what is there of a large segment."""
    ann.put(*letters(size))
    others = list[int]()

    def rest(_worked_s: float) -> None:
        if not others and (size <= STEP_ROWS or count_hidden(ann.site)):
            end_sessions_with_locks(ann.site.settings.database.url)
            others.append(index_some(ann.site, rest=no_rest))

    assert index_some(ann.site, rest=rest) == 0
    assert others == [size]
    assert (status(ann.site).documents, status(ann.site).segments) == (size, 1)
    assert check_site(ann.site.settings, ann.site.blobs) == []


def test_what_is_queued_becomes_indexed(ann: Mailbag) -> None:
    """Counts say so, and nothing is left to do."""
    assert not has_work(ann.site)
    ann.put(*letters(30))
    assert (status(ann.site).documents, status(ann.site).queued) == (0, 30)
    assert has_work(ann.site)
    assert index_some(ann.site, rest=no_rest) == 30
    found = status(ann.site)
    assert (found.documents, found.queued, found.segments, found.partial) == (30, 0, 1, 0)
    assert found.text_bytes > found.documents * 20
    assert 0 < found.index_bytes < found.text_bytes
    assert not has_work(ann.site)
    assert index_some(ann.site, rest=no_rest) == 0


def test_equal_mail_has_one_text(ann: Mailbag) -> None:
    """Copies of a content share it."""
    bob = Mailbag.of(ann.site, "bob@example.org")
    content = Letter(body="the same").content()
    for bag in (ann, bob):
        ann.site.append((1, bag.account_id), Appended(mailbox="INBOX"), _bytes(content))
    assert index_some(ann.site, rest=no_rest) == 2
    with ann.site.storage.read() as tx:
        assert ann.site.storage.fetch_all(tx, "SELECT count(*) FROM content_text", ()) == [(1,)]


def _bytes(content: bytes) -> Any:
    from mairust_core.operations import BytesIn

    return BytesIn(chunks=[content], size_bytes=len(content))


def test_only_one_process_indexes(ann: Mailbag) -> None:
    """Another one that comes to it meanwhile leaves it alone."""
    ann.put(*letters(3))
    with ann.site.storage.alone(work.TASK):
        assert index_some(ann.site, rest=no_rest) == 0
    assert index_some(ann.site, rest=no_rest) == 3


def test_a_round_ends_when_the_server_does(ann: Mailbag) -> None:
    """Between two steps; the next round goes on."""
    stopping = threading.Event()
    stopping.set()
    ann.put(*letters(3))
    assert index_some(ann.site, stopping, no_rest) == 0
    assert check(ann, "京都") == 1


def test_flags_tags_and_places_are_those_of_now(ann: Mailbag) -> None:
    """What changes after indexing is no business of the index."""
    one, other = ann.put(Letter(body="word"), Letter(body="word", mailbox="Archive"))
    index_some(ann.site, rest=no_rest)
    assert ids(search(ann, parse("word is:unread tag:x mailbox:Archive"))) == []
    run(ann.site, "UPDATE message SET tags = '[\"x\"]' WHERE id = ?", other)
    assert ids(search(ann, parse("word is:unread tag:x mailbox:Archive"))) == [other]
    run(ann.site, "UPDATE placement SET flags = 1 WHERE message_id = ?", other)
    assert ids(search(ann, parse("word is:unread"))) == [one]
    run(ann.site, "DELETE FROM placement WHERE message_id = ?", one)
    assert ids(search(ann, parse("word"))) == [other]


@pytest.mark.parametrize("indexed", [False, True])
def test_rule_j1_a_text_that_cannot_be_read_is_told(
    ann: Mailbag, indexed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Its heading is searched; where its body would decide, the page says that it is not complete."""
    bad, good = ann.put(Letter(subject="Lost", body="needle"), Letter(subject="Kept", body="needle"))
    damage(ann.site, bad, good)
    if indexed:
        assert index_some(ann.site, rest=no_rest) == 2
        assert status(ann.site).partial == 1
    found = search(ann, parse("needle"))
    assert (ids(found), found.complete, found.unsearched) == ([good], False, 1)
    assert ids(search(ann, parse("subject:lost"))) == [bad]
    for decided in ("subject:kept needle", "subject:lost -is:unread", "needle before:2020-01-01"):
        assert search(ann, parse(decided)).complete
    assert "damaged" in caplog.text


def test_rule_j1_a_damaged_text_is_made_again(ann: Mailbag, caplog: pytest.LogCaptureFixture) -> None:
    """A stored text that cannot be unpacked is no reason to miss or to fail."""
    ann.put(*letters(6))
    index_some(ann.site, rest=no_rest)
    run(ann.site, "UPDATE content_text SET text = ?", b"nonsense")
    assert check(ann, "京都") == 2
    site_index = ann.site.service(Index, TESTER)
    site_index.rebuild(Rebuild())
    assert index_some(ann.site, rest=no_rest) == 6
    caplog.clear()
    assert check(ann, "京都") == 2
    assert caplog.text == ""


@pytest.mark.parametrize("of", [Rebuild(), Rebuild(account="ann@example.org")])
def test_a_rebuild_makes_texts_and_index_anew(ann: Mailbag, of: Rebuild) -> None:
    """From the messages themselves; until it has, the old index serves."""
    ann.put(*letters(6))
    index_some(ann.site, rest=no_rest)
    run(ann.site, "UPDATE content_text SET text = ?", pack(" \n \n \n \n \n wrong "))
    assert ids(search(ann, parse("京都"))) == []
    begun = ann.site.service(Index, TESTER).rebuild(of)
    assert (begun.mode, begun.documents, begun.stale) == ("on", 6, 1)
    assert index_some(ann.site, rest=no_rest) == 6
    assert status(ann.site).stale == 0
    assert check(ann, "京都") == 2
    assert check(ann, "wrong") == 0


def test_after_a_drop_searches_read_texts_and_a_rebuild_fills_the_index(ann: Mailbag) -> None:
    """Exact at every step on the way down and up."""
    ann.put(*letters(40))
    index_some(ann.site, rest=no_rest)
    ann.put(*letters(3))
    gone = ann.site.service(Index, TESTER).drop()
    assert (gone.mode, gone.documents, gone.queued, gone.index_bytes) == ("off", 0, 0, 0)
    ann.put(*letters(3))
    assert index_some(ann.site, rest=no_rest) == 0
    assert check(ann, "京都") == 15
    with pytest.raises(Conflict, match="index rebuild"):
        ann.site.service(Index, TESTER).rebuild(Rebuild(account=ann.address))
    assert ann.site.service(Index, TESTER).rebuild(Rebuild()).mode == "filling"
    steps: list[int] = []
    assert index_some(ann.site, rest=lambda _: steps.append(check(ann, "京都"))) == 46
    assert set(steps) == {15}
    assert len(steps) >= 3
    assert (status(ann.site).mode, status(ann.site).documents) == ("on", 46)
    assert check_site(ann.site.settings, ann.site.blobs) == []


def test_a_drop_in_the_middle_of_a_round_wins(ann: Mailbag) -> None:
    """What was prepared meanwhile is not written."""
    ann.put(*letters(6))
    dropped: list[str] = []

    def drop(_: float) -> None:
        if not dropped:
            dropped.append(ann.site.service(Index, TESTER).drop().mode)

    assert index_some(ann.site, rest=drop) == 0
    assert dropped == ["off"]
    assert status(ann.site).documents == 0
    assert check(ann, "京都") == 2


def test_a_rebuild_after_a_drop_that_was_stopped_finds_nothing_twice(ann: Mailbag) -> None:
    """Segments that were left go before the queue is filled."""
    ann.put(*letters(12))
    index_some(ann.site, rest=no_rest)
    with ann.site.storage.write() as tx:
        indexing.set_mode(tx, 1, IndexMode.OFF)
    ann.site.service(Index, TESTER).rebuild(Rebuild())
    assert index_some(ann.site, rest=no_rest) == 12
    assert check(ann, "京都") == 4
    assert check_site(ann.site.settings, ann.site.blobs) == []


def test_what_is_purged_is_forgotten(ann: Mailbag) -> None:
    """Texts of gone contents at once, documents with their segment when many are gone."""
    bob = Mailbag.of(ann.site, "bob@example.org")
    ann.put(*letters(3))
    bob.put(*letters(6))
    index_some(ann.site, rest=no_rest)
    assert forget_gone(ann.site) == 0
    ann.site.service(Accounts, TESTER).remove("bob@example.org")
    with ann.site.storage.write() as tx:
        assert collecting.purge_messages(tx, bob.account_id, 100) == 6
        keys, _ = collecting.unreferenced(tx, collecting.FIRST, 100)
        collecting.condemn(tx, keys, START_MS)
    assert forget_gone(ann.site) == 6
    index_some(ann.site, rest=no_rest)
    assert (status(ann.site).documents, status(ann.site).segments) == (3, 1)
    with ann.site.storage.read() as tx:
        assert ann.site.storage.fetch_all(tx, "SELECT count(*) FROM content_text", ()) == [(3,)]
    assert check(ann, "京都") == 1


def test_what_was_purged_while_queued_leaves_the_queue(ann: Mailbag) -> None:
    """Nothing is indexed of it."""
    gone, _ = ann.put(Letter(body="gone"), Letter(body="kept"))
    run(ann.site, "DELETE FROM placement WHERE message_id = ?", gone)
    run(ann.site, "DELETE FROM message WHERE id = ?", gone)
    assert index_some(ann.site, rest=no_rest) == 1
    assert status(ann.site).queued == 0


def test_time_that_runs_out_is_told_and_the_cursor_goes_on(ann: Mailbag) -> None:
    """Each page looks at one message at least; together they are exact, scan and index alike."""
    ann.put(*letters(9))
    node = parse("京都 -more")
    for _ in range(2):
        found: list[int] = []
        pages = 0
        cursor: str | None = ""
        while cursor is not None:
            page = find(ann.site, TESTER, ann.address, node, cursor, 50, budget_s=-1.0)
            assert page.complete is (page.next_cursor is None)
            found += ids(page)
            cursor = page.next_cursor
            pages += 1
        assert found == ann.expected(node)
        assert pages >= 3
        index_some(ann.site, rest=no_rest)


class Counting:
    """A storage that counts the calls of its driver-level queries."""

    def __init__(self, storage: StorageBackend) -> None:
        self._storage = storage
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def fetch_by_ints(self, *arguments: Any) -> Any:
        self.calls += 1
        return self._storage.fetch_by_ints(*arguments)

    def fetch_all(self, *arguments: Any) -> Any:
        self.calls += 1
        return self._storage.fetch_all(*arguments)


def statements(site: Site, call: Callable[[], object]) -> int:
    """How many statements a call sends; driver-level look-ups by id count once each."""
    storage = site.storage
    counting = Counting(storage)
    site.__dict__["engine"] = DatabaseEngine(cast(StorageBackend, counting))
    site.storage = cast(StorageBackend, counting)
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(storage.engine, "before_cursor_execute", note)
    try:
        call()
    finally:
        event.remove(storage.engine, "before_cursor_execute", note)
        site.storage = storage
    return counting.calls + len([one for one in sent if "SELECT" in one])


def test_a_page_costs_as_many_statements_for_a_thousand_hits_as_for_sixty(ann: Mailbag) -> None:
    """And few: no query per hit."""
    ann.put(*(Letter(body=f"common {'seldom' * (at % 16 == 0)}") for at in range(1000)))
    index_some(ann.site, rest=no_rest)
    asked = ("common", "seldom", '"common seldom"', "nowhere", "common mailbox:INBOX")
    counts = [statements(ann.site, partial(search, ann, parse(one), limit=50)) for one in asked]
    assert counts[0] == counts[1] == counts[2]
    assert max(counts) <= 9


def index_apart(bag: Mailbag, size: int) -> int:
    """Index what is queued in segments of so many messages; how many segments."""
    site, count = bag.site, 0
    engine = DatabaseEngine(site.storage)
    with site.storage.write() as tx:
        while waiting := indexing.queued(tx, bag.account_id, size):
            originals = queries.originals(tx, [one.message_id for one in waiting])
            texts = [(one, *read_text(site, originals[one.message_id])) for one in waiting]
            documents = [
                Document(key=(one.received_ms, one.message_id), text=text, extent=extent)
                for one, extent, text in texts
            ]
            engine.write(tx, engine.prepare(1, bag.account_id, documents))
            indexing.unqueue(tx, bag.account_id, [one.message_id for one in waiting])
            count += 1
    return count


def test_a_page_costs_as_many_statements_for_fifty_segments_as_for_four(ann: Mailbag) -> None:
    """Whether each has a hit or ten, or one of them the only one; newest first, across all of them."""
    asked = ("common", "seldom", "once", '"common seldom"', "nowhere")
    counts = []
    for segments in (4, 45):
        bodies = (f"common {'seldom' * (at % 10 == 0)} {'once' * (at == 7)}" for at in range(10 * segments))
        first = len(ann.letters)
        ann.put(*(Letter(body=one, received_ms=START_MS + first + at) for at, one in enumerate(bodies)))
        assert index_apart(ann, 10) == segments
        assert status(ann.site).segments == segments + first // 10
        for one in asked:
            check(ann, one)
        counts.append([statements(ann.site, partial(search, ann, parse(one), limit=50)) for one in asked])
    assert max(counts[1]) <= 10
    assert all(many <= few + 1 for few, many in zip(*counts, strict=True))


def test_a_rebuild_in_the_middle_of_a_merge_is_not_lost(ann: Mailbag) -> None:
    """The segment that was to be made of some has the old texts: it is given up, and all are made anew."""
    for one in letters(work.MERGE_FROM - 1):
        ann.put(one)
        index_some(ann.site, rest=no_rest)
    asked: list[int] = []

    def rebuild(_: float) -> None:
        if status(ann.site).segments == work.MERGE_FROM and not asked:
            run(ann.site, "UPDATE content_text SET text = ?", pack(" \n \n \n \n \n wrong "))
            asked.append(ann.site.service(Index, TESTER).rebuild(Rebuild()).stale)

    ann.put(Letter(body="京都 too"))
    index_some(ann.site, rest=rebuild)
    assert asked == [work.MERGE_FROM]
    index_all(ann.site)
    assert (status(ann.site).stale, status(ann.site).documents) == (0, work.MERGE_FROM)
    assert check(ann, "京都") > 1
    assert check(ann, "wrong") == 0


def test_a_segment_is_given_up_when_the_server_ends(ann: Mailbag) -> None:
    """Also between two of its texts; what was read so far is not taken for all."""
    ann.put(*letters(work.TEXT_ROWS + 2))
    stopping = threading.Event()
    assert index_some(ann.site, stopping, rest=lambda _: stopping.set()) == 0
    assert (status(ann.site).documents, status(ann.site).queued) == (0, work.TEXT_ROWS + 2)
    assert index_some(ann.site, rest=no_rest) == work.TEXT_ROWS + 2
    assert check(ann, "京都") > 1


def test_rule_d2_a_large_segment_is_written_bit_by_bit_and_seen_when_it_is_whole(ann: Mailbag) -> None:
    """Searches are exact at each step, nobody counts it before, and one that was given up is taken away."""
    many = range(STEP_ROWS + 10)
    ann.put(*(Letter(body=f"all {'京都' * (at % 500 == 0)}", received_ms=START_MS + at) for at in many))
    stopping = threading.Event()
    seen: list[int] = []

    def rest(_: float) -> None:
        hidden = count_hidden(ann.site)
        seen.append(hidden)
        if hidden:
            assert (status(ann.site).documents, status(ann.site).segments) == (0, 0)
            assert check(ann, "京都") == 5
            stopping.set()

    assert index_some(ann.site, stopping, rest) == 0
    assert seen[-1] == 1
    assert check_site(ann.site.settings, ann.site.blobs) == []
    assert index_some(ann.site, rest=no_rest) == len(many)
    assert (status(ann.site).documents, count_hidden(ann.site)) == (len(many), 0)
    ann.site.service(Index, TESTER).rebuild(Rebuild())
    asked: list[int] = []
    assert index_some(ann.site, rest=lambda _: asked.append(check(ann, "京都"))) == len(many)
    assert set(asked) == {5}
    assert (status(ann.site).segments, count_hidden(ann.site)) == (1, 0)
    assert check_site(ann.site.settings, ann.site.blobs) == []


def test_a_drop_in_the_middle_of_a_large_segment_takes_it_away(ann: Mailbag) -> None:
    """What was written of it is gone with the rest of the index, and no more is written."""
    ann.put(*(Letter(body="all", received_ms=START_MS + at) for at in range(STEP_ROWS + 10)))

    def drop(_: float) -> None:
        if count_hidden(ann.site):
            ann.site.service(Index, TESTER).drop()

    assert index_some(ann.site, rest=drop) == 0
    with ann.site.storage.read() as tx:
        for table in ("index_segment", "index_document", "index_posting", "index_queue"):
            assert ann.site.storage.fetch_all(tx, f"SELECT count(*) FROM {table}", ()) == [(0,)]
    assert search(ann, parse("all"), limit=3).complete


def count_hidden(site: Site) -> int:
    """How many segments nobody sees."""
    with site.storage.read() as tx:
        return len(indexing.hidden_segments(tx, 1))


def test_a_page_of_the_unindexed_costs_few_statements_too(ann: Mailbag) -> None:
    """Texts that are not made yet are made from one query for all of them."""
    ann.put(*letters(50))
    count = statements(ann.site, lambda: search(ann, parse("京都"), limit=50))
    assert count <= 12


def test_rule_j1_mail_that_is_out_of_reach_for_a_while_is_indexed_whole_afterwards(ann: Mailbag) -> None:
    """A disk that is not mounted for a while is no damage: bodies would be lost to searches for good."""
    ann.put(*letters(3))
    blobs = ann.site.settings.blobs.path
    blobs.rename(blobs.with_name("away"))
    with pytest.raises(StorageDown, match="no longer in"):
        index_some(ann.site, rest=no_rest)
    with pytest.raises(StorageDown, match="no longer in"):
        search(ann, parse("京都"))
    blobs.with_name("away").rename(blobs)
    index_all(ann.site)
    assert check(ann, "京都") == 1
