"""Which thread a mail joins, on both databases (rules A1, J4)."""

from __future__ import annotations

import pytest

from mairust_core.ids import now_ms
from mairust_core.model.ids import Id
from tests.support.stores import Kit

DAY_MS = 86_400_000
START_MS = now_ms()


def store(
    kit: Kit,
    account_id: int,
    message_id: str,
    *,
    refs: str = "",
    reply_to: str = "",
    subject: str = "Hello",
    sender: str = "bob@elsewhere.example",
    to: str = "ann@example.org",
    day: float = 0,
) -> Id:
    """Store one mail; its thread."""
    lines = [f"From: {sender}", f"To: {to}", f"Subject: {subject}", f"Message-ID: <{message_id}>"]
    lines += [f"References: {refs}"] if refs else []
    lines += [f"In-Reply-To: {reply_to}"] if reply_to else []
    data = "\r\n".join([*lines, "", f"{message_id} on day {day}", ""]).encode()
    received_ms = START_MS + round(day * DAY_MS)
    [stored] = kit.store(kit.mail(account_id, data=data, received_ms=received_ms, address="ann@example.org"))
    [(thread,)] = kit.rows("SELECT thread_id FROM message WHERE id = ?", stored)
    assert isinstance(thread, int)
    return Id(thread)


@pytest.fixture
def ann(kit: Kit) -> int:
    """An account."""
    kit.domain()
    return kit.account("ann@example.org")


def test_references_and_in_reply_to_join_also_years_later(kit: Kit, ann: int) -> None:
    """Whatever the subject says."""
    root = store(kit, ann, "root@x", subject="One")
    assert store(kit, ann, "a@x", refs="<root@x>", subject="Two", day=400) == root
    assert store(kit, ann, "b@x", reply_to="<a@x>", subject="Three", day=800) == root
    assert store(kit, ann, "c@x", refs="<lost@x> <b@x>", subject="Four", day=900) == root


def test_a_reply_to_what_never_came_joins_others_that_name_it(kit: Kit, ann: int) -> None:
    """Two replies to a mail that is not here are one thread."""
    first = store(kit, ann, "a@x", refs="<lost@x>")
    assert store(kit, ann, "b@x", refs="<lost@x>", subject="Other") == first


def test_a_root_that_comes_after_its_reply_joins_it(kit: Kit, ann: int) -> None:
    """Order of arrival does not matter."""
    reply = store(kit, ann, "a@x", refs="<late@x>", subject="Re: Late")
    assert store(kit, ann, "late@x", subject="Late") == reply


def test_rule_a1_a_thread_is_set_once(kit: Kit, ann: int) -> None:
    """A mail that belongs to two threads joins one and changes neither."""
    one = store(kit, ann, "one@x", subject="One")
    two = store(kit, ann, "two@x", subject="Two")
    assert one != two
    assert store(kit, ann, "both@x", refs="<one@x> <two@x>", subject="Re: Two") in {one, two}
    rows = kit.rows("SELECT thread_id FROM message ORDER BY id")
    assert [row[0] for row in rows[:2]] == [one, two]


@pytest.mark.parametrize(
    "subject", ["Re: Hello", "RE: hello", "Fwd: Hello", "Re[2]: Hello", "Re: Fwd: Hello"]
)
def test_rule_j4_a_reply_without_references_joins_by_subject(kit: Kit, ann: int, subject: str) -> None:
    """Between shared correspondents, within thirty days."""
    root = store(kit, ann, "root@x")
    assert store(kit, ann, "a@x", subject=subject, day=29) == root


def test_rule_j4_after_thirty_days_a_subject_joins_nothing(kit: Kit, ann: int) -> None:
    """Counted from the last mail of that subject."""
    root = store(kit, ann, "root@x")
    assert store(kit, ann, "a@x", subject="Re: Hello", day=20) == root
    assert store(kit, ann, "b@x", subject="Re: Hello", day=45) == root
    assert store(kit, ann, "c@x", subject="Re: Hello", day=76) != root


def test_rule_j4_a_reply_of_long_before_joins_nothing(kit: Kit, ann: int) -> None:
    """Thirty days are thirty days either way: an import brings old mail last."""
    root = store(kit, ann, "root@x")
    assert store(kit, ann, "a@x", subject="Re: Hello", day=-31) != root


def test_the_newest_references_count(kit: Kit, ann: int) -> None:
    """Of a long thread only the last mail may be here, and it is the one that is answered."""
    root = store(kit, ann, "root@x")
    lost = " ".join(f"<lost{number}@x>" for number in range(24))
    assert store(kit, ann, "a@x", refs=f"{lost} <root@x>", subject="Other") == root


def test_rule_j4_strangers_do_not_join_by_subject(kit: Kit, ann: int) -> None:
    """The reader's own address is no shared correspondent."""
    root = store(kit, ann, "root@x")
    assert store(kit, ann, "a@x", subject="Re: Hello", sender="eve@elsewhere.example") != root


def test_rule_j4_a_plain_subject_never_joins(kit: Kit, ann: int) -> None:
    """The same subject from the same sender is another conversation without Re: or Fwd:."""
    root = store(kit, ann, "root@x")
    assert store(kit, ann, "a@x") != root


def test_rule_j4_a_reply_with_unknown_references_does_not_join_by_subject(kit: Kit, ann: int) -> None:
    """It says whom it answers."""
    root = store(kit, ann, "root@x")
    assert store(kit, ann, "a@x", refs="<elsewhere@x>", subject="Re: Hello") != root


def test_threads_are_the_accounts_own(kit: Kit, ann: int) -> None:
    """Another account's mail is in no thread of mine."""
    bob = kit.account("bob@example.org")
    root = store(kit, ann, "root@x")
    assert store(kit, bob, "a@x", refs="<root@x>") != root


def test_mail_and_reply_in_one_batch_are_one_thread(kit: Kit, ann: int) -> None:
    """Threads do not wait for a commit."""
    one = kit.mail(ann, data=b"Message-ID: <m1@x>\r\nSubject: x\r\n\r\n")
    two = kit.mail(ann, data=b"Message-ID: <m2@x>\r\nReferences: <m1@x>\r\nSubject: y\r\n\r\n")
    kit.store(one, two)
    assert kit.rows("SELECT DISTINCT thread_id FROM message") == [(one.copies[0].id,)]
