"""Lists that are encoded straight from rows say what the operation says, byte for byte, on both databases."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, update

from mairust_core import wire
from mairust_core.errors import Forbidden, Invalid, NotFound
from mairust_core.model.account import Account
from mairust_core.model.principal import Principal, Reach, ReachKind, Scope
from mairust_core.operations import BytesIn, Operation
from mairust_core.operations.calling import call_encoded
from mairust_core.services.messages import Messages
from mairust_core.services.registry import SERVICES
from mairust_core.store.tables import message, placement
from tests.contract.services.conftest import Served

BROWSE: Operation = Messages.operations["browse"]
MADE = [
    b"",
    b"Subject: x\r\n\r\n",
    b'From: a@b.example\r\nTo: c@d.example, e@f.example\r\nCc: "G, H" <g@h.example>\r\n\r\nHello.\r\n',
    "Subject: 日本語 \U0001f4e7\r\nFrom: =?utf-8?b?5bGx55Sw?= <y@z.example>\r\n\r\n本文\r\n".encode(),
    b'Subject: "quoted" \\ </script>\r\nDate: Mon, 1 Jan 2001 00:00:00 +0900\r\n\r\n',
    b"Date: Fri, 31 Dec 9999 23:59:59 -1200\r\n\r\n",
    b"Date: Thu, 1 Jan 1970 00:00:00 +1400\r\nTo: undisclosed-recipients:;\r\n\r\n",
    b'Content-Type: application/pdf; name="a.pdf"\r\nContent-Disposition: attachment\r\n\r\n%PDF',
    b"From: <>\r\nTo: \xff\xfe <x>\r\nSubject: \x01\x02\x7f\r\n\r\n\x00\x1b",
]


def encoded(served: Served, by: Principal, address: str, **options: Any) -> Any:
    """The answer as REST makes it."""
    return call_encoded(BROWSE, served.site.service(Messages, by), [address], options)


def both(served: Served, address: str, **options: Any) -> tuple[bytes, bytes]:
    """The document both ways."""
    here = served.here(Messages)
    return wire.render(encoded(served, here.by, address, **options)), wire.dumps(
        here.browse(address, **options)
    )


@pytest.fixture
def full(served: Served, ann: Account) -> Account:
    """An account with a mail of every kind, with flags, keywords and tags on some."""
    here = served.here(Messages)
    ids = [here.append(ann.address, BytesIn(chunks=[data])).id for data in MADE]
    with served.site.storage.write() as tx:
        for bits, one in enumerate(ids):
            tx.execute(update(placement).where(placement.c.message_id == one).values(flags=bits * 3))
        last = placement.c.message_id == ids[-1]
        tx.execute(update(placement).where(last).values(keywords='["$Junk","日本"]'))
        tx.execute(update(message).where(message.c.id == ids[0]).values(tags='["a","b c"]'))
    return ann


def test_the_documents_are_the_same(served: Served, full: Account) -> None:
    """All at once, by mailbox, and page by page to the end."""
    for options in ({}, {"mailbox": "INBOX"}, {"limit": 1}, {"limit": len(MADE)}, {"limit": 500}):
        fast, slow = both(served, full.address, **options)
        assert fast == slow
    cursor: str | None = ""
    seen = 0
    while cursor is not None:
        fast, slow = both(served, full.address, limit=2, cursor=cursor, mailbox="INBOX")
        assert fast == slow
        page = served.here(Messages).browse(full.address, limit=2, cursor=cursor, mailbox="INBOX")
        cursor, seen = page.next_cursor, seen + len(page.items)
    assert seen == len(MADE)


def test_the_documents_of_real_mail_are_the_same(served: Served, ann: Account) -> None:
    """The whole corpus, in pages of 100."""
    corpora = os.environ.get("MAIRUST_CORPORA")
    if not corpora:
        pytest.skip("MAIRUST_CORPORA names no directory of corpora")
    found = sorted(Path(corpora, "mime").glob("*.eml"))
    assert len(found) >= 300
    for path in found:
        served.here(Messages).append(ann.address, BytesIn(chunks=[path.read_bytes()]))
    cursor: str | None = ""
    while cursor is not None:
        fast, slow = both(served, ann.address, limit=100, cursor=cursor)
        assert fast == slow
        cursor = served.here(Messages).browse(ann.address, limit=100, cursor=cursor).next_cursor


@pytest.mark.parametrize(
    ("address", "options"),
    [
        ("nobody@nowhere.example", {}),
        ("no address", {}),
        ("ann\0@x.example", {}),
        ("\ud800@x.example", {}),
        (None, {"limit": 0}),
        (None, {"limit": 501}),
        (None, {"limit": -1}),
        (None, {"cursor": "junk"}),
        (None, {"cursor": "1-2-3"}),
        (None, {"cursor": "9" * 18 + "-" + "9" * 19}),
        (None, {"cursor": "a\0"}),
        (None, {"mailbox": "gone"}),
        (None, {"mailbox": "a\0"}),
        (None, {"mailbox": "inbox' OR 1=1 --"}),
    ],
)
def test_errors_are_the_same(
    served: Served, ann: Account, address: str | None, options: dict[str, Any]
) -> None:
    """Class and text, whatever is wrong."""
    told = []
    here, where = served.here(Messages), address or ann.address
    calls: list[Callable[[], Any]] = [
        lambda: encoded(served, here.by, where, **options),
        lambda: wire.encode(here.browse(where, **options)),
    ]
    for call in calls:
        try:
            told.append(repr(call()))
        except (Invalid, NotFound) as error:
            told.append(f"{type(error).__name__}: {error}")
    assert told[0] == told[1]


def test_trap_a2_reach_and_scope_hold_here_too(served: Served, full: Account, domain: str) -> None:
    """The caller is in the query, also when the statement was compiled for another one before."""
    own = Reach(kind=ReachKind.ACCOUNT, id=full.id)
    readers = [Principal(name="x", scopes=frozenset({Scope.READ}), reach=own)]
    readers.append(Principal(name="y", scopes=frozenset({Scope.READ}), reach=Reach()))
    for by in readers:
        assert len(encoded(served, by, full.address)["items"]) == len(MADE)
    strangers = [
        Reach(kind=ReachKind.ACCOUNT, id=type(full.id)(full.id + 1)),
        Reach(kind=ReachKind.DOMAIN, id=type(full.id)(1)),
    ]
    for reach in strangers:
        with pytest.raises(NotFound):
            encoded(served, Principal(name="z", scopes=frozenset({Scope.READ}), reach=reach), full.address)
    with pytest.raises(NotFound):
        encoded(served, Principal(name="t", scopes=frozenset({Scope.READ}), tenant_id=2), full.address)
    with pytest.raises(Forbidden):
        encoded(served, Principal(name="w", scopes=frozenset({Scope.WRITE})), full.address)


@pytest.mark.parametrize("options", [{}, {"mailbox": "INBOX"}])
def test_a_page_is_a_bounded_number_of_statements(
    served: Served, full: Account, options: dict[str, str]
) -> None:
    """However many messages there are on it."""
    counted: list[str] = []

    def count(*arguments: Any) -> None:
        counted.append(arguments[2])

    engine = served.site.storage.engine
    event.listen(engine, "before_cursor_execute", count)
    try:
        for limit in (1, 5, 500):
            counted.clear()
            encoded(served, served.here(Messages).by, full.address, limit=limit, **options)
            selects = [one for one in counted if one.lstrip().startswith("SELECT")]
            assert len(selects) == (3 if options else 2)
    finally:
        event.remove(engine, "before_cursor_execute", count)


def test_every_encoded_answer_is_compared_here() -> None:
    """A second one needs its own comparison."""
    assert [op.id for kind in SERVICES for op in kind.operations.values() if op.encoded] == [
        "messages.browse"
    ]
