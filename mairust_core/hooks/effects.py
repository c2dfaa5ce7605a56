"""What answers change of a stored message: by `post_receive` hooks, delivery jobs and callbacks.

A message that was deleted, or is gone, stays as it is. A move applies only where the message still is at the
place it was seen at (rule F2): who has moved it meanwhile knows better.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection

from mairust_core.errors import NotFound
from mairust_core.hooks.metadata import fitting
from mairust_core.ids import IdSource
from mairust_core.model.flags import MAX_KEYWORDS, MAX_TAGS, changed, joined, split
from mairust_core.model.forms import UNSET
from mairust_core.model.ids import Id
from mairust_core.model.message_change import MessageChange
from mairust_core.model.principal import Principal
from mairust_core.model.verdict import Effects
from mairust_core.store import StorageBackend, mailboxes, placements
from mairust_core.store.placements import Held

SYSTEM = Principal(name="hooks", scopes=frozenset())
"""On whose behalf effects are applied: what a plugin may do was decided before."""
Spot = tuple[int, int]
"""Mailbox id and UID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of effects: `moved_to` the mailbox if it was moved, `left_out` what could not be done."""

    moved_to: str | None = None
    left_out: tuple[str, ...] = ()


def apply(
    storage: StorageBackend,
    ids: IdSource,
    message_id: Id,
    wanted: Effects,
    seen_at: Spot | None,
    beside: Callable[[Connection, Applied], None] | None = None,
) -> Applied:
    """Change one message in one transaction, `beside` doing more in it; raises what that raises.

    The transaction locks in the order of ingest. A mailbox that is missing is made before it.
    """
    if wanted.move_to is not None:
        _ensure_mailbox(storage, ids, message_id, wanted.move_to)
    with storage.write() as tx:
        try:
            one = placements.hold(tx, SYSTEM, message_id)
        except NotFound:
            applied = Applied(left_out=("message is gone",))
        else:
            applied = _change(tx, one, wanted, seen_at)
        if beside is not None:
            beside(tx, applied)
    return applied


def _ensure_mailbox(storage: StorageBackend, ids: IdSource, message_id: Id, name: str) -> None:
    with storage.write() as tx, suppress(NotFound):
        one = placements.hold(tx, SYSTEM, message_id)
        if one.place is not None and one.place.mailbox != name:
            mailboxes.ensure(tx, one.tenant_id, one.account_id, ids.next(), name)


def _change(tx: Connection, one: Held, wanted: Effects, seen_at: Spot | None) -> Applied:
    if one.place is None:
        return Applied(left_out=("message is deleted",))
    left_out: list[str] = []
    moves = wanted.move_to is not None and wanted.move_to != one.place.mailbox
    if moves and seen_at != (one.place.mailbox_id, one.place.uid):
        left_out.append("move_to: it was moved meanwhile")
        moves = False
    metadata, too_much = fitting(one.metadata, wanted.metadata)
    left_out += [f"metadata: {name} does not fit" for name in too_much]
    placements.change(
        tx,
        one,
        MessageChange(
            tags=_tags(one, wanted, left_out),
            flags=_flags(one, wanted, left_out),
            metadata=metadata,
            mailbox=wanted.move_to if moves and wanted.move_to is not None else UNSET,
        ),
    )
    return Applied(moved_to=wanted.move_to if moves else None, left_out=tuple(left_out))


def _tags(one: Held, wanted: Effects, left_out: list[str]) -> tuple[str, ...]:
    kept = (tag for tag in one.tags if tag not in wanted.remove_tags)
    found = tuple(dict.fromkeys((*kept, *wanted.tags)))
    if len(found) > MAX_TAGS:
        left_out.append(f"tags: more than {MAX_TAGS}")
    return found[:MAX_TAGS]


def _flags(one: Held, wanted: Effects, left_out: list[str]) -> tuple[str, ...]:
    """All flags after the change but those that only IMAP sets, which stay by themselves."""
    place = one.placed
    found = changed(joined(place.flags & ~placements.DELETED, place.keywords), wanted.flags, ())
    system = [flag for flag in found if split([flag])[0]]
    keywords = [flag for flag in found if not split([flag])[0]]
    if len(keywords) > MAX_KEYWORDS:
        left_out.append(f"flags: more than {MAX_KEYWORDS} keywords")
    return (*system, *keywords[:MAX_KEYWORDS])
