"""Import and export, locally and over HTTP (rules B1, I1; traps D6, M3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from mairust_core.errors import Invalid, NotFound, TooLarge
from mairust_core.model.account import Account, NewAccount
from mairust_core.model.copies import AskedCopies, ImportedCopy, NewCopy, NewFolders, Outcome
from mairust_core.model.ids import Id
from mairust_core.model.message_change import MessageChange
from mairust_core.operations import BytesIn, Item, ItemsIn
from mairust_core.services.accounts import Accounts
from mairust_core.services.exporting import PAGE, Exports
from mairust_core.services.importing import Imports
from mairust_core.services.messages import Messages
from tests.contract.services.conftest import Served
from tests.contract.services.words import Ops
from tests.support.told import whole

START = datetime(2019, 3, 1, 10, 0, 0, 123000, tzinfo=UTC)
SEEN = ("\\Seen", "$Forwarded", "later")


def mail(number: int, extra: bytes = b"") -> bytes:
    """A message like no other."""
    head = b"From: b@x.example\nSubject: m%d\nMessage-ID: <%d@x.example>\n" % (number, number)
    return head + b"\nHello\n" + extra


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Items that can be sent more than once."""

    datas: Sequence[bytes]
    mailbox: str = "INBOX"
    flags: tuple[str, ...] = ()
    copies: Sequence[int] = field(default_factory=list)

    def __iter__(self) -> Iterator[Item[NewCopy]]:
        for number, data in enumerate(self.datas):
            new = NewCopy(
                mailbox=self.mailbox,
                sha256=sha256(data).hexdigest(),
                received_at=START + timedelta(minutes=number),
                copy=self.copies[number] if self.copies else 1,
                flags=self.flags,
            )
            yield Item(value=new, content=BytesIn(chunks=[data], size_bytes=len(data)))


def send(ops: Ops, account: Account, batch: Batch, *, again: bool = False) -> list[ImportedCopy]:
    """What became of a batch."""
    answers = ops(Imports).batch(account.address, ItemsIn(items=batch), again=again)
    return [answer.value for answer in answers.items]


def outcomes(answers: Sequence[ImportedCopy]) -> list[str]:
    """The words of the answers."""
    return [answer.outcome.value for answer in answers]


def exported(ops: Ops, account: Account, mailbox: str = "") -> list[tuple[str, int, bytes]]:
    """Mailbox, UID and bytes of everything."""
    found = ops(Exports).messages(account.address, mailbox=mailbox).items
    return [(item.value.mailbox, item.value.uid, b"".join(item.content.chunks)) for item in found]


def test_rule_b1_messages_arrive_with_all_that_belongs_to_them(ops: Ops, ann: Account) -> None:
    """Bytes, flags, keywords, date, mailbox, order; no trace header; described like any other mail."""
    answers = send(ops, ann, Batch(datas=[mail(1), mail(2), b"", b"\0\xff"], mailbox="Old/仕事", flags=SEEN))
    assert outcomes(answers) == ["imported"] * 4
    listed = ops(Messages).browse(ann.address, mailbox="Old/仕事").items[::-1]
    assert [one.id for one in listed] == [answer.id for answer in answers]
    assert [one.uid for one in listed] == [1, 2, 3, 4]
    assert [one.received_at for one in listed] == [START + timedelta(minutes=n) for n in range(4)]
    assert {one.flags for one in listed} == {SEEN}
    assert [one.subject for one in listed[:2]] == ["m1", "m2"]
    raw = b"".join(ops(Messages).raw(str(listed[0].id)).chunks)
    assert raw == mail(1)
    assert ops(Accounts).show(ann.address).messages == 4


def test_a_message_that_came_deleted_stays_so_whatever_its_flags_are_set_to(ops: Ops, ann: Account) -> None:
    """A Maildir's `T`: what only IMAP sets, only IMAP takes away."""
    [one] = send(ops, ann, Batch(datas=[mail(1)], flags=("\\Seen", "\\Deleted")))
    changed = whole(ops(Messages).change(str(int(one.id or 0)), MessageChange(flags=("\\Flagged", "later"))))
    assert changed.flags == ("\\Flagged", "\\Deleted", "later")


def test_rule_i1_the_same_batch_again_adds_nothing(ops: Ops, ann: Account) -> None:
    """Each copy is known; `again` adds it all the same."""
    batch = Batch(datas=[mail(1), mail(1), mail(2)], copies=[1, 2, 1])
    assert outcomes(send(ops, ann, batch)) == ["imported"] * 3
    assert outcomes(send(ops, ann, batch)) == ["skipped"] * 3
    assert outcomes(send(ops, ann, batch, again=True)) == ["imported"] * 3
    assert ops(Accounts).show(ann.address).messages == 6


def test_rule_i1_the_ledger_can_be_asked(ops: Ops, ann: Account) -> None:
    """In the order asked, by mailbox."""
    send(ops, ann, Batch(datas=[mail(1), mail(1), mail(2)], copies=[1, 2, 1]))
    hashes = tuple(sha256(one).hexdigest() for one in (mail(2), mail(3), mail(1)))
    assert ops(Imports).known(ann.address, AskedCopies(mailbox="INBOX", sha256=hashes)).copies == (1, 0, 2)
    elsewhere = ops(Imports).known(ann.address, AskedCopies(mailbox="Work", sha256=hashes))
    assert (elsewhere.copies, elsewhere.max_size_bytes) == ((0, 0, 0), 50 << 20)


def test_mailboxes_and_subscriptions_are_prepared(ops: Ops, ann: Account) -> None:
    """Empty ones too; doing it again changes nothing."""
    new = NewFolders(mailboxes=("Work/a", "INBOX", "Lists"), subscribed=("Work/a", "Elsewhere"))
    first = ops(Imports).prepare(ann.address, new)
    assert first == ops(Imports).prepare(ann.address, new) == ops(Exports).folders(ann.address)
    assert first.mailboxes == ("INBOX", "Lists", "Work/a")
    assert first.subscribed == ("Elsewhere", "Work/a")


def test_trap_m3_what_fails_fails_alone(ops: Ops, ann: Account, served: Served) -> None:
    """Other bytes than announced, too large: named, and the others are stored, in order."""
    limit_bytes = served.site.settings.smtp.max_size
    good, bad = list(Batch(datas=[mail(1), mail(2)]))
    wrong = Item(value=bad.value, content=BytesIn(chunks=[b"changed"], size_bytes=7))
    too_large = bytes(limit_bytes + 1)
    large = Item(value=bad.value, content=BytesIn(chunks=[too_large], size_bytes=len(too_large)))
    last = next(iter(Batch(datas=[mail(3)])))
    answers = [
        answer.value
        for answer in ops(Imports).batch(ann.address, ItemsIn(items=[good, wrong, large, last])).items
    ]
    assert outcomes(answers) == ["imported", "failed", "failed", "imported"]
    assert [answer.code for answer in answers] == ["", "refused", "too_large", ""]
    assert "changed while it was read" in answers[1].why
    assert str(limit_bytes) in answers[2].why
    assert [uid for _, uid, _ in exported(ops, ann)] == [1, 2]


def test_a_full_account_refuses_what_does_not_fit(ops: Ops, domain: str) -> None:
    """The rest of the batch is stored."""
    small = ops(Accounts).add(NewAccount(address=f"small@{domain}", quota_bytes=400))
    answers = send(ops, small, Batch(datas=[mail(1), mail(2, b"x" * 400), mail(3)]))
    assert outcomes(answers) == ["imported", "failed", "imported"]
    assert answers[1].code == "quota_exceeded"


def test_many_messages_are_described_elsewhere_and_keep_their_order(ops: Ops, ann: Account) -> None:
    """More than one group, a large one among them: UIDs as they came, facts as of any other mail."""
    datas = [mail(number) for number in range(620)]
    datas[300] = mail(300, b"y" * (3 << 20))
    answers = send(ops, ann, Batch(datas=datas))
    assert outcomes(answers) == ["imported"] * 620
    assert [data for _, _, data in exported(ops, ann)] == datas
    appended = ops(Messages).append(ann.address, BytesIn(chunks=[datas[301]], size_bytes=len(datas[301])))
    imported = ops(Messages).show(str(answers[301].id))
    assert (imported.subject, imported.message_id, imported.size, imported.preview) == (
        appended.subject, appended.message_id, appended.size, appended.preview,
    )  # fmt: skip
    assert imported.thread_id == appended.thread_id


def test_an_export_goes_through_all_mailboxes_in_order(ops: Ops, ann: Account) -> None:
    """INBOX first, UIDs ascending, also over the edge of a page; one mailbox alone when asked."""
    many = [mail(number) for number in range(PAGE + 3)]
    send(ops, ann, Batch(datas=many, mailbox="A"))
    send(ops, ann, Batch(datas=[mail(1)], flags=SEEN))
    everything = exported(ops, ann)
    in_a = [("A", number + 1) for number in range(PAGE + 3)]
    assert [(name, uid) for name, uid, _ in everything] == [("INBOX", 1), *in_a]
    assert exported(ops, ann, "INBOX") == everything[:1]
    first = next(ops(Exports).messages(ann.address).items).value
    assert (first.flags, first.received_at, first.why) == (SEEN, START, "")
    with pytest.raises(NotFound, match="no mailbox B"):
        ops(Exports).messages(ann.address, mailbox="B")


def test_trap_d6_a_damaged_message_is_named_and_stops_nothing(ops: Ops, ann: Account, served: Served) -> None:
    """Its id and the reason come in place of its bytes."""
    large = mail(2, bytes(range(256)) * 8000)
    send(ops, ann, Batch(datas=[mail(1), large, mail(3)]))
    files = [one for one in (served.site.settings.blobs.path / "files").rglob("*") if one.is_file()]
    newest = max(files, key=lambda one: one.stat().st_mtime_ns)
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.chmod(0o600)
    newest.write_bytes(data)
    items = list(ops(Exports).messages(ann.address).items)
    assert [bool(item.value.why) for item in items] == [False, True, False]
    assert "damaged" in items[1].value.why


def test_nothing_of_a_wrong_batch_is_stored(ops: Ops, ann: Account) -> None:
    """An item that cannot be one stops the call; what came before it may be there, and nothing is twice."""
    good = next(iter(Batch(datas=[mail(1)])))
    with pytest.raises(Invalid):
        NewCopy(mailbox="", sha256=good.value.sha256, received_at=START)
    with pytest.raises(Invalid, match="zone"):
        NewCopy(mailbox="x", sha256=good.value.sha256, received_at=START.replace(tzinfo=None))
    with pytest.raises(Invalid, match="64 hexadecimal"):
        AskedCopies(mailbox="x", sha256=("0",))
    with pytest.raises(Invalid, match="more than"):
        AskedCopies(mailbox="x", sha256=(good.value.sha256,) * 5001)
    assert outcomes(send(ops, ann, Batch(datas=[]))) == []


@pytest.mark.parametrize("flag", ["日本語(x)", "50%off", "a(b)", "k" * 65, "\\Odd"])
def test_a_copy_with_flags_that_imap_cannot_carry_is_refused(flag: str) -> None:
    """An import fits what it finds before it sends it; what is sent has to fit."""
    with pytest.raises(Invalid):
        NewCopy(mailbox="x", sha256="0" * 64, received_at=START, flags=(flag,))


def test_an_upload_beyond_the_limit_is_refused(served: Served, ann: Account) -> None:
    """Over HTTP a batch has its bounds: in items, and in bytes."""
    small = Batch(datas=[b"%d" % n for n in range(10_001)])
    with pytest.raises(Invalid, match="more than 10000"):
        send(served.there, ann, small)
    large = Batch(datas=[bytes(40 << 20), bytes(40 << 20)])
    with pytest.raises(TooLarge, match="larger than"):
        send(served.there, ann, large)


def test_an_answer_has_words_for_each_outcome() -> None:
    """What a client may rely on."""
    assert {one.value for one in Outcome} == {"imported", "skipped", "failed"}
    assert ImportedCopy(outcome=Outcome.IMPORTED, id=Id(1)).why == ""
