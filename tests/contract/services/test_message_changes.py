"""Changing, deleting and finding messages by what was changed, locally and over HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from mairust_core import wire
from mairust_core.errors import Invalid, NotFound
from mairust_core.model.account import Account
from mairust_core.model.copies import Folders, NewFolders
from mairust_core.model.forms import values_of
from mairust_core.model.mailbox import MailboxRef, MailboxRename, NewMailbox
from mairust_core.model.message import Changed, Summary
from mairust_core.model.message_change import MessageChange
from mairust_core.model.moment import Moment
from mairust_core.model.principal import Principal, Scope
from mairust_core.operations import BytesIn
from mairust_core.services.importing import Imports
from mairust_core.services.mailboxes import Mailboxes
from mairust_core.services.messages import Messages
from mairust_core.store import placements
from mairust_core.store.tables import placement
from tests.contract.services.conftest import Served
from tests.contract.services.test_messages import MAIL, put
from tests.contract.services.words import Ops, S
from tests.support.told import whole

SECRET = b"Subject: secret\r\n\r\nx"


def change(ops: Ops, one: Summary, **wanted: Any) -> Changed:
    """Change a message."""
    return whole(ops(Messages).change(str(int(one.id)), MessageChange(**wanted)))


def in_a_list(changed: Changed) -> dict[str, Any]:
    """What a list shows of it."""
    return {name: value for name, value in values_of(changed).items() if name != "metadata"}


def found(ops: Ops, account: Account, **wanted: Any) -> set[int]:
    """The ids of a list."""
    return {int(one.id) for one in ops(Messages).browse(account.address, **wanted).items}


def test_flags_are_added_removed_and_replaced(ops: Ops, ann: Account) -> None:
    """System flags in any case, keywords as first written; the answer is what a list shows."""
    one = put(ops, ann, MAIL)
    assert change(ops, one, add_flags=("\\seen", "$Junk", "x")).flags == ("\\Seen", "$Junk", "x")
    assert change(ops, one, add_flags=("$JUNK",), remove_flags=("X", "\\SEEN")).flags == ("$Junk",)
    changed = change(ops, one, flags=("\\Draft", "\\Answered", "y"))
    assert changed.flags == ("\\Answered", "\\Draft", "y")
    assert list(map(values_of, ops(Messages).browse(ann.address).items)) == [in_a_list(changed)]


@pytest.mark.parametrize(
    "flag",
    ["\\Deleted", "\\Recent", "\\recent", "\\Nope", "a b", "", "a(", "ä", "x" * 65, 'a"', "a\\b", "%", "]"],
)
def test_a_flag_that_cannot_be_set_is_refused(ops: Ops, ann: Account, flag: str) -> None:
    """By every way to set one, and as a filter."""
    one = put(ops, ann, MAIL)
    for wanted in ({"add_flags": (flag,)}, {"remove_flags": (flag,)}, {"flags": (flag,)}):
        with pytest.raises(Invalid):
            change(ops, one, **wanted)
    with pytest.raises(Invalid):
        ops(Messages).append(ann.address, BytesIn(chunks=[MAIL]), flag=(flag,))
    if flag:
        with pytest.raises(Invalid):
            ops(Messages).browse(ann.address, flag=flag)
    assert ops(Messages).show(str(int(one.id))).flags == ()


def test_whatever_flag_a_message_has_can_be_removed(ops: Ops, ann: Account, served: Served) -> None:
    """What IMAP cannot carry, or only IMAP sets, and more keywords than there may be: one by one."""
    one = put(ops, ann, MAIL)
    odd = ["日本語(x)", "k" * 80, *(f"k{number}" for number in range(66))]
    with served.site.storage.write() as tx:
        tx.execute(update(placement).values(flags=8, keywords=json.dumps(odd)))
    left = change(ops, one, remove_flags=("\\deleted", "日本語(x)", "k" * 80)).flags
    assert left == tuple(odd[2:])
    with pytest.raises(Invalid, match="more than 64"):
        change(ops, one, add_flags=("a", "b", "c"))
    with pytest.raises(Invalid, match="is no keyword"):
        change(ops, one, remove_flags=("日本語(x)",))
    assert change(ops, one, remove_flags=left[:3]).flags == left[3:]


def test_tags_are_texts_of_ones_own(ops: Ops, ann: Account) -> None:
    """In their order, each once, in composed form; up to 64 at once, 256 in all, of up to 64 characters."""
    one = put(ops, ann, MAIL)
    assert change(ops, one, add_tags=("to pay", "請求書", "to pay")).tags == ("to pay", "請求書")
    assert change(ops, one, add_tags=("bill",), remove_tags=("to pay", "nope")).tags == ("請求書", "bill")
    assert change(ops, one, tags=("u\u0308",)).tags == ("\u00fc",)
    many = tuple(f"tag {number}" for number in range(64))
    assert change(ops, one, tags=many).tags == many
    with pytest.raises(Invalid, match="more than 64"):
        change(ops, one, tags=(*many, "one more"))
    for part in "bcd":
        change(ops, one, add_tags=tuple(f"{part} {number}" for number in range(64)))
    with pytest.raises(Invalid, match="more than 256"):
        change(ops, one, add_tags=("one more",))
    for wrong in ("", " a", "a ", "a\nb", "\u202ea", "x" * 65):
        with pytest.raises(Invalid, match="is no tag"):
            change(ops, one, add_tags=(wrong,))


def test_more_keywords_than_a_message_can_have_are_refused(ops: Ops, ann: Account) -> None:
    """64."""
    one = put(ops, ann, MAIL)
    change(ops, one, flags=tuple(f"k{number}" for number in range(64)))
    with pytest.raises(Invalid, match="more than 64"):
        change(ops, one, add_flags=("another",))


def test_metadata_is_merged_by_name(ops: Ops, ann: Account) -> None:
    """A name is replaced as a whole, null takes it away, the others stay; the answer has them all."""
    one = put(ops, ann, MAIL)
    given = {"org.a": {"score": 1.5, "why": ["x", None]}, "org.b": "text"}
    assert change(ops, one, metadata=given).metadata == given
    changed = change(ops, one, metadata={"org.a": None, "org.c": {"日": True}})
    assert changed.metadata == {"org.b": "text", "org.c": {"日": True}}
    assert change(ops, one, add_tags=("x",)).metadata == changed.metadata
    assert ops(Messages).show(str(int(one.id))).metadata == changed.metadata
    with pytest.raises(Invalid, match="16384 are possible"):
        change(ops, one, metadata={"org.a": "x" * 17_000})
    with pytest.raises(Invalid, match="more than 256 names"):
        change(ops, one, metadata={f"n{number}": 1 for number in range(256)})
    with pytest.raises(Invalid, match="not a name"):
        change(ops, one, metadata={"": 1})


def test_rule_f2_metadata_of_a_plugin_is_its_own(ops: Ops, served: Served, ann: Account) -> None:
    """It is told to it as what it wrote itself; whoever has the mail may take it away, and not forge it."""
    one, name = put(ops, ann, MAIL), "plugin:com.example.test:known"
    with pytest.raises(Invalid, match="by that plugin alone"):
        change(ops, one, metadata={"org.a": 1, name: True})
    with served.site.storage.write() as tx:
        held = placements.hold(tx, Principal.local("tester"), one.id)
        placements.change(tx, held, MessageChange(metadata={name: 1}))
    assert change(ops, one, metadata={"org.a": 1}).metadata == {"org.a": 1, name: 1}
    assert change(ops, one, metadata={name: None}).metadata == {"org.a": 1}


@pytest.mark.parametrize(("old", "new"), [(1, True), (True, 1), (False, 0), (1, 1.0), ([0], [False])])
def test_metadata_that_json_tells_apart_is_changed(ops: Ops, ann: Account, old: Any, new: Any) -> None:
    """For Python true equals 1."""
    one = put(ops, ann, MAIL)
    change(ops, one, metadata={"org.a": old})
    change(ops, one, metadata={"org.a": new})
    found = ops(Messages).show(str(int(one.id))).metadata["org.a"]
    assert json.dumps(found) == json.dumps(new)


def test_what_is_left_out_stays(ops: Ops, ann: Account) -> None:
    """A change of one thing touches no other, and an empty one nothing."""
    ops(Mailboxes).create(ann.address, NewMailbox(name="Work"))
    one = put(ops, ann, MAIL)
    change(ops, one, flags=("\\Seen",), tags=("a",), mailbox="Work")
    before = ops(Messages).show(str(int(one.id)))
    assert change(ops, one) == change(ops, one, mailbox="Work", add_tags=("a",))
    assert ops(Messages).show(str(int(one.id))) == before


def test_a_message_moves_between_mailboxes_of_its_account(ops: Ops, ann: Account) -> None:
    """A mailbox that is not there is told, and nothing of the change is done."""
    ops(Mailboxes).create(ann.address, NewMailbox(name="Work"))
    one = put(ops, ann, MAIL)
    moved = change(ops, one, mailbox="Work")
    assert (moved.id, moved.mailbox, moved.uid) == (one.id, "Work", 1)
    with pytest.raises(NotFound, match="has no mailbox Gone"):
        change(ops, one, mailbox="Gone", add_flags=("\\Seen",))
    assert list(map(values_of, ops(Messages).browse(ann.address).items)) == [in_a_list(moved)]


def test_flags_are_given_either_whole_or_by_difference(ops: Ops, ann: Account) -> None:
    """Both at once make no sense."""
    one = put(ops, ann, MAIL)
    for wanted in ({"flags": (), "add_flags": ("\\Seen",)}, {"tags": ("a",), "remove_tags": ("a",)}):
        with pytest.raises(Invalid, match="no place beside it"):
            change(ops, one, **wanted)


def test_a_deleted_message_is_shown_and_listed_apart(ops: Ops, ann: Account) -> None:
    """It can be read as before; the answer says until when it can be undeleted."""
    one, kept = put(ops, ann, MAIL), put(ops, ann, MAIL)
    id_ = str(int(one.id))
    deleted = ops(Messages).delete(id_)
    assert (deleted.id, deleted.removed) == (one.id, True)
    assert deleted.undelete_until is not None
    shown = ops(Messages).show(id_)
    assert shown.deleted_at == deleted.undelete_until - timedelta(days=30)
    assert (shown.mailbox, shown.uid, shown.subject) == ("INBOX", 0, one.subject)
    assert b"".join(ops(Messages).raw(id_).chunks) == MAIL
    assert found(ops, ann) == {int(kept.id)}
    assert found(ops, ann, deleted=True) == {int(one.id)}
    assert ops(Messages).delete(id_) == deleted
    assert whole(ops(Messages).undelete(id_)).deleted_at is None
    assert found(ops, ann, deleted=True) == set()


def test_append_sets_flags_tags_and_date(ops: Ops, ann: Account) -> None:
    """The internal date orders the list; a message seen already does not count as unseen."""
    date = datetime(2001, 2, 3, 4, 5, 6, 789_000, tzinfo=UTC)
    newer = put(ops, ann, MAIL)
    old = ops(Messages).append(
        ann.address, BytesIn(chunks=[MAIL]), flag=("\\SEEN", "$Junk"), tag=("a, b", "c"), date=date
    )
    assert (old.received_at, old.flags, old.tags) == (date, ("\\Seen", "$Junk"), ("a, b", "c"))
    assert [one.id for one in ops(Messages).browse(ann.address).items] == [newer.id, old.id]
    assert found(ops, ann, tag="a, b") == {int(old.id)}
    for wrong in (datetime(1969, 12, 31, tzinfo=UTC), datetime(2001, 1, 1)):  # noqa: DTZ001 - the point
        with pytest.raises(Invalid, match="date"):
            ops(Messages).append(ann.address, BytesIn(chunks=[MAIL]), date=wrong)


def test_lists_are_narrowed_by_what_is_given(ops: Ops, ann: Account) -> None:
    """Mailbox, tag, flag, unflag, since and before, alone and together, in and out of the trash."""
    ops(Mailboxes).create(ann.address, NewMailbox(name="Work"))
    start = datetime(2026, 1, 1, tzinfo=UTC)
    ids = []
    for number in range(12):
        one = ops(Messages).append(
            ann.address,
            BytesIn(chunks=[MAIL]),
            mailbox="Work" if number % 2 else "INBOX",
            flag=(*(("\\Seen",) if number % 3 == 0 else ()), *(("$Junk",) if number % 4 == 0 else ())),
            tag=("odd",) if number % 2 else (),
            date=start + timedelta(days=number),
        )
        ids.append(int(one.id))
    for number in (10, 11):
        ops(Messages).delete(str(ids[number]))
    live = range(10)
    asked: list[tuple[dict[str, Any], set[int]]] = [
        ({}, {*live}),
        ({"mailbox": "Work"}, {n for n in live if n % 2}),
        ({"tag": "odd"}, {n for n in live if n % 2}),
        ({"tag": "odd", "mailbox": "INBOX"}, set()),
        ({"tag": "Odd"}, set()),
        ({"flag": "\\seen"}, {n for n in live if n % 3 == 0}),
        ({"unflag": "\\Seen"}, {n for n in live if n % 3}),
        ({"flag": "$JUNK", "unflag": "\\Seen"}, {4, 8}),
        ({"flag": "$junkyard"}, set()),
        ({"flag": "_Junk"}, set()),
        (
            {"since": Moment.of(start + timedelta(days=3)), "before": Moment.of(start + timedelta(days=7))},
            {3, 4, 5, 6},
        ),
        ({"since": Moment.of(start + timedelta(days=3)), "tag": "odd", "flag": "\\Seen"}, {3, 9}),
        ({"deleted": True}, {10, 11}),
        ({"deleted": True, "tag": "odd"}, {11}),
        ({"deleted": True, "mailbox": "INBOX"}, {10}),
        ({"deleted": True, "flag": "\\Seen"}, set()),
    ]
    for wanted, expected in asked:
        assert found(ops, ann, **wanted) == {ids[number] for number in expected}, wanted


def test_filtered_lists_go_through_pages(ops: Ops, ann: Account) -> None:
    """Every message once, newest first, whatever the size of a page."""
    ids = [int(put(ops, ann, MAIL).id) for _ in range(7)]
    for id_ in ids[::2]:
        ops(Messages).change(str(id_), MessageChange(add_tags=("t",), add_flags=("\\Flagged",)))
    for wanted in ({"tag": "t"}, {"flag": "\\Flagged"}):
        seen: list[int] = []
        cursor: str | None = ""
        while cursor is not None:
            page = ops(Messages).browse(ann.address, cursor=cursor, limit=2, **wanted)  # type: ignore[arg-type]  # a filter of texts
            seen += [int(one.id) for one in page.items]
            cursor = page.next_cursor
        assert seen == ids[::2][::-1]


def test_who_may_not_read_is_told_an_id_and_nothing_else(served: Served, ann: Account) -> None:
    """A change that changes nothing is no way to read a mail (rule G4)."""
    id_ = str(int(put(served.here, ann, SECRET).id))
    headers = {"authorization": f"Bearer {served.issue(Scope.WRITE)}"}
    url = f"{served.http.url}/api/v1/messages/{id_}"
    with httpx.Client(headers=headers, trust_env=False) as client:
        for answer in (
            client.patch(url, json={}),
            client.patch(url, json={"add_flags": ["\\Seen"]}),
            client.post(f"{url}/release"),
            client.post(f"{url}/undelete"),
        ):
            assert (answer.status_code, answer.json()) == (200, {"id": id_})
    assert served.here(Messages).show(id_).flags == ("\\Seen",)
    remote = served.there(Messages, served.issue(Scope.WRITE))
    assert wire.encode(remote.change(id_, MessageChange(add_tags=("bill",)))) == {"id": id_}
    reader = served.there(Messages, served.issue(Scope.WRITE, Scope.READ))
    assert whole(reader.change(id_, MessageChange())).subject == "secret"


@pytest.mark.parametrize("way", ["locally", "remotely"])
def test_who_may_not_read_is_told_nothing_of_what_else_is_there(
    served: Served, ann: Account, way: str
) -> None:
    """An appended mail tells neither how many there are nor into which thread it came; a mailbox no count."""
    by, key = Principal(name="writer", scopes=frozenset({Scope.WRITE})), served.issue(Scope.WRITE)

    def asked(kind: type[S]) -> S:
        return served.site.service(kind, by) if way == "locally" else served.there(kind, key)

    served.here(Mailboxes).create(ann.address, NewMailbox(name="Work"))
    first = put(served.here, ann, b"Subject: a\r\nMessage-ID: <1@x.example>\r\n\r\nx", mailbox="Work")
    reply = BytesIn(chunks=[b"Subject: Re: a\r\nIn-Reply-To: <1@x.example>\r\n\r\ny"])
    told = asked(Messages).append(ann.address, reply, mailbox="Work", flag=("\\Seen",), tag=("t",))
    assert (told.thread_id, told.uid, told.mailbox, told.flags, told.tags) == (told.id, 0, "", (), ())
    assert (told.subject, told.account, told.preview) == ("Re: a", ann.address, "y")
    kept = served.here(Messages).show(str(int(told.id)))
    assert (kept.thread_id, kept.uid, kept.mailbox, kept.tags) == (first.thread_id, 2, "Work", ("t",))
    renamed = asked(Mailboxes).rename(ann.address, MailboxRename(name="Work", to="Old"))
    assert renamed == MailboxRef(name="Old")
    made = asked(Imports).prepare(ann.address, NewFolders(mailboxes=("New",), subscribed=("New",)))
    assert made == Folders(mailboxes=("New",), subscribed=("New",))


def test_what_is_told_to_whom_may_not_read_holds_here_too(served: Served, ann: Account) -> None:
    """The service says it, not the wire."""
    id_ = put(served.here, ann, SECRET).id
    by = Principal(name="writer", scopes=frozenset({Scope.WRITE}))
    told = served.site.service(Messages, by).change(str(int(id_)), MessageChange())
    assert wire.encode(told) == {"id": str(int(id_))}
