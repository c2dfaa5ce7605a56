"""Answers about stored messages, applied: those of jobs, and those that a plugin brings later (rule F3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from mairust_core.hooks.answers import Said, read
from mairust_core.hooks.effects import SYSTEM, Applied, Spot, apply
from mairust_core.hooks.steps import said as told
from mairust_core.hooks.told import bounded
from mairust_core.ids import now_ms
from mairust_core.model.hook import HookType
from mairust_core.model.ids import Id
from mairust_core.model.mailbox import QUARANTINE
from mairust_core.model.plugin import Runnable
from mairust_core.model.verdict import Action, Effects
from mairust_core.store import traces

if TYPE_CHECKING:
    from mairust_core.app import Site


def effects_of(hook: str, said: Said) -> Effects:
    """What an answer changes of a stored message: quarantine is a move with a reason."""
    if said.action is not Action.QUARANTINE:
        return said.effects
    reason = {"quarantine": f"{hook}: {said.reason or 'quarantined'}"}
    return replace(said.effects, move_to=QUARANTINE, metadata={**said.effects.metadata, **reason})


def apply_callback(
    site: Site,
    by: tuple[str, Runnable],
    message_id: Id,
    seen_at: Spot | None,
    body: bytes,
    beside: Callable[[Connection], None],
) -> tuple[Said, Applied]:
    """Apply what a plugin says of a message after its answer, within its permissions; asks no hook.

    `by` are the hook's name and its plugin as approved now; `seen_at` is where the message was when it was
    asked about. `beside` runs in the same transaction, and what it raises undoes everything. Raises
    `CallFailed` when `body` is no answer.
    """
    hook, plugin = by
    said = read(body, plugin.id, plugin.permissions, HookType.POST_RECEIVE)

    def more(tx: Connection, applied: Applied) -> None:
        beside(tx)
        row = traces.of_message(tx, SYSTEM, message_id)
        if row is not None:
            event = {"at": now_ms(), "kind": "callback", "hook": hook, "plugin": plugin.id}
            event |= {"message_id": str(int(message_id)), "action": said.action.name.lower(), **told(said)}
            moved = {"moved_to": applied.moved_to} if applied.moved_to else {}
            left_out = {"left_out": list(applied.left_out)} if applied.left_out else {}
            traces.note(tx, row.id, [bounded({**event, **moved, **left_out})])

    return said, apply(site.storage, site.ids, message_id, effects_of(hook, said), seen_at, more)
