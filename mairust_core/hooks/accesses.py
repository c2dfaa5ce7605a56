"""Which plugin saw which mail, and what of it (B-5): one access for each account whose copy it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from mairust_core.hooks.book import Registered
from mairust_core.hooks.steps import Step, saw
from mairust_core.model.hook import Mode
from mairust_core.model.ids import Id
from mairust_core.model.plugin_life import Occasion


class Access(NamedTuple):
    """One plugin was sent one account's copy of a mail.

    `message_id` None: the mail was refused, so that no message came of it, or it is not known yet. A tuple,
    for one is made for each copy of each mail; its words are made when it is written.
    """

    at_ms: int
    registered: Registered
    occasion: Occasion | None
    account_id: int
    trace_id: int | None
    message_id: int | None

    @property
    def saw(self) -> list[str]:
        """What of the mail the plugin was shown, as the trace has it."""
        return saw(self.registered.plugin.permissions)

    @property
    def why(self) -> Occasion:
        """Why it was shown the mail."""
        live = Occasion.SHADOW if self.registered.hook.mode is Mode.SHADOW else Occasion.MAIL
        return self.occasion or live


def accesses_of(
    step: Step, trace_id: int | None, stored: Mapping[int, Id], occasion: Occasion | None = None
) -> list[Access]:
    """Those of one question; none when it was not asked. `stored` are the messages, by account.

    `occasion` is for questions that no mail asked, which came or was stored.
    """
    if not step.outcome.called:
        return []
    at_ms, registered = step.at_ms, step.registered
    return [Access(at_ms, registered, occasion, one, trace_id, stored.get(one)) for one in step.accounts]
