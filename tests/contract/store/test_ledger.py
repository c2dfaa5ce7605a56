"""The ledger of imports, in the transaction of the placement, on both databases (rule I1)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, cast

import pytest
from sqlalchemy import Connection

from mairust_core import store
from mairust_core.errors import QuotaExceeded
from mairust_core.model.delivery import Counted, Delivery, Stored
from mairust_core.model.mailbox import INBOX
from mairust_core.receive.collection import Ages, Collection
from mairust_core.store import StorageBackend, ledger
from tests.support.stores import ADMIN, Kit


@pytest.fixture
def ann(kit: Kit) -> int:
    """An account of a domain."""
    kit.domain()
    return kit.account("ann@example.org")


def imported(kit: Kit, account_id: int, data: bytes, copy: int, *, again: bool = False) -> Delivery:
    """A message of an import: this copy of these bytes."""
    mail = kit.mail(account_id, data=data, received_ms=1000 + copy)
    return mail._replace(counted=Counted(copy=copy, again=again))


def counted(kit: Kit) -> list[tuple[object, ...]]:
    """The ledger's rows: mailbox and copies."""
    return kit.rows("SELECT mailbox, copies FROM import_ledger ORDER BY mailbox, copies")


def how_many(kit: Kit, batch: list[Delivery]) -> list[int]:
    """How many messages each delivery of a batch became."""
    outcomes = kit.committer.commit_many(batch)
    assert all(isinstance(one, Stored) for one in outcomes)
    return [len(one.ids) for one in outcomes if isinstance(one, Stored)]


def test_rule_i1_a_copy_is_stored_while_fewer_are_counted(kit: Kit, ann: int) -> None:
    """Equal mails of one batch all arrive; the same batch again adds nothing, one copy more adds one."""
    batch = [imported(kit, ann, b"a", 1), imported(kit, ann, b"a", 2), imported(kit, ann, b"b", 1)]
    assert how_many(kit, batch) == [1, 1, 1]
    again = [imported(kit, ann, b"a", n) for n in (1, 2, 3)]
    assert how_many(kit, again) == [0, 0, 1]
    assert counted(kit) == [(INBOX, 1), (INBOX, 3)]
    assert kit.problems() == []


def test_rule_i1_copies_of_a_batch_are_counted_in_their_order(kit: Kit, ann: int) -> None:
    """The second copy of equal mails may come before the first: both are stored."""
    assert how_many(kit, [imported(kit, ann, b"a", 2), imported(kit, ann, b"a", 1)]) == [1, 1]
    assert counted(kit) == [(INBOX, 2)]


def test_rule_i1_each_mailbox_counts_for_itself(kit: Kit, ann: int) -> None:
    """The same bytes for another mailbox are another message; mailboxes are made as needed."""
    there = imported(kit, ann, b"a", 1)
    elsewhere = there._replace(copies=(kit.copy(ann, 1, mailbox="Work"),))
    assert how_many(kit, [there, elsewhere]) == [1, 1]
    assert counted(kit) == [(INBOX, 1), ("Work", 1)]


def test_rule_i1_what_was_deleted_does_not_return(kit: Kit, ann: int) -> None:
    """The ledger says what was imported, not what is there."""
    how_many(kit, [imported(kit, ann, b"a", 1)])
    kit.run("DELETE FROM placement")
    kit.run("DELETE FROM message")
    assert how_many(kit, [imported(kit, ann, b"a", 1)]) == [0]
    assert how_many(kit, [imported(kit, ann, b"a", 1, again=True)]) == [1]
    assert counted(kit) == [(INBOX, 1)]


def test_rule_i1_again_counts_no_more_than_the_source_has(kit: Kit, ann: int) -> None:
    """Imported twice by wish, one copy is still one copy of the source: a second one arrives later."""
    how_many(kit, [imported(kit, ann, b"a", 1)])
    assert how_many(kit, [imported(kit, ann, b"a", 1, again=True)]) == [1]
    assert how_many(kit, [imported(kit, ann, b"a", 1), imported(kit, ann, b"a", 2)]) == [0, 1]


def test_rule_i1_what_is_not_stored_is_not_counted(kit: Kit) -> None:
    """A batch that is written again without its guilty message counts the others once."""
    kit.domain()
    ann = kit.account("ann@example.org", quota_bytes=10)
    small, large = imported(kit, ann, b"small", 1), imported(kit, ann, b"x" * 50, 1)
    outcomes = kit.committer.commit_many([large, small])
    assert isinstance(outcomes[0], QuotaExceeded)
    assert isinstance(outcomes[1], Stored)
    assert counted(kit) == [(INBOX, 1)]
    kit.run("UPDATE account SET quota_bytes = NULL")
    assert how_many(kit, [imported(kit, ann, b"x" * 50, 1), imported(kit, ann, b"small", 1)]) == [1, 0]


def test_rule_i1_two_runs_at_once_bring_each_message_once(kit: Kit, ann: int) -> None:
    """Both send everything, in batches of their own; the ledger's rows let one of them have it."""
    texts = [b"text %d" % n for n in range(60)]
    stored: list[int] = []

    def run() -> None:
        for start in range(0, len(texts), 10):
            batch = [imported(kit, ann, text, 1) for text in texts[start : start + 10]]
            stored.extend(how_many(kit, batch))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(stored), sum(stored)) == (120, 60)
    assert kit.rows("SELECT messages, uidnext FROM mailbox") == [(60, 61)]
    assert kit.problems() == []


def test_known_asks_in_few_statements(kit: Kit, ann: int) -> None:
    """Hundreds of contents at once; those that are not counted are left out."""
    batch = [imported(kit, ann, b"%d" % n, 1) for n in range(40)]
    how_many(kit, batch)
    asked = [one.content.sha256 for one in batch] + [bytes([n % 256]) * 32 for n in range(1100)]
    counting = Counting(kit.storage)
    storage = cast(StorageBackend, counting)
    with kit.storage.read() as tx:
        found = ledger.known(storage, tx, ann, INBOX, asked)
        assert ledger.known(storage, tx, ann, "Work", asked[:40]) == {}
    assert found == {one.content.sha256: 1 for one in batch}
    assert len([one for one in counting.statements if "import_ledger" in one]) == 3 + 1


class Counting:
    """A storage that notes the statements which fetch all their rows."""

    def __init__(self, storage: StorageBackend) -> None:
        self.statements: list[str] = []
        self._storage = storage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def fetch_all(self, tx: Connection, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """As the storage does."""
        self.statements.append(sql)
        return self._storage.fetch_all(tx, sql, values)


def test_a_removed_account_takes_its_ledger_and_subscriptions_along(kit: Kit, ann: int) -> None:
    """Collection leaves no row of it."""
    how_many(kit, [imported(kit, ann, b"%d" % n, 1) for n in range(5)])
    with kit.storage.write() as tx:
        store.subscriptions.add(tx, 1, ann, ["INBOX", "Work", "INBOX"])
        assert store.subscriptions.of(tx, ann) == ("INBOX", "Work")
        store.subscriptions.add(tx, 1, ann, ["Work", "Later"])
        assert store.subscriptions.of(tx, ann) == ("INBOX", "Later", "Work")
        store.accounts.remove(tx, ADMIN, "ann@example.org")
    Collection(kit.storage, kit.blobs, Ages(), rest=lambda _: None).run()
    assert counted(kit) == []
    assert kit.rows("SELECT * FROM subscription") == []
    assert kit.problems() == []
