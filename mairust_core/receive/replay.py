"""Hooks tried on stored mail, message after message; what was shown to whom is noted in each trace (B-5)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from mairust_core.errors import Damaged, MaiRustError
from mairust_core.hooks import Event
from mairust_core.hooks.accesses import accesses_of
from mairust_core.hooks.book import Registered
from mairust_core.hooks.log import Noted, note
from mairust_core.hooks.steps import saw
from mairust_core.model.message import Summary
from mairust_core.model.plugin_life import Occasion
from mairust_core.receive.stored import Stored, find_stored
from mairust_core.receive.trial import NOWHERE, Trial, Trials, trials
from mairust_core.store import traces

if TYPE_CHECKING:
    from mairust_core.app import Site

PAGE_S = 20.0
"""After so long a page ends with what it has: whoever asked waits no longer than a minute, the last call
included."""

Tried = Trial | MaiRustError | None
"""What came of one message: why it cannot be read, None when it was deleted meanwhile."""


def replay(
    site: Site, hook: Registered, account_id: int, messages: Iterable[Summary], within_s: float = PAGE_S
) -> list[Tried]:
    """Ask a hook about messages of an account, in their order, the first ones that there is time for."""
    return asyncio.run(_replayed(site, hook, account_id, messages, within_s))


async def _replayed(
    site: Site, hook: Registered, account_id: int, messages: Iterable[Summary], within_s: float
) -> list[Tried]:
    loop = asyncio.get_running_loop()
    until = loop.time() + within_s
    found: list[Tried] = []
    async with trials(site, [hook]) as run:
        for message in messages:
            found.append(await _one(site, run, account_id, message))
            if loop.time() >= until:
                break
    return found


async def _one(site: Site, run: Trials, account_id: int, message: Summary) -> Tried:
    addresses = [message.account]
    about = {"message": str(int(message.id)), "place": NOWHERE, "addresses": addresses, "account": account_id}
    stored = await asyncio.to_thread(find_stored, site, about)
    if stored is None:
        return None
    try:
        data = await asyncio.to_thread(site.read_blob, stored.source)
    except Damaged as error:
        return error
    trial = await run.on_stored(replace(stored, data=data))
    await asyncio.to_thread(_note, site, stored, trial)
    return trial


def _note(site: Site, stored: Stored, trial: Trial) -> None:
    """In the trace while there is one, and in the record of who saw which mail."""
    accesses = [
        access
        for step in trial.steps
        for access in accesses_of(
            replace(step, accounts=(stored.account_id,)),
            stored.trace_id,
            {stored.account_id: stored.summary.id},
            Occasion.REPLAY,
        )
    ]
    note(site.hook_log, Noted(accesses=accesses))
    events = [_event(stored, trial)] if any(step.outcome.called for step in trial.steps) else []
    if stored.trace is not None and events:
        with site.storage.write() as tx:
            traces.note(tx, stored.trace.id, events)


def _event(stored: Stored, trial: Trial) -> Event:
    (step,) = trial.steps
    plugin = step.registered.plugin
    error = {} if step.outcome.error is None else {"error": step.outcome.error}
    return {
        "at": step.at_ms,
        "kind": "replayed",
        "account_id": stored.account_id,
        "hook": step.registered.hook.name,
        "plugin": plugin.id,
        "version": plugin.version,
        "message": str(int(stored.summary.id)),
        "action": step.outcome.said.action.name.lower(),
        "saw": saw(plugin.permissions),
        **error,
    }
