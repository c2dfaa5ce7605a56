"""Changing, moving, deleting and undeleting mail: counters, UIDs, MODSEQ, tombstones, on both databases."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy import event

from mairust_core import store
from mairust_core.app import Site, open_site
from mairust_core.errors import Conflict, NotFound, QuotaExceeded
from mairust_core.ids import now_ms
from mairust_core.model.account import AccountChange
from mairust_core.model.ids import Id
from mairust_core.model.mailbox import QUARANTINE, NewMailbox
from mairust_core.model.message_change import MessageChange
from mairust_core.receive.collection import Ages, Collection
from mairust_core.services.accounts import Accounts
from mairust_core.services.mailboxes import Mailboxes
from mairust_core.services.messages import Messages
from mairust_core.store import tombstones
from tests.support.changes import Changes
from tests.support.stores import ADMIN, Kit
from tests.support.told import whole
from tests.support.waiting import OneMore

ANN = "ann@example.org"
STEPS = 250
DAY_MS = 86_400_000


@pytest.fixture
def site(kit: Kit) -> Iterator[Site]:
    """The kit's site as services have it, with ann and her mailboxes."""
    kit.domain()
    kit.account(ANN)
    opened = open_site(kit.settings)
    for name in ("Work", QUARANTINE):
        with kit.storage.write() as tx:
            account = store.accounts.get(tx, ADMIN, ANN)
            store.mailboxes.ensure(tx, 1, account.id, kit.ids.next(), name)
    yield opened
    opened.close()


def stored(kit: Kit, count: int = 1, mailbox: str = "INBOX") -> list[str]:
    """New messages of ann's; their ids."""
    [(ann,)] = kit.rows("SELECT id FROM account WHERE address = ?", ANN)
    return [
        str(int(one)) for one in kit.store(*(kit.mail(int(str(ann)), mailbox=mailbox) for _ in range(count)))
    ]


def modseq(kit: Kit) -> int:
    """The account's counter."""
    [(value,)] = kit.rows("SELECT modseq FROM account WHERE address = ?", ANN)
    return int(str(value))


def test_rule_a2_nothing_drifts_after_any_sequence_of_changes(kit: Kit, site: Site) -> None:
    """Random changes of all kinds against a model of the account; counters recounted. The seed is printed."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    changes = Changes(site=site, address=ANN, chance=random.Random(seed), alone=True)
    for _ in range(4):
        changes.run(STEPS // 4)
        assert changes.there() == changes.known
        assert kit.problems() == []
    assert len(changes.uids) > 10


def test_rule_a2_nothing_drifts_when_threads_change_the_same_account(kit: Kit, site: Site) -> None:
    """Four threads at the same messages, beside mail coming in and the trash being emptied."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    workers = [Changes(site=site, address=ANN, chance=random.Random(seed + n), alone=False) for n in range(4)]
    gone = Ages(trash_days=-1, tombstone_days=90)
    with ThreadPoolExecutor(6) as pool:
        running = [pool.submit(one.run, 60) for one in workers]
        mail = [pool.submit(stored, kit, 3) for _ in range(20)]
        cleaning = pool.submit(Collection(kit.storage, kit.blobs, gone, rest=lambda _: None).run)
        for worker in running:
            worker.result()
        cleaning.result()
        for came in mail:
            with suppress(AssertionError):  # no room just then: the quota is one of the things changed
                came.result()
    assert [one.deadlocks for one in workers] == [[]] * 4
    assert kit.problems() == []


def test_rule_a2_every_change_takes_a_modseq_and_no_change_none(kit: Kit, site: Site) -> None:
    """Flags, tags, metadata, moves, deletes; what is so already stays as it is."""
    [one] = stored(kit)
    messages = site.service(Messages, ADMIN)
    asked = (
        MessageChange(add_flags=("\\Seen", "$Junk")),
        MessageChange(tags=("a", "b")),
        MessageChange(metadata={"org.example": {"score": 1}}),
        MessageChange(mailbox="Work", add_flags=("\\Flagged",), remove_tags=("a",)),
        MessageChange(flags=("\\Flagged",)),
    )
    for wanted in asked:
        before = modseq(kit)
        messages.change(one, wanted)
        assert modseq(kit) == before + 1
        assert messages.show(one).modseq == before + 1
        messages.change(one, wanted)
        assert modseq(kit) == before + 1
    for act in (messages.delete, messages.undelete):
        before = modseq(kit)
        act(one)
        act(one)
        assert modseq(kit) == before + 1
        assert messages.show(one).modseq == before + 1


def test_rule_a2_what_leaves_a_mailbox_leaves_a_tombstone(kit: Kit, site: Site) -> None:
    """Move, delete and purge: mailbox, UID and the MODSEQ of the leaving; undelete leaves none."""
    messages = site.service(Messages, ADMIN)
    moved, deleted, purged = stored(kit, 3)
    expected = []
    for act in (
        lambda: messages.change(moved, MessageChange(mailbox="Work")),
        lambda: messages.delete(deleted),
        lambda: messages.delete(purged, now=True),
        lambda: messages.delete(moved),
    ):
        act()
        expected.append(modseq(kit))
    messages.undelete(deleted)
    messages.delete(deleted, now=True)  # it had a new UID
    expected.append(modseq(kit))
    found = kit.rows(
        "SELECT b.name, t.uid, t.modseq FROM tombstone t"
        " JOIN mailbox b ON b.id = t.mailbox_id ORDER BY t.modseq"
    )
    places = [("INBOX", 1), ("INBOX", 2), ("INBOX", 3), ("Work", 1), ("INBOX", 4)]
    assert found == [(*place, number) for place, number in zip(places, expected, strict=True)]


def test_trap_d3_a_new_uid_for_what_moves_or_comes_back(kit: Kit, site: Site) -> None:
    """UIDs ascend and none is given twice, also when a message returns to where it was."""
    messages = site.service(Messages, ADMIN)
    [one] = stored(kit)
    uids = [messages.show(one).uid]
    for mailbox in ("Work", "INBOX", "Work", "INBOX"):
        uids.append(whole(messages.change(one, MessageChange(mailbox=mailbox))).uid)
    messages.delete(one)
    uids.append(whole(messages.undelete(one)).uid)
    assert uids == [1, 1, 2, 2, 3, 4]


def test_rule_a1_the_id_survives_move_flag_delete_and_undelete(kit: Kit, site: Site) -> None:
    """And with it thread, time and tags."""
    messages = site.service(Messages, ADMIN)
    [one] = stored(kit)
    first = whole(messages.change(one, MessageChange(tags=("kept",))))
    messages.change(one, MessageChange(mailbox="Work", add_flags=("\\Seen",)))
    messages.delete(one)
    last = whole(messages.undelete(one))
    assert (last.id, last.thread_id, last.received_at, last.tags) == (
        first.id, first.thread_id, first.received_at, ("kept",),
    )  # fmt: skip
    assert (last.mailbox, last.flags) == ("Work", ("\\Seen",))


def test_rule_a1_anns_changes_never_show_in_bobs_copy(kit: Kit, site: Site) -> None:
    """Both have the same bytes; flags, tags, mailbox, metadata and deletion are each one's own."""
    bob = kit.account("bob@example.org")
    [(ann,)] = kit.rows("SELECT id FROM account WHERE address = ?", ANN)
    hers, his = (str(int(one)) for one in kit.store(kit.mail(int(str(ann)), bob)))
    messages = site.service(Messages, ADMIN)
    before = messages.show(his)
    change = MessageChange(flags=("\\Seen",), tags=("x",), mailbox="Work", metadata={"a": 1})
    messages.change(hers, change)
    assert messages.show(his) == before
    messages.delete(hers, now=True)
    Collection(kit.storage, kit.blobs, Ages(condemned_s=-1), rest=lambda _: None).run()
    assert messages.show(his) == before
    assert kit.problems() == []


def test_rule_a2_a_recreated_mailbox_has_a_higher_uidvalidity(kit: Kit, site: Site) -> None:
    """However fast it goes: max(last + 1, now), from the account's row."""
    mailboxes = site.service(Mailboxes, ADMIN)
    seen = []
    for _ in range(3):
        seen.append(mailboxes.create(ANN, NewMailbox(name="Again")).uidvalidity)
        mailboxes.delete(ANN, name="Again")
    assert seen == sorted(set(seen))
    [(last,)] = kit.rows("SELECT uidvalidity FROM account WHERE address = ?", ANN)
    assert last == seen[-1]
    assert seen[0] >= now_ms() // 1000 - 60


def test_rule_d2_a_large_mailbox_is_deleted_step_by_step(kit: Kit, site: Site) -> None:
    """Every message is in the trash afterwards, the mailbox gone, and nothing counts any more."""
    stored(kit, 250, "Work")
    site.service(Mailboxes, ADMIN).delete(ANN, name="Work")
    account = site.service(Accounts, ADMIN).show(ANN)
    assert (account.messages, account.used_bytes) == (0, 0)
    assert kit.rows("SELECT count(*), min(mailbox) FROM trash") == [(250, "Work")]
    assert [row[0] for row in kit.rows("SELECT name FROM mailbox ORDER BY name")] == ["INBOX", QUARANTINE]
    assert kit.problems() == []


@pytest.mark.parametrize("site_settings", ["postgresql"], indirect=True)
def test_rule_a2_what_moves_out_of_a_mailbox_meanwhile_is_not_deleted_with_it(kit: Kit, site: Site) -> None:
    """Deletion waits for the message and finds it elsewhere. SQLite has one writer at a time."""
    [moved] = stored(kit, 1, "Work")
    with OneMore() as other:
        with kit.storage.write() as tx:
            held = store.placements.hold(tx, ADMIN, Id.parse(moved))
            other.begin(lambda: site.service(Mailboxes, ADMIN).delete(ANN, name="Work"))
            assert other.waits(kit.storage.url)
            store.placements.change(tx, held, MessageChange(mailbox="INBOX"))
        other.end()
    assert [str(int(one.id)) for one in site.service(Messages, ADMIN).browse(ANN).items] == [moved]
    assert [row[0] for row in kit.rows("SELECT name FROM mailbox ORDER BY name")] == ["INBOX", QUARANTINE]
    assert kit.problems() == []


def test_an_undeleted_message_makes_its_mailbox_anew(kit: Kit, site: Site) -> None:
    """With its flags, under a new UIDVALIDITY; a second one finds it there."""
    messages, mailboxes = site.service(Messages, ADMIN), site.service(Mailboxes, ADMIN)
    one, two = stored(kit, 2, "Work")
    messages.change(one, MessageChange(add_flags=("\\Seen", "$Junk")))
    before = {box.name: box.uidvalidity for box in site.service(Accounts, ADMIN).mailboxes(ANN).items}
    mailboxes.delete(ANN, name="Work")
    back = whole(messages.undelete(one))
    assert (back.mailbox, back.uid, back.flags) == ("Work", 1, ("\\Seen", "$Junk"))
    after = {box.name: box for box in site.service(Accounts, ADMIN).mailboxes(ANN).items}
    assert after["Work"].uidvalidity > before["Work"]
    assert (after["Work"].messages, after["Work"].unseen) == (1, 0)
    assert whole(messages.undelete(two)).uid == 2
    assert kit.problems() == []


def test_a_message_goes_back_to_its_mailbox_under_its_new_name(kit: Kit, site: Site) -> None:
    """What counts is the mailbox, not what it was called."""
    messages = site.service(Messages, ADMIN)
    [one] = stored(kit, 1, "Work")
    messages.delete(one)
    with kit.storage.write() as tx:
        account = store.accounts.get(tx, ADMIN, ANN)
        store.mailboxes.rename(tx, account.id, ANN, "Work", "Old")
    assert messages.browse(ANN, deleted=True).items[0].mailbox == "Old"
    assert whole(messages.undelete(one)).mailbox == "Old"


def test_the_trash_takes_no_room_and_coming_back_needs_some(kit: Kit, site: Site) -> None:
    """Deleting makes room for new mail; undeleting over the quota is refused and changes nothing."""
    messages, accounts = site.service(Messages, ADMIN), site.service(Accounts, ADMIN)
    [one] = stored(kit)
    used = accounts.show(ANN).used_bytes
    accounts.edit(ANN, AccountChange(quota_bytes=used))
    messages.delete(one)
    assert (accounts.show(ANN).used_bytes, accounts.show(ANN).messages) == (0, 0)
    accounts.edit(ANN, AccountChange(quota_bytes=used - 1))
    with pytest.raises(QuotaExceeded, match=f"{ANN} has no room"):
        messages.undelete(one)
    assert messages.show(one).deleted_at is not None
    accounts.edit(ANN, AccountChange(quota_bytes=None))
    assert whole(messages.undelete(one)).deleted_at is None
    assert kit.problems() == []


def test_what_is_deleted_cannot_be_changed(kit: Kit, site: Site) -> None:
    """The error says how to bring it back."""
    messages = site.service(Messages, ADMIN)
    [one] = stored(kit)
    messages.delete(one)
    for wanted in (MessageChange(mailbox="Work"), MessageChange(tags=("a",)), MessageChange()):
        with pytest.raises(Conflict, match=f"mairust message undelete {one}"):
            messages.change(one, wanted)


def test_rule_e2_a_message_is_let_out_of_quarantine(kit: Kit, site: Site) -> None:
    """Into INBOX, and the audit knows who did it; elsewhere there is nothing to do."""
    messages = site.service(Messages, ADMIN)
    [held] = stored(kit, 1, QUARANTINE)
    released = whole(messages.release(held))
    assert (released.mailbox, str(int(released.id))) == ("INBOX", held)
    assert messages.release(held) == released
    assert ("messages.release", held) in kit.rows("SELECT operation, subject FROM audit")
    assert kit.problems() == []


def test_purging_now_leaves_nothing_but_a_tombstone(kit: Kit, site: Site) -> None:
    """From a mailbox or from the trash; the bytes go with the next collections, tags and all."""
    messages = site.service(Messages, ADMIN)
    placed, trashed = stored(kit, 2)
    messages.change(placed, MessageChange(tags=("gone",)))
    messages.delete(trashed)
    for one in (placed, trashed):
        assert messages.delete(one, now=True).undelete_until is None
        with pytest.raises(NotFound):
            messages.show(one)
    for table in ("message", "placement", "trash", "message_tag"):
        assert kit.rows(f"SELECT count(*) FROM {table}") == [(0,)]
    done = Collection(kit.storage, kit.blobs, Ages(condemned_s=-1), rest=lambda _: None).run()
    assert (done.condemned, done.blobs) == (2, 2)
    assert kit.problems() == []


def collect(kit: Kit, at_ms: int) -> int:
    """Collect at a moment; how many deleted messages were purged."""
    return Collection(kit.storage, kit.blobs, Ages(), clock=lambda: at_ms, rest=lambda _: None).run().deleted


def test_deleted_messages_go_when_their_time_is_over(kit: Kit, site: Site) -> None:
    """Not a millisecond earlier, in steps, and their contents after them; what was undeleted stays."""
    messages = site.service(Messages, ADMIN)
    back, *others = stored(kit, 230)
    for one in (back, *others):
        messages.delete(one)
    messages.undelete(back)
    rows = kit.rows("SELECT min(deleted_ms), max(deleted_ms) FROM trash")
    first, last = int(str(rows[0][0])), int(str(rows[0][1]))
    assert collect(kit, first + 30 * DAY_MS) == 0
    assert collect(kit, last + 30 * DAY_MS + 1) == 229
    assert kit.rows("SELECT id FROM message") == [(int(back),)]
    assert kit.rows("SELECT count(*) FROM content") == [(1,)]
    assert kit.problems() == []


def test_rule_a2_expired_tombstones_raise_the_floor(kit: Kit, site: Site) -> None:
    """A mailbox's history begins where the last of them that went lay; the others stay."""
    messages = site.service(Messages, ADMIN)
    ids = stored(kit, 4)
    for one in ids[:3]:
        messages.delete(one)
    kit.run("UPDATE tombstone SET at_ms = 1000 WHERE uid < 3")
    rows = [row[0] for row in kit.rows("SELECT modseq FROM tombstone ORDER BY modseq")]
    with kit.storage.write() as tx:
        assert tombstones.expire(tx, 1001, 1) == 1
    assert kit.rows("SELECT floor FROM mailbox WHERE name = 'INBOX'") == [(rows[0],)]
    collect(kit, now_ms())
    assert kit.rows("SELECT floor FROM mailbox WHERE name = 'INBOX'") == [(rows[1],)]
    assert kit.rows("SELECT floor FROM mailbox WHERE name = 'Work'") == [(0,)]
    assert [row[0] for row in kit.rows("SELECT modseq FROM tombstone")] == rows[2:]
    assert kit.problems() == []


def test_a_removed_account_goes_with_its_trash_tags_and_tombstones(kit: Kit, site: Site) -> None:
    """Nothing of it is left in any table."""
    messages = site.service(Messages, ADMIN)
    one, two = stored(kit, 2)
    messages.change(one, MessageChange(tags=("a",), mailbox="Work"))
    messages.delete(two)
    site.service(Accounts, ADMIN).remove(ANN)
    with pytest.raises(NotFound):
        messages.undelete(two)
    done = Collection(kit.storage, kit.blobs, Ages(), rest=lambda _: None).run()
    assert (done.accounts, done.messages) == (1, 2)
    for table in ("message", "placement", "trash", "message_tag", "tombstone", "mailbox"):
        assert kit.rows(f"SELECT count(*) FROM {table}") == [(0,)]
    assert kit.problems() == []


def test_a_change_costs_few_statements(kit: Kit, site: Site) -> None:
    """Whatever the account holds: a flag takes no more at a hundred messages than at one."""
    messages = site.service(Messages, ADMIN)
    site.ids.next()  # what a process needs once, for its first id
    counts = []
    for more in (1, 100):
        *_, one = stored(kit, more)
        seen: list[str] = []

        def note(*arguments: object, seen: list[str] = seen) -> None:
            seen.append(str(arguments[2]))

        event.listen(site.storage.engine, "before_cursor_execute", note)
        messages.change(one, MessageChange(add_flags=("\\Seen",)))
        event.remove(site.storage.engine, "before_cursor_execute", note)
        counts.append(len([sql for sql in seen if not sql.startswith(("BEGIN", "PRAGMA"))]))
    assert counts[0] == counts[1] <= 7


def test_an_id_of_nothing_is_not_held(kit: Kit, site: Site) -> None:
    """Neither changed nor deleted."""
    with kit.storage.write() as tx, pytest.raises(NotFound):
        store.placements.hold(tx, ADMIN, Id(4711))
    assert site.storage.name == kit.storage.name
