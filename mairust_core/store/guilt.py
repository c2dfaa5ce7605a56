"""Whose fault it is that a batch cannot be stored as a whole (rule C4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from mairust_core.errors import Locked, MaiRustError, NotFound, QuotaExceeded
from mairust_core.model.blob import Locator
from mairust_core.model.delivery import Copy, Delivery
from mairust_core.store import StorageBackend

_STATE = "SELECT enabled, removed_ms, address, quota_bytes, used_bytes FROM account WHERE id = ?"


class Located(NamedTuple):
    """A delivery whose bytes are durable at `location`; `at` is its place in the batch."""

    at: int
    delivery: Delivery
    location: Locator


def room_for(copies: Sequence[Copy]) -> int:
    """How many bytes must be left of an account's quota for all of these to get in, one after the other."""
    needed = taken = 0
    for copy in copies:
        needed = max(needed, taken + (1 if copy.over_quota else copy.size_bytes))
        taken += copy.size_bytes
    return needed


Charged = tuple[int, Copy]
"""The index of a delivery, and one of its copies."""


class Guilty(Exception):
    """Some deliveries of a batch cannot be stored, by index; the others can, without them."""

    def __init__(self, errors: Mapping[int, MaiRustError]) -> None:
        super().__init__(errors)
        self.errors = errors


class MissingMailbox(Exception):
    """Mailboxes that have to be created first: (tenant, account, name)."""

    def __init__(self, wanted: Sequence[tuple[int, int, str]]) -> None:
        super().__init__(wanted)
        self.wanted = wanted


def guilty_accounts(
    storage: StorageBackend, tx: Connection, charged: Mapping[int, Sequence[Charged]], only_gone: bool = False
) -> dict[int, MaiRustError]:
    """By index, what is wrong with the deliveries to these accounts: gone, or no room for all of them.

    Raises `Locked` when nothing is, so that the batch is tried again: somebody made room meanwhile.
    """
    errors: dict[int, MaiRustError] = {}
    for account_id in sorted(charged):
        for index, error in _guilty(storage, tx, account_id, charged[account_id], only_gone):
            errors.setdefault(index, error)
    if not errors and not only_gone:
        raise Locked("database", url=storage.name)
    return errors


def _guilty(
    storage: StorageBackend, tx: Connection, account_id: int, charged: Sequence[Charged], only_gone: bool
) -> Iterable[tuple[int, MaiRustError]]:
    rows = storage.fetch_all(tx, _STATE, (account_id,))
    if not rows or not rows[0][0] or rows[0][1] is not None:
        return [(index, NotFound("account_gone", account_id=account_id)) for index, _ in charged]
    _, _, address, quota_bytes, used_bytes = rows[0]
    if only_gone or quota_bytes is None:
        return []
    return [
        (index, QuotaExceeded("account", address=address, account_id=account_id))
        for index in _without_room(charged, quota_bytes - used_bytes)
    ]


def _without_room(charged: Sequence[Charged], room_bytes: int) -> list[int]:
    """The deliveries that do not fit, those that came first having been let in."""
    found = []
    for index, copy in charged:
        if room_for([copy]) > room_bytes:
            found.append(index)
        else:
            room_bytes -= copy.size_bytes
    return found
