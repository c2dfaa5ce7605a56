"""What one question came to, as the trace and `hook test` tell it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mairust_core.hooks import Event
from mairust_core.hooks.answers import Said
from mairust_core.hooks.book import Registered
from mairust_core.hooks.calls import Outcome
from mairust_core.model.hook import Mode
from mairust_core.model.plugin import Attachments, Body, Permissions
from mairust_core.model.verdict import NO_EFFECTS, Effects

MAX_LOG = 2000
_END = 1200
"""Of a longer log: a traceback says at its end what went wrong."""
"""Characters of what a plugin wrote beside its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One question to one hook, about the copies of some accounts.

    `request` is what was sent, kept in trials only: it may be as large as the mail. `left_out` are effects
    for which there was no room beside those of others.
    """

    registered: Registered
    accounts: Sequence[int]
    at_ms: int
    delivery_id: str
    recipient: str
    request: bytes
    outcome: Outcome
    left_out: tuple[str, ...] = ()


def event(step: Step) -> Event:
    """What the trace notes of it: who saw what, what was said, and what of it counted (B-5, B-7)."""
    hook, outcome = step.registered.hook, step.outcome
    found: Event = {
        "at": step.at_ms,
        "kind": "hook",
        **_whose(step.accounts),
        "hook": hook.name,
        "type": hook.type.value,
        "plugin": step.registered.plugin.id,
        "version": step.registered.plugin.version,
        "ms": outcome.ms,
        "action": outcome.said.action.name.lower(),
    }
    if hook.mode is Mode.SHADOW:
        found["mode"] = hook.mode.value
    if outcome.called:
        found["saw"] = saw(step.registered.plugin.permissions)
    if step.left_out:
        found["left_out"] = list(step.left_out)
    return found | said(outcome.said) | _failure(outcome)


def _whose(accounts: Sequence[int]) -> dict[str, Any]:
    return {"account_id": accounts[0]} if len(accounts) == 1 else {"account_ids": list(accounts)}


def said(answer: Said) -> dict[str, Any]:
    """An answer's words and effects, those that there are."""
    found: dict[str, Any] = {}
    if answer.reply is not None:
        found["reply"] = str(answer.reply)
    if answer.reason:
        found["message"] = answer.reason
    if changes := effects(answer.effects):
        found["effect"] = changes
    if answer.annotations:
        found["annotations"] = answer.annotations
    if answer.score is not None:
        found["score"] = answer.score
    if answer.refused:
        found["refused"] = list(answer.refused)
    return found


def effects(wanted: Effects) -> dict[str, Any]:
    """The effects that there are, in the words of answers."""
    found: dict[str, Any] = {}
    if wanted is NO_EFFECTS:
        return found
    for name in ("tags", "remove_tags", "flags"):
        if given := getattr(wanted, name):
            found[name] = list(given)
    if wanted.move_to is not None:
        found["move_to"] = wanted.move_to
    if wanted.metadata:
        found["metadata"] = wanted.metadata
    return found


def _failure(outcome: Outcome) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if outcome.error is not None:
        found["error"] = outcome.error
    if outcome.log:
        found["log"] = shown_log(outcome.log)
    return found | dict(outcome.notes)


def shown_log(log: str) -> str:
    """What a trace and a trial keep of what a process wrote: its beginning and its end."""
    if len(log) <= MAX_LOG:
        return log
    between = "\n… left out …\n"
    return log[: MAX_LOG - _END - len(between)] + between + log[-_END:]


def saw(permissions: Permissions) -> list[str]:
    """Which parts of a mail these permissions show."""
    found = ["headers"] if permissions.read_headers else []
    if permissions.read_body is not Body.NONE:
        found.append(f"body:{permissions.read_body.value}")
    if permissions.read_attachments is not Attachments.NONE:
        found.append(f"attachments:{permissions.read_attachments.value}")
    return found
