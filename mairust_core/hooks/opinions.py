"""Many answers, one verdict for each account: stop, merge, and the strongest action (R-HOOK-4, trap H7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mairust_core.hooks.answers import Said
from mairust_core.hooks.metadata import fitting
from mairust_core.model.flags import MAX_KEYWORDS, MAX_TAGS, changed
from mairust_core.model.verdict import DELIVER, NO_EFFECTS, Action, Effects, Verdict

STOPPING = frozenset({Action.REJECT, Action.TEMPFAIL})


class Opinions:
    """What has been said of one mail so far, for each account."""

    def __init__(self, accounts: Iterable[int]) -> None:
        self.verdicts: dict[int, Verdict] = dict.fromkeys(accounts, DELIVER)

    def open(self, accounts: Iterable[int]) -> list[int]:
        """Those of the accounts whose chain has not been stopped."""
        return [one for one in accounts if self.verdicts[one].action not in STOPPING]

    def add(self, accounts: Iterable[int], said: Said) -> None:
        """Count one answer for the accounts it was given for (rule E1)."""
        for one in accounts:
            self.verdicts[one] = combined(self.verdicts[one], said)

    def tags(self, accounts: Iterable[int]) -> tuple[str, ...]:
        """The tags that the copies of all these accounts have so far."""
        first, *others = (self.verdicts[one].effects.tags for one in accounts)
        return tuple(tag for tag in first if all(tag in tags for tags in others))

    def metadata(self, accounts: Iterable[int], plugin: str) -> dict[str, Any]:
        """What a plugin wrote to the copies of all these accounts so far, by its own names."""
        prefix = f"plugin:{plugin}:"
        first, *others = (self.verdicts[one].effects.metadata for one in accounts)
        return {
            name.removeprefix(prefix): value
            for name, value in first.items()
            if name.startswith(prefix) and all(one.get(name) == value for one in others)
        }


def combined(before: Verdict, said: Said) -> Verdict:
    """A verdict and one answer more: a weaker action never takes the place of a stronger one."""
    effects = together(before.effects, said.effects)
    if said.action <= before.action:
        if effects is before.effects:
            return before
        return Verdict(action=before.action, reply=before.reply, reason=before.reason, effects=effects)
    return Verdict(action=said.action, reply=said.reply, reason=said.reason, effects=effects)


def together(before: Effects, more: Effects) -> Effects:
    """Both effects, without duplicates. Who was asked first says where to move the copy."""
    if more is NO_EFFECTS:
        return before
    kept = (tag for tag in before.tags if tag not in more.remove_tags)
    return Effects(
        tags=tuple(dict.fromkeys((*kept, *more.tags)))[:MAX_TAGS],
        flags=changed(before.flags, more.flags, ())[:MAX_KEYWORDS],
        move_to=before.move_to if before.move_to is not None else more.move_to,
        metadata=_merged(before.metadata, more.metadata),
    )


def _merged(before: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    found, _ = fitting(before, more)
    return {name: value for name, value in {**before, **found}.items() if value is not None}
