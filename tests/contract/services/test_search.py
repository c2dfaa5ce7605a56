"""Search and its index, locally and over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from email.message import EmailMessage
from typing import Any

import pytest

from mairust_core import wire
from mairust_core.errors import BadQuery, Invalid, NotFound
from mairust_core.model.account import Account, NewAccount
from mairust_core.model.message_change import MessageChange
from mairust_core.model.moment import Moment
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.operations import BytesIn
from mairust_core.services.accounts import Accounts
from mairust_core.services.messages import Messages
from mairust_core.services.search import Search
from tests.contract.services.conftest import Served, serving
from tests.contract.services.words import Ops
from tests.support.searching import index_all


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A served site on each database for this file alone, which indexes all mail there is."""
    with serving(request, tmp_path_factory.mktemp("search")) as found:
        yield found


def mail(subject: str, body: str, filename: str = "") -> bytes:
    """A mail in bytes."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "Bob B <bob@x.example>", "ann@y.example", subject
    made.set_content(body)
    if filename:
        made.add_attachment(b"x", maintype="application", subtype="pdf", filename=filename)
    return made.as_bytes()


@pytest.fixture
def stored(served: Served, ann: Account) -> list[str]:
    """The ids of three mails of Ann's, oldest first."""
    mails = [
        mail("Invoice 12", "Please pay the amount by noon."),
        mail("会議の件", "東京駅で三時に会いましょう。"),
        mail("Report", "As you asked, the amount is in there.", "報告書 Q1.pdf"),
    ]
    return [str(served.here(Messages).append(ann.address, BytesIn(chunks=[one])).id) for one in mails]


FOUND = {
    "amount": [2, 0],
    '"the amount is"': [2],
    "amount -invoice": [2],
    "東京": [1],
    "京駅で": [1],
    "subject:会議 OR subject:report": [2, 1],
    "from:bob@x.example filename:報告": [2],
    "has:attachment": [2],
    "mailbox:inbox is:unread after:2020-01-01": [2, 1, 0],
    "amoun": [],
    "amoun*": [2, 0],
    "subject:inv* OR filename:報*": [2, 0],
    "inv* -amoun*": [],
    "the-am*": [2, 0],
}
"""By query: which of the stored mails it finds."""


@pytest.mark.parametrize("indexed", [False, True])
def test_mail_is_found_from_the_first_moment(
    served: Served, ops: Ops, ann: Account, stored: list[str], indexed: bool
) -> None:
    """Right after it was stored, and the same when it is indexed."""
    if indexed:
        index_all(served.site)
    for query, hits in FOUND.items():
        found = ops(Search).find(q=query, account=ann.address)
        assert [str(one.id) for one in found.items] == [stored[hit] for hit in hits], query
        assert (found.complete, found.unsearched, found.next_cursor) == (True, 0, None), query


def test_hits_are_the_summaries_of_the_list(ops: Ops, ann: Account, stored: list[str]) -> None:
    """To the last field."""
    found = ops(Search).find(q="from:bob", account=ann.address)
    assert found.items == ops(Messages).browse(ann.address).items
    assert len(found.items) == len(stored)


def test_pages_go_on_by_their_cursor(ops: Ops, ann: Account, stored: list[str]) -> None:
    """Each hit once."""
    first = ops(Search).find(q="from:bob", account=ann.address, limit=2)
    assert first.next_cursor is not None
    last = ops(Search).find(q="from:bob", account=ann.address, limit=2, cursor=first.next_cursor)
    assert [str(one.id) for one in (*first.items, *last.items)] == stored[::-1]
    assert last.next_cursor is None


def test_trap_a5_search_text_is_data(ops: Ops, ann: Account, stored: list[str]) -> None:
    """Syntax of SQL, LIKE, FTS5 or tsquery finds nothing, breaks nothing and reaches no other mail."""
    for hostile in ("%", "_%_", "*", "' OR 1=1 --", '"a" NEAR/2 "b"', "amount:*", "!amount & x", "a\\"):
        with suppress(BadQuery):  # told: there is nothing to look for
            assert ops(Search).find(q=hostile, account=ann.address).items == ()


def test_faults_are_told(ops: Ops, ann: Account) -> None:
    """With their class; an account or mailbox that is not there is one."""
    with pytest.raises(BadQuery, match="character 3"):
        ops(Search).find(q='a "b', account=ann.address)
    with pytest.raises(NotFound, match="no account"):
        ops(Search).find(q="a", account=f"x.{ann.address}")
    with pytest.raises(NotFound, match="no mailbox"):
        ops(Search).find(q="a OR mailbox:Gone", account=ann.address)
    with pytest.raises(Invalid):
        ops(Search).find(q="a", account=ann.address, limit=0)
    with pytest.raises(Invalid):
        ops(Search).find(q="a", account=ann.address, cursor="1-x")


@pytest.mark.parametrize("indexed", [False, True])
def test_a_list_can_be_searched(
    served: Served, ops: Ops, ann: Account, stored: list[str], indexed: bool
) -> None:
    """Contract §3: `?q=` beside the list's own filters, with a search's word on whether that is all."""
    here = served.here(Messages)
    here.change(stored[0], MessageChange(add_tags=("bill",), add_flags=("\\Seen", "Later")))
    if indexed:
        index_all(served.site)

    def found(**asked: Any) -> list[int]:
        page = ops(Messages).browse(ann.address, **asked).found()
        assert (page.complete, page.unsearched) == (True, 0)
        return [stored.index(str(one.id)) for one in page.items]

    assert found(q="amount") == [2, 0]
    assert found(q="amount", tag="bill") == [0]
    assert found(q="amount", flag="\\seen") == [0]
    assert found(q="amount", flag="later") == [0]
    assert found(q="amount", unflag="LATER") == [2]
    assert found(q="amount", unflag="\\Seen", mailbox="inbox") == [2]
    assert found(q="amount OR 会議", unflag="\\Seen") == [2, 1]
    assert found(q="amount", before=Moment("2020-01-01")) == []
    assert found(q="amount", since=Moment("2020-01-01")) == [2, 0]
    first = ops(Messages).browse(ann.address, q="amount", limit=1)
    assert first.next_cursor is not None
    assert found(q="amount", cursor=first.next_cursor) == [0]


def test_a_list_that_is_not_searched_is_a_list(ops: Ops, ann: Account, stored: list[str]) -> None:
    """Without `complete`; an empty search is told, as are one of the trash and a mailbox not there."""
    assert wire.encode(ops(Messages).browse(ann.address)).keys() == {"items", "next_cursor"}
    for faulty in ("", " ", "a OR"):
        with pytest.raises(BadQuery):
            ops(Messages).browse(ann.address, q=faulty)
    with pytest.raises(Invalid, match="trash cannot be searched"):
        ops(Messages).browse(ann.address, q="amount", deleted=True)
    with pytest.raises(NotFound, match="no mailbox"):
        ops(Messages).browse(ann.address, q="amount", mailbox="Gone")


def test_trap_a2_a_searched_list_reaches_no_further(served: Served, ann: Account, stored: list[str]) -> None:
    """Another account's key finds no account, whatever it asks for."""
    other = served.here(Accounts).add(NewAccount(address=f"x{ann.address}"))
    key = served.issue(Scope.READ, reach=ReachKind.ACCOUNT, subject=other.address)
    with pytest.raises(NotFound, match="no account"):
        served.there(Messages, key).browse(ann.address, q="amount")
    assert served.there(Messages, key).browse(other.address, q="amount").items == ()
