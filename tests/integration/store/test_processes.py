"""Several processes write one store at once, on both databases (rules A2, D2)."""

from __future__ import annotations

from mairust_core.config import Settings
from tests.integration.store.conftest import Start
from tests.support.stores import Kit, open_kit

ACCOUNTS = 5
BATCHES = 30


def test_rule_a2_processes_that_write_to_the_same_accounts_lose_no_counter(
    kit: Kit, site_settings: Settings, start: Start
) -> None:
    """Three of them with batches in different orders: every answer is “stored”, every counter its sum."""
    kit.domain()
    for number in range(ACCOUNTS):
        kit.account(f"u{number}@example.org")
    workers = [start("commit", BATCHES) for _ in range(3)]
    for worker in workers:
        worker.go()
    done = [worker.done() for worker in workers]
    assert [one["errors"] for one in done] == [[], [], []]
    total = sum(one["stored"] for one in done)
    assert kit.rows("SELECT count(*) FROM message") == [(total,)]
    assert kit.rows("SELECT sum(messages) FROM account") == [(total,)]
    assert kit.rows("SELECT sum(modseq) FROM account") == [(total + ACCOUNTS,)]
    assert kit.rows("SELECT sum(uidnext) FROM mailbox") == [(total + ACCOUNTS,)]
    assert kit.problems() == []


def test_processes_that_need_the_same_new_mailbox_make_it_once(kit: Kit, start: Start) -> None:
    """A missing INBOX is made on demand by whoever comes first."""
    kit.domain()
    kit.account("ann@example.org")
    kit.run("DELETE FROM mailbox")
    workers = [start("commit", 5) for _ in range(3)]
    for worker in workers:
        worker.go()
    assert [worker.done()["errors"] for worker in workers] == [[], [], []]
    assert kit.rows("SELECT count(*) FROM mailbox") == [(1,)]
    assert kit.problems() == []


def test_a_site_opens_in_many_processes_at_the_same_moment(site_settings: Settings, start: Start) -> None:
    """Each gets its own process number, each sees the schema made once."""
    workers = [start("collect", 1) for _ in range(4)]
    for worker in workers:
        worker.go()
    assert [worker.done()["runs"] for worker in workers] == [1, 1, 1, 1]
    with open_kit(site_settings) as kit:
        assert kit.rows("SELECT count(*) FROM process_number") == [(5,)]
