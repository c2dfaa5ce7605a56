"""Several processes change the same account's mail, and one of them is killed, on both databases."""

from __future__ import annotations

import random
import time

from tests.integration.store.conftest import Start
from tests.support.stores import Kit


def test_rule_a2_nothing_drifts_when_processes_change_the_same_account(kit: Kit, start: Start) -> None:
    """Two change, one brings mail; none runs into a circle of locks."""
    kit.domain()
    ann = kit.account("ann@example.org")
    kit.store(*(kit.mail(ann) for _ in range(10)))
    changers = [start("change", 60) for _ in range(2)]
    sender = start("commit", 20)
    for worker in (*changers, sender):
        worker.go()
    assert [worker.done() for worker in changers] == [{"deadlocks": []}] * 2
    assert sender.done()["stored"] > 0
    assert kit.problems() == []


def test_rule_a2_nothing_drifts_when_a_process_is_killed_in_the_middle(kit: Kit, start: Start) -> None:
    """SIGKILL between any two statements: a change is whole or was not made."""
    kit.domain()
    ann = kit.account("ann@example.org")
    kit.store(*(kit.mail(ann) for _ in range(10)))
    before = kit.rows("SELECT modseq FROM account")
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(3):
        worker = start("change", 10_000)
        worker.go()
        while kit.rows("SELECT modseq FROM account") == before:
            time.sleep(0.01)
        time.sleep(chance.random() / 5)
        worker.process.kill()
        worker.process.communicate()
        assert kit.problems() == []
        before = kit.rows("SELECT modseq FROM account")
