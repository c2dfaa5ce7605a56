"""Which plugin saw which mail, and what of it (B-5): one access for each account whose copy it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mairust_core.hooks.steps import Step, saw
from mairust_core.model.hook import Mode
from mairust_core.model.ids import Id
from mairust_core.model.plugin_life import Occasion


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One plugin was sent one account's copy of a mail; `saw` as the trace has it.

    `message_id` None: the mail was refused, so that no message came of it.
    """

    at_ms: int
    plugin: str
    version: str
    hook: str
    occasion: Occasion
    saw: tuple[str, ...]
    account_id: int
    trace_id: int | None
    message_id: int | None


def accesses_of(
    step: Step, trace_id: int | None, stored: Mapping[int, Id], occasion: Occasion | None = None
) -> Iterator[Access]:
    """Those of one question; none when it was not asked. `stored` are the messages, by account."""
    if not step.outcome.called:
        return
    hook, plugin = step.registered.hook, step.registered.plugin
    live = Occasion.SHADOW if hook.mode is Mode.SHADOW else Occasion.MAIL
    parts = tuple(saw(plugin.permissions))
    for account_id in step.accounts:
        message_id = stored.get(account_id)
        yield Access(
            at_ms=step.at_ms,
            plugin=plugin.id,
            version=plugin.version,
            hook=hook.name,
            occasion=occasion or live,
            saw=parts,
            account_id=account_id,
            trace_id=trace_id,
            message_id=None if message_id is None else int(message_id),
        )
