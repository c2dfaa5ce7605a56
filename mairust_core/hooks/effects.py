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
from mairust_core.model.flags import MAX_KEYWORDS, MESSAGE_TAGS, changed, joined, split
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

    The transaction locks in the order of ingest. A mailbox that is missing is made before it, in one of its
    own and only where all else was tried and would have been done: an answer without effect leaves nothing.
    """
    try:
        return _apply(storage, message_id, wanted, seen_at, beside, is_tried=True)
    except _NoMailbox as missing:
        one = missing.held
        with storage.write() as tx, suppress(NotFound):
            mailboxes.ensure(tx, one.tenant_id, one.account_id, ids.next(), missing.name)
    return _apply(storage, message_id, wanted, seen_at, beside)


class _NoMailbox(Exception):
    """The change would be made, were there the mailbox to move to; raised to undo it."""

    def __init__(self, held: Held, name: str) -> None:
        super().__init__(name)
        self.held = held
        self.name = name


def _apply(
    storage: StorageBackend,
    message_id: Id,
    wanted: Effects,
    seen_at: Spot | None,
    beside: Callable[[Connection, Applied], None] | None,
    *,
    is_tried: bool = False,
) -> Applied:
    """One attempt; if `is_tried` it raises `_NoMailbox` where one is missing."""
    missing: _NoMailbox | None = None
    with storage.write() as tx:
        try:
            one = placements.hold(tx, SYSTEM, message_id)
        except NotFound:
            applied = Applied(left_out=("message is gone",))
        else:
            name = wanted.move_to if is_tried and _moves(one, wanted, seen_at) else None
            if name is not None and mailboxes.find(tx, one.account_id, name) is None:
                missing = _NoMailbox(one, name)
                applied = Applied(moved_to=name)
            else:
                applied = _change(tx, one, wanted, seen_at)
        if beside is not None:
            beside(tx, applied)
        if missing is not None:
            raise missing
    return applied


def _moves(one: Held, wanted: Effects, seen_at: Spot | None) -> bool:
    """Whether the move applies: the message is where it was seen, and shall be elsewhere."""
    place = one.place
    return (
        place is not None
        and wanted.move_to not in (None, place.mailbox)
        and seen_at == (place.mailbox_id, place.uid)
    )


def _change(tx: Connection, one: Held, wanted: Effects, seen_at: Spot | None) -> Applied:
    if one.place is None:
        return Applied(left_out=("message is deleted",))
    left_out: list[str] = []
    moves = _moves(one, wanted, seen_at)
    if not moves and wanted.move_to not in (None, one.place.mailbox):
        left_out.append("move_to: it was moved meanwhile")
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
    if len(found) > MESSAGE_TAGS:
        left_out.append(f"tags: more than {MESSAGE_TAGS}")
    return found[:MESSAGE_TAGS]


def _flags(one: Held, wanted: Effects, left_out: list[str]) -> tuple[str, ...]:
    """All flags after the change but those that only IMAP sets, which stay by themselves."""
    place = one.placed
    found = changed(joined(place.flags & ~placements.DELETED, place.keywords), wanted.flags, ())
    system = [flag for flag in found if split([flag])[0]]
    keywords = [flag for flag in found if not split([flag])[0]]
    if len(keywords) > MAX_KEYWORDS:
        left_out.append(f"flags: more than {MAX_KEYWORDS} keywords")
    return (*system, *keywords[:MAX_KEYWORDS])
