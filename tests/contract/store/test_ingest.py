"""A batch of deliveries becomes rows, its guilty ones excepted, on both databases (rules A, C1, C4)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from mairust_core import store
from mairust_core.config import Settings
from mairust_core.errors import NotFound, QuotaExceeded, StorageDown
from mairust_core.ids import now_ms
from mairust_core.model.blob import Locator
from mairust_core.model.delivery import Copy, Delivery, Later, Stored
from mairust_core.model.ids import Id
from mairust_core.model.job import NewJob
from mairust_core.model.mailbox import INBOX, QUARANTINE
from mairust_core.receive.committer import Committer
from mairust_core.store.facts import kept_facts
from mairust_core.store.guilt import Guilty, Located
from mairust_core.store.ingest import BYTES_GOOD_S, boot_clock, write_batch
from tests.support.stores import ADMIN, Kit, around, facts_of, message, open_kit

DAY_MS = 86_400_000


@pytest.fixture(params=["fs", "memory"])
def kit(request: pytest.FixtureRequest, site_settings: Settings) -> Iterator[Kit]:
    """An open site on each database with each blob store, a domain and nothing else."""
    with open_kit(site_settings, memory=request.param == "memory") as made:
        made.domain()
        yield made


def placements(kit: Kit, account_id: int) -> list[tuple[object, ...]]:
    """(mailbox, uid, modseq, message id) of an account, in order of MODSEQ."""
    return kit.rows(
        "SELECT b.name, p.uid, p.modseq, p.message_id FROM placement p JOIN mailbox b ON b.id = p.mailbox_id"
        " WHERE p.account_id = ? ORDER BY p.modseq",
        account_id,
    )


def test_trap_d3_uids_ascend_from_one_and_rule_a2_each_copy_has_a_modseq(kit: Kit) -> None:
    """Over several batches: UIDs per mailbox without a gap, MODSEQs per account strictly ascending."""
    ann, bob = kit.account("ann@example.org"), kit.account("bob@example.org")
    first = kit.store(kit.mail(ann), kit.mail(ann, bob), kit.mail(ann, mailbox=QUARANTINE))
    second = kit.store(kit.mail(ann))
    mine = [first[0], first[1], first[3], second[0]]
    assert placements(kit, ann) == [
        (INBOX, 1, 2, mine[0]),
        (INBOX, 2, 3, mine[1]),
        (QUARANTINE, 1, 4, mine[2]),
        (INBOX, 3, 5, mine[3]),
    ]
    assert placements(kit, bob) == [(INBOX, 1, 2, first[2])]
    assert kit.problems() == []


def test_trap_d3_a_uid_is_not_reused_when_the_last_message_goes(kit: Kit) -> None:
    """UIDNEXT never falls."""
    ann = kit.account("ann@example.org")
    [gone] = kit.store(kit.mail(ann))
    kit.run("DELETE FROM placement WHERE message_id = ?", gone)
    [after] = kit.store(kit.mail(ann))
    assert placements(kit, ann) == [(INBOX, 2, 3, after)]


def test_rule_a2_a_recreated_mailbox_has_a_higher_uidvalidity(kit: Kit) -> None:
    """Also when it is made within the same second, and when the clock says less."""
    ann = kit.account("ann@example.org")
    validities = []
    for _ in range(3):
        with kit.storage.write() as tx:
            store.mailboxes.ensure(tx, 1, ann, kit.ids.next(), "Work")
            validities.append(
                next(m.uidvalidity for m in store.mailboxes.all_of(tx, ann) if m.name == "Work")
            )
        kit.run("DELETE FROM mailbox WHERE name = 'Work'")
    kit.run("UPDATE account SET uidvalidity = uidvalidity + 1000000")
    with kit.storage.write() as tx:
        store.mailboxes.ensure(tx, 1, ann, kit.ids.next(), "Work")
        validities.append(next(m.uidvalidity for m in store.mailboxes.all_of(tx, ann) if m.name == "Work"))
    assert validities == sorted(set(validities))
    assert validities[3] == validities[2] + 1_000_001


def test_rule_a1_the_same_bytes_are_one_content_and_a_message_each(kit: Kit) -> None:
    """Twice in a batch, again in the next one, to one account and to others."""
    ann, bob = kit.account("ann@example.org"), kit.account("bob@example.org")
    data = message("shared")
    ids = kit.store(kit.mail(ann, data=data), kit.mail(bob, ann, data=data), kit.mail(bob))
    ids += kit.store(kit.mail(bob, data=data))
    assert len(set(ids)) == 5
    assert kit.rows("SELECT count(*) FROM content WHERE subject = 'shared'") == [(1,)]
    assert kit.rows("SELECT count(*) FROM blob") == [(2,)]
    assert kit.problems() == []


def test_rule_c1_a_condemned_row_takes_the_location_this_batch_wrote(kit: Kit) -> None:
    """And a row that is not condemned keeps the one it has."""
    ann = kit.account("ann@example.org")
    data = message()
    kit.store(kit.mail(ann, data=data))
    [(first,)] = kit.rows("SELECT location FROM blob")
    kit.store(kit.mail(ann, data=data))
    assert kit.rows("SELECT location FROM blob") == [(first,)]
    kit.run("UPDATE blob SET condemned_ms = 1")
    kit.store(kit.mail(ann, data=data))
    [(second, condemned)] = kit.rows("SELECT location, condemned_ms FROM blob")
    assert (second != first, condemned) == (True, None)
    assert kit.problems() == []


def test_trap_s5_many_recipients_get_one_copy_each(kit: Kit) -> None:
    """A mail to a hundred accounts is one content and a hundred messages, in the order of the copies."""
    accounts = [kit.account(f"u{number}@example.org") for number in range(100)]
    one = kit.mail(*accounts)
    assert kit.store(one) == [copy.id for copy in one.copies]
    assert kit.rows("SELECT count(*), count(DISTINCT account_id) FROM message") == [(100, 100)]
    assert kit.problems() == []


def test_quarantine_is_made_when_it_is_needed_and_once(kit: Kit) -> None:
    """A missing mailbox is no reason to refuse; a second batch finds it."""
    ann = kit.account("ann@example.org")
    for _ in range(2):
        kit.store(kit.mail(ann, mailbox=QUARANTINE), kit.mail(ann))
    with kit.storage.read() as tx:
        assert [(m.name, m.messages, m.unseen, m.uidnext) for m in store.mailboxes.all_of(tx, ann)] == [
            (INBOX, 2, 2, 3),
            (QUARANTINE, 2, 2, 3),
        ]


def test_seen_copies_are_not_counted_unseen(kit: Kit) -> None:
    """Flags come with the copy."""
    ann = kit.account("ann@example.org")
    one = kit.mail(ann)
    kit.store(one._replace(copies=tuple(copy._replace(flags=1) for copy in one.copies)), kit.mail(ann))
    assert kit.rows("SELECT messages, unseen FROM mailbox") == [(2, 1)]
    assert kit.problems() == []


def test_rule_c4_only_what_does_not_fit_the_quota_is_refused(kit: Kit) -> None:
    """Those that came first get in, the others of the batch too; the account ends exactly at its sum."""
    ann, bob = kit.account("ann@example.org", quota_bytes=1000), kit.account("bob@example.org")
    sizes = [400, 400, 400, 200, 1]
    batch = [_sized(kit.mail(ann), size) for size in sizes]
    outcomes = kit.commit(batch[0], kit.mail(bob), *batch[1:], kit.mail(bob))
    assert [type(one) for one in outcomes] == [
        Stored,
        Stored,
        Stored,
        QuotaExceeded,
        Stored,
        QuotaExceeded,
        Stored,
    ]
    assert isinstance(outcomes[3], QuotaExceeded)
    assert outcomes[3].values["account_id"] == ann
    assert kit.rows("SELECT used_bytes, messages FROM account WHERE id = ?", ann) == [(1000, 3)]
    assert kit.problems() == []


def test_trap_s5_a_copy_that_shares_a_reply_is_stored_while_there_is_any_room(kit: Kit) -> None:
    """`over_quota` copies count, and are refused when the account is full before them, in a batch too."""
    ann = kit.account("ann@example.org", quota_bytes=10)
    shared = [_shared(_sized(kit.mail(ann), size)) for size in (4, 4, 100, 1)]
    outcomes = kit.commit(*shared, _sized(kit.mail(ann), 1))
    assert [type(one) for one in outcomes] == [Stored, Stored, Stored, QuotaExceeded, QuotaExceeded]
    assert kit.rows("SELECT used_bytes, messages FROM account") == [(108, 3)]
    [again] = kit.commit(_shared(_sized(kit.mail(ann), 1)))
    assert isinstance(again, QuotaExceeded)
    assert kit.problems() == []


def _shared(one: Delivery) -> Delivery:
    return one._replace(copies=tuple(copy._replace(over_quota=True) for copy in one.copies))


def test_rule_c4_a_flood_to_a_full_account_costs_one_more_try_not_one_each(kit: Kit) -> None:
    """Three hundred guilty ones in a batch are found at once and the bytes are written once."""
    full, ann = kit.account("full@example.org", quota_bytes=0), kit.account("ann@example.org")
    batch = [kit.mail(full if number % 3 else ann) for number in range(450)]
    outcomes = kit.commit(*batch)
    assert sum(isinstance(one, QuotaExceeded) for one in outcomes) == 300
    assert kit.rows("SELECT count(*) FROM message") == [(150,)]
    assert kit.rows("SELECT uidnext FROM mailbox WHERE account_id = ?", ann) == [(151,)]
    assert kit.problems() == []


@pytest.mark.parametrize("how", ["disabled", "removed", "purged"])
@pytest.mark.parametrize("mailbox", [INBOX, QUARANTINE])
def test_rule_c4_a_vanished_account_fails_alone(kit: Kit, how: str, mailbox: str) -> None:
    """It was disabled, removed, or even purged since RCPT: its copy fails, nothing is made for it."""
    gone, ann = kit.account("gone@example.org"), kit.account("ann@example.org")
    if how == "disabled":
        kit.run("UPDATE account SET enabled = ? WHERE id = ?", False, gone)
    else:
        with kit.storage.write() as tx:
            store.accounts.remove(tx, ADMIN, "gone@example.org")
    if how == "purged":
        kit.run("DELETE FROM mailbox WHERE account_id = ?", gone)
        kit.run("DELETE FROM account WHERE id = ?", gone)
    outcomes = kit.commit(kit.mail(ann), kit.mail(gone, mailbox=mailbox), kit.mail(ann, gone), kit.mail(ann))
    assert [type(one) for one in outcomes] == [Stored, NotFound, NotFound, Stored]
    assert isinstance(outcomes[1], NotFound)
    assert outcomes[1].values["account_id"] == gone
    assert kit.rows("SELECT count(*) FROM mailbox WHERE name = ?", QUARANTINE) == [(0,)]
    assert kit.problems() == []


def test_rule_c4_nul_and_surrogates_break_no_row(kit: Kit) -> None:
    """In facts, trace and metadata they are replaced; the mail and its neighbours are stored described."""
    ann = kit.account("ann@example.org")
    one = kit.mail(ann, trace=True)
    assert one.trace is not None
    evil, facts = "a\0b\ud800c", facts_of(one.content)
    dirty = one._replace(
        kept=kept_facts(replace(facts, subject=evil, message_id=evil, preview=evil, in_reply_to=(evil,))),
        trace=one.trace._replace(helo=evil, mail_from=evil, rcpt_to=((evil, (ann,)),)),
        copies=tuple(copy._replace(tags=(evil,), metadata={evil: evil}) for copy in one.copies),
    )
    kit.store(kit.mail(ann), dirty, kit.mail(ann))
    assert kit.rows("SELECT subject FROM content WHERE sha256 = ?", one.content.sha256) == [("a\ufffdb?c",)]
    assert kit.rows("SELECT helo FROM trace") == [("a\ufffdb?c",)]
    with kit.storage.read() as tx:
        assert store.messages.get(tx, ADMIN, one.copies[0].id)[0].subject == "a\ufffdb?c"


def test_rule_c4_facts_that_break_a_row_are_dropped_and_the_mail_is_stored_undescribed(kit: Kit) -> None:
    """The one whose facts no column takes is found by splitting; the others keep theirs."""
    ann = kit.account("ann@example.org")
    batch = [kit.mail(ann) for _ in range(5)]
    kept = batch[3].kept
    assert kept is not None
    batch[3] = batch[3]._replace(kept=kept._replace(crlf_size_bytes=1 << 80))
    kit.store(*batch)
    rows = kit.rows("SELECT sha256 FROM content WHERE NOT described")
    assert rows == [(batch[3].content.sha256,)]
    assert len(placements(kit, ann)) == 5
    assert kit.problems() == []


def test_rule_c4_what_cannot_be_stored_at_all_fails_alone(kit: Kit) -> None:
    """A copy whose size no column takes is refused for now; nobody else's mail is."""
    ann = kit.account("ann@example.org")
    batch = [kit.mail(ann) for _ in range(4)]
    batch[1] = _sized(batch[1], 1 << 80)
    outcomes = kit.commit(*batch)
    assert [type(one) for one in outcomes] == [Stored, StorageDown, Stored, Stored]
    assert kit.problems() == []


def test_rule_a4_an_id_that_is_taken_is_replaced(kit: Kit) -> None:
    """Of a message or of a trace: the mail is stored under a new one, its neighbours keep theirs."""
    ann = kit.account("ann@example.org")
    there = kit.mail(ann, trace=True)
    kit.store(there)
    assert there.trace is not None
    batch = [kit.mail(ann, trace=True) for _ in range(4)]
    batch[1] = batch[1]._replace(copies=(batch[1].copies[0]._replace(id=there.copies[0].id),))
    batch[2] = batch[2]._replace(trace=there.trace)
    ids = kit.store(*batch)
    assert ids[0] == batch[0].copies[0].id
    assert ids[3] == batch[3].copies[0].id
    assert len({*ids, there.copies[0].id}) == 5
    assert kit.rows("SELECT count(*) FROM trace") == [(5,)]
    assert kit.problems() == []


def test_rule_c4_the_pipe_repeats_safely(kit: Kit) -> None:
    """The same bytes for the same account within a day are stored once, in one batch and over several."""
    ann, bob = kit.account("ann@example.org"), kit.account("bob@example.org")
    data = message()
    [first] = kit.store(kit.mail(ann, data=data, once=True))
    again = kit.store(
        kit.mail(ann),
        kit.mail(ann, data=data, once=True),
        kit.mail(bob, ann, data=data, once=True),
        kit.mail(bob, data=data, once=True),
    )
    assert again[1] == first
    assert again[3] == first
    assert again[4] == again[2] != first
    assert len(placements(kit, ann)) == 2
    assert len(placements(kit, bob)) == 1
    assert kit.problems() == []


def noted(kit: Kit, one: Delivery) -> list[dict[str, Any]]:
    """What the trace of a delivery tells, and the reply it names."""
    assert one.trace is not None
    [(events, reply)] = kit.rows("SELECT events, reply FROM trace WHERE id = ?", one.trace.id)
    return [*json.loads(str(events)), {"kind": "reply", "reply": reply}]


def test_rule_c4_a_repetition_leaves_a_trace_of_its_own(kit: Kit) -> None:
    """Which message it repeats, for each account; a copy that is new is stored as ever."""
    ann, bob = kit.account("ann@example.org"), kit.account("bob@example.org")
    data = message()
    first, again, both = (
        kit.mail(*to, data=data, once=True, trace=True) for to in ((ann,), (ann,), (bob, ann))
    )
    [stored] = kit.store(first)
    assert kit.store(again, both, kit.mail(ann, trace=True))[0] == stored
    repeated = {"at": again.received_ms, "kind": "repeated", "account_id": ann, "message": str(stored)}
    reply = {"kind": "reply", "reply": f"250 2.0.0 stored {stored}"}
    assert noted(kit, again) == [repeated, reply]
    new = both.copies[0].id
    assert noted(kit, both) == [
        repeated | {"at": both.received_ms},
        {"at": both.received_ms, "kind": "stored", "copies": [[new, bob, "INBOX"]]},
        {"kind": "reply", "reply": f"250 2.0.0 stored {new}"},
    ]
    assert [one["kind"] for one in noted(kit, first)] == ["stored", "reply"]
    assert kit.problems() == []


def test_rule_c4_a_repetition_whose_batch_fails_leaves_no_trace(kit: Kit) -> None:
    """It is of the same transaction: refused with it, written once when it is tried again."""
    ann, full = kit.account("ann@example.org"), kit.account("full@example.org", quota_bytes=0)
    data = message()
    kit.store(kit.mail(ann, data=data, once=True, trace=True))
    again = kit.mail(ann, data=data, once=True, trace=True)
    located = [
        Located(at, one, location)
        for at, one in enumerate((again, kit.mail(full)))
        for location in kit.blobs.put_many([one.content])
    ]
    with pytest.raises(Guilty):
        write_batch(kit.storage, located, boot_clock())
    assert kit.rows("SELECT count(*) FROM trace") == [(1,)]
    kit.commit(again, kit.mail(full))
    assert kit.rows("SELECT count(*) FROM trace") == [(2,)]
    kit.store(again)  # as after a commit whose outcome nobody knows
    assert kit.rows("SELECT count(*) FROM trace") == [(3,)]


def test_rule_c4_after_a_day_the_pipe_stores_again(kit: Kit) -> None:
    """And other roads store every time."""
    ann = kit.account("ann@example.org")
    data = message()
    start = now_ms()
    for received_ms in (start, start + DAY_MS, start + DAY_MS + 1, start + DAY_MS + 2):
        kit.store(kit.mail(ann, data=data, once=True, received_ms=received_ms))
    assert len(placements(kit, ann)) == 2
    kit.store(kit.mail(ann, data=data), kit.mail(ann, data=data))
    assert len(placements(kit, ann)) == 4


def test_rule_c4_the_pipe_does_not_repeat_what_has_no_message_id(kit: Kit) -> None:
    """Without one, equal bytes may be two mails."""
    ann = kit.account("ann@example.org")
    for _ in range(2):
        kit.store(kit.mail(ann, data=b"Subject: no id\r\n\r\n", once=True))
    assert len(placements(kit, ann)) == 2


def test_rule_c4_the_guilty_one_is_blamed_also_behind_a_repetition(kit: Kit) -> None:
    """A repetition before it in the batch moves no blame to a neighbour."""
    ann, full = kit.account("ann@example.org"), kit.account("full@example.org", quota_bytes=0)
    data = message()
    kit.store(kit.mail(ann, data=data, once=True))
    outcomes = kit.commit(kit.mail(ann, data=data, once=True), kit.mail(ann), kit.mail(full), kit.mail(ann))
    assert [type(one) for one in outcomes] == [Stored, Stored, QuotaExceeded, Stored]
    assert len(placements(kit, ann)) == 3


def test_rule_j3_an_accepted_mail_leaves_one_trace_row_in_its_transaction(kit: Kit) -> None:
    """With the reply and the road; a refused one leaves none."""
    ann, full = kit.account("ann@example.org"), kit.account("full@example.org", quota_bytes=0)
    good, bad = kit.mail(ann, trace=True), kit.mail(full, trace=True)
    kit.commit(good, bad)
    assert good.trace is not None
    assert kit.rows("SELECT id, accepted, road, reply FROM trace") == [
        (good.trace.id, 1, "smtp", f"250 2.0.0 stored {good.copies[0].id}")
    ]


def test_rule_c2_bytes_that_lay_too_long_are_given_up(kit: Kit) -> None:
    """A process that slept between disk and database commits nothing that collection may have taken."""
    ann = kit.account("ann@example.org")
    one = kit.mail(ann)
    located = [Located(0, one, location) for location in kit.blobs.put_many([one.content])]
    with pytest.raises(StorageDown):
        write_batch(kit.storage, located, boot_clock() - BYTES_GOOD_S - 1)
    assert placements(kit, ann) == []
    write_batch(kit.storage, located, boot_clock())
    assert len(placements(kit, ann)) == 1


def test_rule_d2_a_batch_of_much_mail_is_several_transactions(kit: Kit) -> None:
    """It ends at 32 MiB: others write between two mails of 20 MiB, not between two small ones."""
    ann = kit.account("ann@example.org")
    written: list[None] = []
    counting = around(kit.storage, before=lambda: written.append(None))
    committer = Committer(counting, kit.blobs, lambda: kit.ids)
    large = message(body="x" * (20 << 20))
    for batch, transactions in (
        ([kit.mail(ann), kit.mail(ann)], 1),
        ([kit.mail(ann, data=large), kit.mail(ann, data=large)], 2),
    ):
        written.clear()
        assert all(isinstance(one, Stored) for one in committer.commit_many(batch))
        assert len(written) == transactions


def test_an_empty_batch_is_nothing(kit: Kit) -> None:
    """Committing nothing answers nothing."""
    assert kit.commit() == []


def _sized(one: Delivery, size_bytes: int) -> Delivery:
    return one._replace(copies=tuple(_resized(copy, size_bytes) for copy in one.copies))


def _resized(copy: Copy, size_bytes: int) -> Copy:
    return copy._replace(size_bytes=size_bytes)


def test_locations_are_never_reused(kit: Kit) -> None:
    """Rule C1: equal bytes written twice lie at two places."""
    one = kit.mail(kit.account("ann@example.org"))
    places: set[Locator] = set()
    for _ in range(3):
        places |= set(kit.blobs.put_many([one.content]))
    assert len(places) == 3
    assert isinstance(one.copies[0].id, Id)


def _with_jobs(kit: Kit, delivery: Delivery) -> Delivery:
    """A delivery that leaves a job for each of its copies."""
    new = NewJob(kind="hook", payload={"hook": "h"})
    later = tuple(
        Later(id=kit.ids.next(), copy=copy.id, job=new, delay_ms=30_000) for copy in delivery.copies
    )
    return delivery._replace(later=later)


def _jobs(kit: Kit) -> list[dict[str, object]]:
    rows = kit.rows("SELECT payload, run_at_ms - created_ms FROM job ORDER BY id")
    return [{**json.loads(str(payload)), "delay_ms": delay} for payload, delay in rows]


def test_rule_e2_jobs_are_made_with_their_copies(kit: Kit) -> None:
    """They know the message and where it was put, and wait as long as they should."""
    ann, bob = kit.account("ann@example.org"), kit.account("bob@example.org")
    first, second = kit.store(_with_jobs(kit, kit.mail(ann, bob)))
    boxes = {
        str(row[0]): row[1] for row in kit.rows("SELECT account_id, id FROM mailbox WHERE name = 'INBOX'")
    }
    assert _jobs(kit) == [
        {"hook": "h", "message": str(first), "place": [boxes[str(ann)], 1], "delay_ms": 30_000},
        {"hook": "h", "message": str(second), "place": [boxes[str(bob)], 1], "delay_ms": 30_000},
    ]


def test_rule_e2_no_job_without_its_copy(kit: Kit) -> None:
    """A repetition through the pipe makes none, nor a mail whose account is gone, nor an open transaction."""
    ann = kit.account("ann@example.org")
    data = message()
    kit.store(_with_jobs(kit, kit.mail(ann, data=data, once=True)))
    kit.store(_with_jobs(kit, kit.mail(ann, data=data, once=True)))
    assert len(_jobs(kit)) == 1
    [outcome] = kit.commit(_with_jobs(kit, kit.mail(4711)))
    assert isinstance(outcome, NotFound)
    assert len(_jobs(kit)) == 1


def test_rule_a4_a_collision_gives_jobs_the_new_id(kit: Kit) -> None:
    """The message has another id than its delivery said, and its job says that one."""
    ann = kit.account("ann@example.org")
    [taken] = kit.store(kit.mail(ann))
    delivery = kit.mail(ann)
    delivery = delivery._replace(copies=(delivery.copies[0]._replace(id=taken),))
    [outcome] = kit.commit(_with_jobs(kit, delivery))
    assert isinstance(outcome, Stored)
    [row] = kit.rows("SELECT id FROM message WHERE id <> ?", taken)
    assert [one["message"] for one in _jobs(kit)] == [str(row[0])]
