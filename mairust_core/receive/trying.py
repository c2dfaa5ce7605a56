"""Trials as they are told: each step with its payload, its answer and its effect."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson

from mairust_core.errors import MaiRustError
from mairust_core.hooks.answers import decode
from mairust_core.hooks.book import Registered
from mairust_core.hooks.steps import Step, said, shown_log
from mairust_core.model import trial
from mairust_core.model.forms import Page
from mairust_core.model.hook import Hook
from mairust_core.model.message import Summary
from mairust_core.model.plugin import Runnable
from mairust_core.model.trial import Replayed, TrialEnvelope
from mairust_core.operations import BytesIn
from mairust_core.receive.replay import PAGE_S, Tried, replay
from mairust_core.receive.trial import Trial, try_hooks
from mairust_core.store.messages import make_cursor

if TYPE_CHECKING:
    from mairust_core.app import Site

MAX_TEXT = 4 << 10
"""Characters of an answer that is not JSON."""


class SiteTrial:
    """Tries hooks of a site. Thread-safe; blocks its thread while plugins are asked."""

    def __init__(self, site: Site, page_s: float = PAGE_S) -> None:
        """A page of replayed mail takes about `page_s` seconds at the most."""
        self._site = site
        self._page_s = page_s

    def test(
        self, hooks: Sequence[tuple[Hook, Runnable]], content: BytesIn, envelope: TrialEnvelope
    ) -> trial.Tried:
        """Ask the hooks about a mail, in their order, as the road would."""
        data = b"".join(content.chunks)
        asked = [Registered(hook=hook, plugin=plugin) for hook, plugin in hooks]
        return _tried(try_hooks(self._site, asked, data, envelope.mail_from, envelope.rcpt_to))

    def replay(self, hook: Hook, plugin: Runnable, account_id: int, found: Page[Summary]) -> Page[Replayed]:
        """Ask a hook about a page of an account's messages; it ends early when its time is over."""
        asked = Registered(hook=hook, plugin=plugin)
        tried = replay(self._site, asked, account_id, found.items, self._page_s)
        items = tuple(map(_replayed, found.items, tried))
        is_cut = len(tried) < len(found.items)
        cursor = make_cursor(found.items[len(tried) - 1]) if is_cut else found.next_cursor
        return Page(items=items, next_cursor=cursor)


def _replayed(message: Summary, tried: Tried) -> Replayed:
    found = tried if isinstance(tried, Trial) else None
    step = _step(found.steps[0]) if found and found.matched else None
    unread = str(tried) if isinstance(tried, MaiRustError) else ""
    return Replayed(
        id=message.id,
        received_at=message.received_at,
        subject=message.subject,
        matched=step is not None,
        ms=step.ms if step else 0.0,
        action=found.action.word if found else "",
        error=step.error if step else unread,
        effect=step.effect if step else {},
    )


def _tried(found: Trial) -> trial.Tried:
    return trial.Tried(
        steps=tuple(map(_step, found.steps)),
        action=found.action.word,
        reply=str(found.reply),
        failed=found.failed,
    )


def _step(step: Step) -> trial.Step:
    outcome, hook = step.outcome, step.registered.hook
    return trial.Step(
        hook=hook.name,
        plugin=step.registered.plugin.id,
        type=hook.type,
        mode=hook.mode,
        ms=outcome.ms,
        payload=json.loads(step.request) if step.request else None,
        answer=_answer(outcome.body),
        error=outcome.error or "",
        effect={"action": outcome.said.action.name.lower(), **said(outcome.said)},
        log=shown_log(outcome.log),
        notes=dict(outcome.notes),
    )


def _answer(body: bytes | None) -> Any:
    """What came, as JSON where it is that and every reader takes it, as text, cut, where it is not."""
    if body is None:
        return None
    try:
        found = decode(body)
        orjson.dumps(found)
    except (ValueError, TypeError, RecursionError):
        text = body.decode("utf-8", "replace")
        return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"
    return found
