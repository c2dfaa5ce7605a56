"""Many recipients, one reply: which copies are stored, and what the sender hears (rules E1, E2).

SMTP answers once for all recipients, LMTP and the pipe once for each. Both are groups of accounts with one
reply; the table is the same for every group:

    all rejected                              5xx, nothing stored
    none deliverable, at least one tempfailed 4xx, nothing stored
    otherwise                                 250; rejected → Quarantine, tempfailed → delivered later
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mairust_core.errors import MaiRustError
from mairust_core.model.ids import Id
from mairust_core.model.mailbox import INBOX, QUARANTINE
from mairust_core.model.reply import Reply
from mairust_core.model.verdict import DELIVER, NO_EFFECTS, REJECTED, TEMPFAILED, Action, Effects, Verdict

Group = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """Where one account's copy goes, and why not to its INBOX."""

    mailbox: str = INBOX
    reason: str = ""
    effects: Effects = NO_EFFECTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do with one mail: copies stored now, copies delivered later, and each group's refusal."""

    stored: dict[int, Placing]
    deferred: dict[int, Verdict]
    refusals: tuple[Reply | None, ...]
    """Per group, in order; None where the reply is 250 once the commit is done."""
    shared: frozenset[int] = frozenset()
    """The accounts that share a reply with others."""


_INBOX = Placing()


def plan(groups: Sequence[Group], verdicts: Mapping[int, Verdict]) -> Plan:
    """The plan for one mail; pure. An account in several groups gets one copy (rule E1)."""
    if all(verdict is DELIVER for verdict in verdicts.values()):
        everyone = dict.fromkeys((account for group in groups for account in group), _INBOX)
        return Plan(stored=everyone, deferred={}, refusals=(None,) * len(groups), shared=_shared(groups))
    stored: dict[int, Placing] = {}
    deferred: dict[int, Verdict] = {}
    refusals: list[Reply | None] = []
    for group in groups:
        refusal = _refusal([verdicts.get(account, DELIVER) for account in group])
        refusals.append(refusal)
        if refusal is not None:
            continue
        for account in group:
            verdict = verdicts.get(account, DELIVER)
            if verdict.action is Action.TEMPFAIL:
                deferred[account] = verdict
            else:
                stored[account] = _placing(verdict)
    return Plan(stored=stored, deferred=deferred, refusals=tuple(refusals), shared=_shared(groups))


def _shared(groups: Sequence[Group]) -> frozenset[int]:
    return frozenset([account for group in groups if len(group) > 1 for account in group])


def _refusal(verdicts: Sequence[Verdict]) -> Reply | None:
    if any(verdict.action <= Action.QUARANTINE for verdict in verdicts):
        return None
    tempfailed = next((v for v in verdicts if v.action is Action.TEMPFAIL), None)
    if tempfailed is not None:
        return tempfailed.reply or TEMPFAILED
    return next((v.reply for v in verdicts if v.reply), REJECTED)


def _placing(verdict: Verdict) -> Placing:
    if verdict.action is Action.DELIVER:
        return Placing(mailbox=verdict.effects.move_to or INBOX, effects=verdict.effects)
    reason = verdict.reason or str(verdict.reply or REJECTED)
    return Placing(mailbox=QUARANTINE, reason=reason, effects=verdict.effects)


class Answers:
    """What the groups of one mail hear, while it is being committed.

    A group has its mail for every account or for none: nobody is left out behind a 250 (trap S6), and nobody
    has a copy of what its sender will send again (trap S5), unless another group got it for that account.
    """

    def __init__(self, groups: Sequence[Group], planned: Plan) -> None:
        self._groups = groups
        self._refusals = list(planned.refusals)

    def fail(self, account: int, error: MaiRustError) -> None:
        """Refuse every group that the account is in: it cannot have its copy.

        Who is gone was there at RCPT. For others beside it 5xx would be wrong: when the sender tries again,
        RCPT says which of the recipients it is.
        """
        for index, group in enumerate(self._groups):
            if account in group and self._refusals[index] is None:
                retry = len(group) > 1 and error.reply.code >= 500
                self._refusals[index] = MaiRustError.reply if retry else error.reply

    def fail_all(self, reply: Reply) -> list[Reply]:
        """The replies when nothing is stored; `reply` where there is no other reason."""
        return [refusal or reply for refusal in self._refusals]

    def wanted(self) -> set[int]:
        """The accounts that shall have a copy."""
        return {
            account
            for group, refusal in zip(self._groups, self._refusals, strict=True)
            if refusal is None
            for account in group
        }

    def stored(self, ids: Mapping[int, Id]) -> list[Reply]:
        """The replies when these messages are stored, by account."""
        return [
            refusal or Reply(250, "2.0.0", f"stored {int(ids[group[0]])}")
            for group, refusal in zip(self._groups, self._refusals, strict=True)
        ]
