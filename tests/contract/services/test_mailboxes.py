"""Mailboxes, locally and over HTTP."""

from __future__ import annotations

import pytest

from mairust_core.errors import Conflict, Invalid, NotFound
from mairust_core.model.account import Account
from mairust_core.model.mailbox import MailboxRename, NewMailbox
from mairust_core.services.accounts import Accounts
from mairust_core.services.mailboxes import Mailboxes
from mairust_core.services.messages import Messages
from tests.contract.services.test_messages import MAIL, put
from tests.contract.services.words import Ops
from tests.support.told import whole


def names(ops: Ops, account: Account) -> list[str]:
    """The account's mailboxes."""
    return [one.name for one in ops(Accounts).mailboxes(account.address).items]


def create(ops: Ops, account: Account, *wanted: str) -> None:
    """Make mailboxes."""
    for name in wanted:
        ops(Mailboxes).create(account.address, NewMailbox(name=name))


@pytest.mark.parametrize(
    "name",
    ["Work", "Work/2026", "受信/請求書", "Entwürfe", "a b", "R&D", "inbox/Lists", "quarantined", "a\\b"],
)
def test_a_mailbox_is_created_empty(ops: Ops, ann: Account, name: str) -> None:
    """Under any name that IMAP can carry; it is listed and takes mail at once."""
    made = ops(Mailboxes).create(ann.address, NewMailbox(name=name))
    assert (made.messages, made.unseen, made.uidnext) == (0, 0, 1)
    assert made in ops(Accounts).mailboxes(ann.address).items
    assert put(ops, ann, MAIL, mailbox=made.name).mailbox == made.name


def test_mailboxes_come_in_pages(ops: Ops, ann: Account) -> None:
    """INBOX first, each once, also when the last of a page is gone since; all of them without a limit."""
    create(ops, ann, "B", "A", "Z/ü", "a")
    every = ops(Accounts).mailboxes(ann.address)
    assert every.next_cursor is None
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = ops(Accounts).mailboxes(ann.address, cursor=cursor, limit=2)
        assert len(page.items) <= 2
        seen += [one.name for one in page.items]
        cursor = page.next_cursor
        if seen[-1] == "A":
            ops(Mailboxes).delete(ann.address, name="A")
    assert seen == [one.name for one in every.items]
    assert seen[0] == "INBOX"
    for limit in (0, 501):
        with pytest.raises(Invalid, match="limit"):
            ops(Accounts).mailboxes(ann.address, limit=limit)


def test_inbox_is_the_same_in_any_case(ops: Ops, ann: Account) -> None:
    """In every operation, and above other names (RFC 9051 §5.1)."""
    assert put(ops, ann, MAIL, mailbox="inbox").mailbox == "INBOX"
    assert len(ops(Messages).browse(ann.address, mailbox="InBox").items) == 1
    assert ops(Mailboxes).create(ann.address, NewMailbox(name="inbox/Lists")).name == "INBOX/Lists"
    with pytest.raises(Invalid, match="INBOX is always there"):
        ops(Mailboxes).delete(ann.address, name="iNbOx")


def test_creating_what_is_there_is_a_conflict(ops: Ops, ann: Account) -> None:
    """Also in another form of the same characters (NFC)."""
    create(ops, ann, "Entwu\u0308rfe")
    with pytest.raises(Conflict, match="has a mailbox Entwürfe already"):
        create(ops, ann, "Entw\u00fcrfe")


@pytest.mark.parametrize(
    "name",
    ["", "/", "a//b", "/a", "a/", "a%", "*", "a\nb", "a\x7f", "\u202eb", "..", "a/../b", " a", "a /b", "#ns",
     "INBOX", "inbox", "Quarantine", "QUARANTINE", "x" * 256, "/".join("a" * 17)],
)  # fmt: skip
def test_a_wrong_name_is_refused(ops: Ops, ann: Account, name: str) -> None:
    """By create and by rename; the error says how one is written."""
    with pytest.raises(Invalid) as refused:
        create(ops, ann, name)
    assert refused.value.values["field"] == "name"
    with pytest.raises(Invalid):
        ops(Mailboxes).rename(ann.address, MailboxRename(name="Work", to=name))
    assert names(ops, ann) == ["INBOX"]


def test_rename_takes_what_lies_below_along(ops: Ops, ann: Account) -> None:
    """And nothing that only begins alike; UIDs and UIDVALIDITY stay."""
    create(ops, ann, "Work", "Work/2026", "Work/2026/May", "Workshop")
    put(ops, ann, MAIL, mailbox="Work/2026")
    before = {one.name: one for one in ops(Accounts).mailboxes(ann.address).items}
    renamed = whole(ops(Mailboxes).rename(ann.address, MailboxRename(name="Work", to="Archive/Old")))
    assert renamed.uidvalidity == before["Work"].uidvalidity
    assert names(ops, ann) == [
        "INBOX", "Archive/Old", "Archive/Old/2026", "Archive/Old/2026/May", "Workshop",
    ]  # fmt: skip
    after = {one.name: one for one in ops(Accounts).mailboxes(ann.address).items}
    assert after["Archive/Old/2026"].uidvalidity == before["Work/2026"].uidvalidity
    assert ops(Messages).browse(ann.address, mailbox="Archive/Old/2026").items[0].uid == 1


def test_rename_up_into_its_own_place(ops: Ops, ann: Account) -> None:
    """A level can be taken out, also when a name below equals the one above."""
    create(ops, ann, "a/a", "a/a/a", "a/a/b")
    ops(Mailboxes).rename(ann.address, MailboxRename(name="a/a", to="a"))
    assert names(ops, ann) == ["INBOX", "a", "a/a", "a/b"]


def test_rename_refuses_what_is_taken_and_changes_nothing(ops: Ops, ann: Account) -> None:
    """By itself, or for one of those below it; into itself; to too long a name below."""
    create(ops, ann, "Work", "Work/2026", "Old/2026", "Else")
    for to in ("Else", "Old"):
        with pytest.raises(Conflict, match="already"):
            ops(Mailboxes).rename(ann.address, MailboxRename(name="Work", to=to))
    with pytest.raises(Invalid, match="lies inside"):
        ops(Mailboxes).rename(ann.address, MailboxRename(name="Work", to="Work/inner"))
    with pytest.raises(Invalid, match="octets"):
        ops(Mailboxes).rename(ann.address, MailboxRename(name="Work", to="x" * 254))
    with pytest.raises(NotFound, match="no mailbox Gone"):
        ops(Mailboxes).rename(ann.address, MailboxRename(name="Gone", to="Here"))
    assert names(ops, ann) == ["INBOX", "Else", "Old/2026", "Work", "Work/2026"]


def test_delete_puts_messages_into_the_trash(ops: Ops, ann: Account) -> None:
    """From where each comes back; what lies below stays (RFC 9051 §6.3.5)."""
    create(ops, ann, "Work", "Work/2026")
    one = put(ops, ann, MAIL, mailbox="Work")
    assert ops(Mailboxes).delete(ann.address, name="Work").name == "Work"
    assert names(ops, ann) == ["INBOX", "Work/2026"]
    assert ops(Messages).browse(ann.address).items == ()
    [deleted] = ops(Messages).browse(ann.address, deleted=True).items
    assert (deleted.id, deleted.mailbox, deleted.uid) == (one.id, "Work", 0)
    assert whole(ops(Messages).undelete(str(int(one.id)))).mailbox == "Work"
    assert names(ops, ann) == ["INBOX", "Work", "Work/2026"]


def test_delete_needs_a_mailbox_that_is_there(ops: Ops, ann: Account) -> None:
    """And never takes the server's own."""
    with pytest.raises(NotFound, match="no mailbox Gone"):
        ops(Mailboxes).delete(ann.address, name="Gone")
    with pytest.raises(Invalid, match="name: it is missing"):
        ops(Mailboxes).delete(ann.address, name="")
    with pytest.raises(Invalid, match="is the server's"):
        ops(Mailboxes).delete(ann.address, name="Quarantine")
