"""Many recipients, one reply: the table of rule E2, as a pure function of given verdicts."""

from __future__ import annotations

import random

import pytest

from mairust_core.model.mailbox import INBOX, QUARANTINE
from mairust_core.model.reply import Reply
from mairust_core.model.verdict import REJECTED, TEMPFAILED, Action, Verdict
from mairust_core.receive.plan import plan

NO = Verdict(action=Action.REJECT, reply=Reply(554, "5.7.0", "No"), reason="no")
LATER = Verdict(action=Action.TEMPFAIL, reply=Reply(450, "4.2.0", "Later"))
APART = Verdict(action=Action.QUARANTINE, reason="odd")
YES = Verdict()


@pytest.mark.parametrize(
    ("verdicts", "code", "stored", "deferred"),
    [
        ([YES], None, {1: INBOX}, []),
        ([NO], 554, {}, []),
        ([LATER], 450, {}, []),
        ([APART], None, {1: QUARANTINE}, []),
        ([NO, NO], 554, {}, []),
        ([NO, LATER], 450, {}, []),
        ([LATER, NO], 450, {}, []),
        ([LATER, LATER], 450, {}, []),
        ([YES, NO], None, {1: INBOX, 2: QUARANTINE}, []),
        ([NO, YES], None, {1: QUARANTINE, 2: INBOX}, []),
        ([YES, LATER], None, {1: INBOX}, [2]),
        ([APART, LATER], None, {1: QUARANTINE}, [2]),
        ([APART, NO], None, {1: QUARANTINE, 2: QUARANTINE}, []),
        ([YES, NO, LATER], None, {1: INBOX, 2: QUARANTINE}, [3]),
        ([YES, YES], None, {1: INBOX, 2: INBOX}, []),
    ],
)
def test_rule_e2_one_reply_for_all(
    verdicts: list[Verdict], code: int | None, stored: dict[int, str], deferred: list[int]
) -> None:
    """All rejected: 5xx. None deliverable, one tempfailed: 4xx, nothing stored. Otherwise 250."""
    accounts = tuple(range(1, len(verdicts) + 1))
    made = plan([accounts], dict(zip(accounts, verdicts, strict=True)))
    assert [refusal and refusal.code for refusal in made.refusals] == [code]
    assert {account: placing.mailbox for account, placing in made.stored.items()} == stored
    assert sorted(made.deferred) == deferred


def test_rule_e2_the_reason_goes_with_the_copy_into_quarantine() -> None:
    """What the hook said, else its reply, else ours."""
    bare = Verdict(action=Action.REJECT)
    answered = Verdict(action=Action.REJECT, reply=Reply(554, "5.7.0", "No"))
    made = plan([(1, 2, 3, 4)], {1: YES, 2: NO, 3: answered, 4: bare})
    assert [made.stored[account].reason for account in (1, 2, 3, 4)] == [
        "",
        "no",
        "554 5.7.0 No",
        str(REJECTED),
    ]


def test_verdicts_without_a_reply_get_the_defaults() -> None:
    """550 5.7.1 and 451 4.7.1."""
    made = plan([(1,), (2,)], {1: Verdict(action=Action.REJECT), 2: Verdict(action=Action.TEMPFAIL)})
    assert made.refusals == (REJECTED, TEMPFAILED)


def test_trap_s9_over_lmtp_each_recipient_has_its_own_reply() -> None:
    """A group per recipient: one is refused, the next put off, the last stored."""
    made = plan([(1,), (2,), (3,)], {1: NO, 2: LATER})
    assert [refusal and refusal.code for refusal in made.refusals] == [554, 450, None]
    assert list(made.stored) == [3]
    assert made.deferred == {}


def test_rule_e1_an_account_behind_several_recipients_gets_one_copy() -> None:
    """And it counts for each of them."""
    made = plan([(1, 2), (2,)], {})
    assert sorted(made.stored) == [1, 2]
    assert made.refusals == (None, None)


def test_whatever_the_verdicts_a_250_leaves_nobody_out() -> None:
    """Of every accepted group each account is stored or delivered later; the seed is printed."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(500):
        accounts = range(1, chance.randint(2, 7))
        verdicts = {account: chance.choice([YES, NO, LATER, APART]) for account in accounts}
        groups = [
            tuple(chance.sample(list(accounts), chance.randint(1, len(accounts))))
            for _ in range(chance.randint(1, 4))
        ]
        made = plan(groups, verdicts)
        for group, refusal in zip(groups, made.refusals, strict=True):
            assert refusal is not None or set(group) <= set(made.stored) | set(made.deferred)
            assert refusal is None or not refusal.accepted
            deliverable = any(verdicts[one].action <= Action.QUARANTINE for one in group)
            assert deliverable == (refusal is None)
