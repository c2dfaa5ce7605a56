"""What is said about a mail for one account, and what follows for the one reply (rule E2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from mairust_core.model.reply import Reply


class ActionWord(StrEnum):
    """What shall happen with a copy, as it is said."""

    DELIVER = "deliver"
    QUARANTINE = "quarantine"
    TEMPFAIL = "tempfail"
    REJECT = "reject"


class Action(IntEnum):
    """What shall happen with a copy; the larger is the stronger."""

    DELIVER = 0
    QUARANTINE = 1
    TEMPFAIL = 2
    REJECT = 3

    @property
    def word(self) -> ActionWord:
        """As it is said."""
        return ActionWord[self.name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What plugins change of a copy, as far as they may (R-PERM-2).

    `metadata` by its full names, `plugin:<id>:…`. `move_to` None: where it is, or INBOX.
    """

    tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    move_to: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


NO_EFFECTS = Effects()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The strongest answer of a hook chain for one account; `reply` goes with reject and tempfail."""

    action: Action = Action.DELIVER
    reply: Reply | None = None
    reason: str = ""
    effects: Effects = NO_EFFECTS


DELIVER = Verdict()
REJECTED = Reply(550, "5.7.1", "Message refused by policy")
TEMPFAILED = Reply(451, "4.7.1", "Try again later")
