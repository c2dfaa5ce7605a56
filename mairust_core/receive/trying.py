"""Trials as they are told: each step with its payload, its answer and its effect."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mairust_core.hooks.accesses import accesses_of
from mairust_core.hooks.book import Registered
from mairust_core.hooks.log import Noted, note
from mairust_core.hooks.steps import MAX_LOG, Step, said
from mairust_core.model import trial
from mairust_core.model.hook import Hook
from mairust_core.model.message import Summary
from mairust_core.model.plugin import Runnable
from mairust_core.model.plugin_life import Occasion
from mairust_core.model.trial import Replayed, TrialEnvelope, Tried
from mairust_core.operations import BytesIn
from mairust_core.receive.trial import Trial, try_hooks, try_on_stored

if TYPE_CHECKING:
    from mairust_core.app import Site

MASK = "***"


class SiteTrial:
    """Tries hooks of a site. Thread-safe; blocks its thread while plugins are asked."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def test(
        self, hooks: Sequence[tuple[Hook, Runnable]], content: BytesIn, envelope: TrialEnvelope
    ) -> Tried:
        """Ask the hooks about a mail, in their order, as the road would."""
        data = b"".join(content.chunks)
        asked = [Registered(hook=hook, plugin=plugin) for hook, plugin in hooks]
        return _tried(try_hooks(self._site, asked, data, envelope.mail_from, envelope.rcpt_to))

    def replay(self, hook: Hook, plugin: Runnable, message: Summary, account_id: int) -> Replayed:
        """Ask a hook about a stored message; raises `NotFound`, `Damaged`."""
        asked = [Registered(hook=hook, plugin=plugin)]
        found = try_on_stored(self._site, asked, message.id, message.account)
        self._note(found.steps, message, account_id)
        step = _step(found.steps[0]) if found.matched else None
        return Replayed(
            id=message.id,
            received_at=message.received_at,
            subject=message.subject,
            matched=found.matched,
            ms=step.ms if step else 0.0,
            action=_word(found),
            error=step.error if step else "",
            effect=step.effect if step else {},
        )

    def _note(self, steps: Sequence[Step], message: Summary, account_id: int) -> None:
        """Write down that the plugin saw the message: that nothing changed makes no difference (B-5)."""
        about = {account_id: message.id}
        accesses = [
            access
            for step in steps
            for access in accesses_of(replace(step, accounts=(account_id,)), None, about, Occasion.REPLAY)
        ]
        note(self._site.hook_log, Noted(accesses=accesses))


def _tried(found: Trial) -> Tried:
    return Tried(
        steps=tuple(map(_step, found.steps)),
        action=_word(found),
        reply=str(found.reply),
        failed=found.failed,
    )


def _word(found: Trial) -> str:
    return found.action.name.lower()


def _step(step: Step) -> trial.Step:
    outcome, hook = step.outcome, step.registered.hook
    return trial.Step(
        hook=hook.name,
        plugin=step.registered.plugin.id,
        type=hook.type,
        mode=hook.mode,
        ms=outcome.ms,
        payload=_masked(json.loads(step.request)),
        answer=_answer(outcome.body),
        error=outcome.error or "",
        effect={"action": outcome.said.action.name.lower(), **said(outcome.said)},
        log=outcome.log[:MAX_LOG],
        notes=dict(outcome.notes),
    )


def _masked(payload: dict[str, Any]) -> dict[str, Any]:
    """The request without the token that it may hold (trap A3)."""
    callback = payload.get("callback")
    return payload if callback is None else {**payload, "callback": {**callback, "token": MASK}}


def _answer(body: bytes | None) -> Any:
    """The answer as JSON where it is that, as text where it is not."""
    if body is None:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
