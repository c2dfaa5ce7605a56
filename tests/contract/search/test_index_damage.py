"""Parts of the index are lost or damaged: searches miss nothing, a rebuild mends it (rule J1, trap D6)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mairust_core.doctor.searches import index
from mairust_core.model.search import Rebuild
from mairust_core.search.grammar import parse
from mairust_core.search.indexing import has_work, index_some
from mairust_core.services.index import Index
from mairust_core.services.messages import Messages
from mairust_core.store import indexing
from tests.contract.search.test_engines import check, no_rest, search
from tests.contract.search.test_index_life import index_apart, letters, run, status
from tests.support.invariants import check_site
from tests.support.searching import TESTER, Letter, Mailbag, index_all

LOSSES = {
    "segments": "DELETE FROM index_segment",
    "one segment": "DELETE FROM index_segment WHERE id = 2",
    "documents": "DELETE FROM index_document WHERE position >= 4",
    "postings": "DELETE FROM index_posting",
    "everything": "DELETE FROM index_segment; DELETE FROM index_document; DELETE FROM index_posting",
    "a queue": "DELETE FROM index_queue",
}
GARBAGE = {"odd": b"\x01\x02\x03", "beyond the last": b"\xff\x7f\x00\x10", "long": bytes(range(251))}


def lose(ann: Mailbag, statements: str) -> None:
    """Run statements, one by one."""
    for one in statements.split("; "):
        run(ann.site, one)


@contextmanager
def mended(ann: Mailbag) -> Iterator[None]:
    """After the block a rebuild makes a whole index, and no search warns any more."""
    yield
    ann.site.service(Index, TESTER).rebuild(Rebuild())
    index_all(ann.site)
    assert (status(ann.site).documents, status(ann.site).queued) == (len(ann.letters), 0)
    assert not has_work(ann.site)
    assert check_site(ann.site.settings, ann.site.blobs) == []


def filled(ann: Mailbag) -> None:
    """Some segments, and some mail that is queued."""
    ann.put(*letters(24))
    assert index_apart(ann, 8) == 3
    ann.put(*letters(3))


@pytest.mark.parametrize("lost", LOSSES.values(), ids=LOSSES)
def test_rule_j1_what_an_index_lost_is_found_all_the_same(
    ann: Mailbag, lost: str, caplog: pytest.LogCaptureFixture
) -> None:
    """By reading texts; it is told, and a rebuild puts it back."""
    filled(ann)
    with mended(ann):
        lose(ann, lost)
        for query in ("京都", "one of three", "subject:letter 京都 -more", "nowhere"):
            check(ann, query)
        assert search(ann, parse("京都"), limit=50).complete
        assert "mairust index rebuild" in caplog.text
        caplog.clear()
    assert check(ann, "京都") == 9
    assert caplog.text == ""


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("place", ["index_segment SET partial", "index_posting SET data"])
def test_trap_d6_a_damaged_part_of_the_index_is_told_and_searched_without(
    ann: Mailbag, garbage: bytes, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Instead of failing; a rebuild makes it anew."""
    filled(ann)
    with mended(ann):
        run(ann.site, f"UPDATE {place} = ?", garbage)
        assert check(ann, "京都") == 9
        assert "of the search index is damaged" in caplog.text
        caplog.clear()
    assert check(ann, "京都") == 9
    assert caplog.text == ""


def test_a_rebuild_of_one_account_puts_back_what_is_missing(ann: Mailbag) -> None:
    """Also when no part of its index is left that could be marked."""
    filled(ann)
    run(ann.site, "DELETE FROM index_segment")
    ann.site.service(Index, TESTER).rebuild(Rebuild(account=ann.address))
    assert index_some(ann.site, rest=no_rest) == 27
    assert check(ann, "京都") == 9


def test_what_purged_mail_conceals_is_put_back_by_a_rebuild(ann: Mailbag) -> None:
    """A rebuild compares messages, not counts."""
    filled(ann)
    gone = sorted(ann.letters)[:16]
    for table, column in (("placement", "message_id"), ("message", "id")):
        for one in gone:
            run(ann.site, f"DELETE FROM {table} WHERE {column} = ?", one)
    run(ann.site, "UPDATE mailbox SET messages = 11")
    run(ann.site, "DELETE FROM index_segment WHERE id = 3")
    for one in gone:
        del ann.letters[one]
    ann.site.service(Index, TESTER).rebuild(Rebuild())
    index_all(ann.site)
    assert check(ann, "京都") == len([one for one in ann.letters.values() if "京都" in one.body])


def test_rule_j1_mail_in_the_trash_conceals_none_that_the_index_lost(
    ann: Mailbag, caplog: pytest.LogCaptureFixture
) -> None:
    """It is in a segment as all other mail."""
    filled(ann)
    for one in sorted(ann.letters)[:8]:
        ann.site.service(Messages, TESTER).delete(str(one))
        del ann.letters[one]
    assert check(ann, "京都") > 0
    assert caplog.text == ""
    run(ann.site, "DELETE FROM index_segment WHERE id = 2")
    check(ann, "京都")
    assert "mairust index rebuild" in caplog.text


def test_a_look_for_what_is_missing_goes_on_after_it_was_stopped(ann: Mailbag) -> None:
    """It is asked for in the database, and what it has queued stays queued."""
    filled(ann)
    run(ann.site, "DELETE FROM index_segment")
    ann.site.service(Index, TESTER).rebuild(Rebuild())
    stopping = threading.Event()
    assert index_some(ann.site, stopping, rest=lambda _: stopping.set()) == 0
    assert status(ann.site).queued == 27
    assert has_work(ann.site)
    assert index_some(ann.site, rest=no_rest) == 27
    assert not has_work(ann.site)


def test_doctor_tells_of_an_index_that_lacks_mail(ann: Mailbag) -> None:
    """By counts: of mailboxes, of the trash, of segments and of the queue; not while it is dropped."""
    site = ann.site
    filled(ann)
    site.service(Messages, TESTER).delete(str(max(ann.letters)))
    assert [*index(site.settings, site.storage)] == []
    run(site, "DELETE FROM index_segment WHERE id = 2")
    (found,) = index(site.settings, site.storage)
    assert (found.id, found.values) == ("search.index", {"count": 8, "accounts": 1})
    site.service(Index, TESTER).drop()
    assert [*index(site.settings, site.storage)] == []


def test_doctor_tells_of_an_index_that_is_behind(ann: Mailbag) -> None:
    """Searches read the text of every message that waits."""
    site = ann.site
    filled(ann)
    assert [*index(site.settings, site.storage)] == []
    (found,) = index(site.settings, site.storage, behind=3)
    assert (found.id, found.values) == ("search.behind", {"count": 3})


def test_a_segment_takes_no_row_that_a_lost_one_left(ann: Mailbag) -> None:
    """Its id may be used again."""
    filled(ann)
    run(ann.site, "DELETE FROM index_segment")
    ann.put(Letter(body="new"))
    assert index_some(ann.site, rest=no_rest) == 4
    with ann.site.storage.read() as tx:
        assert len(indexing.members(tx, [1])) == 4
    assert check(ann, "new") == 1
