"""Counters equal the sum of the rows, whatever happened, on both databases (rule A2)."""

from __future__ import annotations

import random
from contextlib import suppress

from mairust_core import store
from mairust_core.errors import NotFound
from mairust_core.model.delivery import Delivery, Stored
from mairust_core.model.mailbox import INBOX, QUARANTINE
from mairust_core.receive.collection import Ages, Collection
from tests.support.stores import ADMIN, Kit, message

ROUNDS = 25
USERS = 4
NOW = Ages(condemned_s=-1, leftover_s=-1, sealed_s=-1)


def test_rule_a2_counters_equal_the_rows_after_any_sequence(kit: Kit) -> None:
    """Random batches with good and bad deliveries, removals, quotas and collections; the seed is printed."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    kit.domain()
    people = {f"u{number}@example.org": kit.account(f"u{number}@example.org") for number in range(USERS)}
    texts = [message(f"text {number}") for number in range(6)]
    for number in range(ROUNDS):
        kit.commit(
            *(_delivery(kit, chance, list(people.values()), texts) for _ in range(chance.randint(1, 12)))
        )
        _change(kit, chance, people, number)
        if chance.random() < 0.3:
            assert kit.problems() == []
    assert kit.problems() == []


def _delivery(kit: Kit, chance: random.Random, accounts: list[int], texts: list[bytes]) -> Delivery:
    wanted = chance.sample(accounts, chance.randint(1, len(accounts)))
    one = kit.mail(
        *sorted(wanted),
        data=chance.choice([*texts, None]),
        mailbox=chance.choice([INBOX, INBOX, QUARANTINE, "Work"]),
        once=chance.random() < 0.3,
        trace=chance.random() < 0.5,
    )
    kind = chance.random()
    if kind < 0.1 and one.kept:
        return one._replace(kept=one.kept._replace(header_size_bytes=1 << 70))
    if kind < 0.15:
        return one._replace(copies=tuple(copy._replace(size_bytes=1 << 70) for copy in one.copies))
    return one._replace(copies=tuple(copy._replace(flags=chance.randint(0, 3)) for copy in one.copies))


def _change(kit: Kit, chance: random.Random, people: dict[str, int], number: int) -> None:
    address = chance.choice(sorted(people))
    kind = chance.random()
    if kind < 0.2:
        kit.run("UPDATE account SET quota_bytes = used_bytes + 700 WHERE id = ?", people[address])
    elif kind < 0.3:
        with suppress(NotFound), kit.storage.write() as tx:
            store.accounts.set_enabled(tx, ADMIN, address, chance.random() < 0.5)
    elif kind < 0.4:
        with suppress(NotFound), kit.storage.write() as tx:
            store.accounts.remove(tx, ADMIN, address)
        people[f"new{number}@example.org"] = kit.account(f"new{number}@example.org")
    elif kind < 0.6:
        Collection(kit.storage, kit.blobs, NOW, rest=lambda _: None).run()


def test_a_batch_is_all_or_its_guilty(kit: Kit) -> None:
    """Every delivery of every batch is either answered stored and there, or answered an error and absent."""
    kit.domain()
    ann = kit.account("ann@example.org", quota_bytes=2000)
    batch = [kit.mail(ann) for _ in range(20)]
    outcomes = kit.commit(*batch)
    there = {row[0] for row in kit.rows("SELECT id FROM message")}
    assert there == {one.ids[0] for one in outcomes if isinstance(one, Stored)}
    assert 0 < len(there) < 20
