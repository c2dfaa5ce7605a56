"""Many answers, one verdict for each account: stop, merge, and the strongest action (R-HOOK-4, trap H7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from mairust_core.hooks.answers import Said
from mairust_core.hooks.metadata import fitting
from mairust_core.model.flags import MAX_KEYWORDS, MAX_TAGS, MESSAGE_TAGS, changed
from mairust_core.model.verdict import DELIVER, NO_EFFECTS, Action, Effects, Verdict

STOPPING = frozenset({Action.REJECT, Action.TEMPFAIL})


class Opinions:
    """What has been said of one mail so far, for each account."""

    def __init__(self, accounts: Iterable[int]) -> None:
        self.verdicts: dict[int, Verdict] = dict.fromkeys(accounts, DELIVER)
        self._tags: Counter[tuple[int, str]] = Counter()

    def open(self, accounts: Iterable[int]) -> list[int]:
        """Those of the accounts whose chain has not been stopped."""
        return [one for one in accounts if self.verdicts[one].action not in STOPPING]

    def add(self, accounts: Iterable[int], said: Said, plugin: str = "") -> tuple[str, ...]:
        """Count one answer of a plugin for the accounts it was given for (rule E1); what did not fit."""
        left_out: dict[str, None] = {}
        for one in accounts:
            before = self.verdicts[one]
            room = MAX_TAGS - self._tags[one, plugin]
            effects, missing = together(before.effects, said.effects, room)
            if said.effects.tags:
                self._tags[one, plugin] += len({*effects.tags} - {*before.effects.tags})
            self.verdicts[one] = combined(before, said, effects)
            left_out |= dict.fromkeys(missing)
        return tuple(left_out)

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


def combined(before: Verdict, said: Said, effects: Effects) -> Verdict:
    """A verdict and one answer more: a weaker action never takes the place of a stronger one."""
    if said.action <= before.action:
        if effects is before.effects:
            return before
        return Verdict(action=before.action, reply=before.reply, reason=before.reason, effects=effects)
    return Verdict(action=said.action, reply=said.reply, reason=said.reason, effects=effects)


def together(before: Effects, more: Effects, room: int = MAX_TAGS) -> tuple[Effects, tuple[str, ...]]:
    """Both effects, without duplicates, and what did not fit; `room` is for so many new tags.

    Who was asked first says where to move the copy.
    """
    if more is NO_EFFECTS:
        return before, ()
    tags = [tag for tag in before.tags if tag not in more.remove_tags]
    new = [tag for tag in dict.fromkeys(more.tags) if tag not in tags]
    room = max(0, min(room, MESSAGE_TAGS - len(tags)))
    flags = changed(before.flags, more.flags, ())
    metadata, too_much = fitting(before.metadata, more.metadata)
    effects = Effects(
        tags=(*tags, *new[:room]),
        flags=flags[:MAX_KEYWORDS],
        move_to=before.move_to if before.move_to is not None else more.move_to,
        metadata={
            name: value for name, value in {**before.metadata, **metadata}.items() if value is not None
        },
    )
    left_out = [f"tags: {tag}" for tag in new[room:]]
    left_out += [f"flags: {flag}" for flag in flags[MAX_KEYWORDS:]]
    left_out += [f"metadata: {name} does not fit" for name in too_much]
    return effects, tuple(left_out)
