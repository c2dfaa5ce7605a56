"""What a snapshot needs: the objects it names, and the mail that the rows in those refer to."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field

from mairust_core.errors import Damaged
from mairust_core.transfer.repository.repository import Repository
from mairust_core.transfer.repository.snapshots import Snapshot

MESSAGES = "message"
SHA256 = "sha256"


@dataclass(slots=True, kw_only=True)
class Needs:
    """Ids that are there and needed, and those that are not there."""

    ids: set[bytes] = field(default_factory=set)
    missing: dict[str, None] = field(default_factory=dict)


def needs_of(repository: Repository, snapshot: Snapshot, seen: set[str], needs: Needs | None = None) -> Needs:
    """Add what a snapshot needs to `needs`; objects in `seen` were looked at for another one.

    An object of rows that is damaged counts as missing.
    """
    needs = needs or Needs()
    have = repository.index.ids
    damaged = frozenset(snapshot.damaged)
    for object_ in snapshot.objects():
        _note(needs, have, object_)
    for account in snapshot.accounts:
        for object_ in account.objects:
            if object_ in seen or object_ in needs.missing:
                continue
            seen.add(object_)
            try:
                hashes = mail_in(repository.read_object(object_))
            except Damaged:
                needs.missing[object_] = None
                continue
            for sha256 in hashes:
                if sha256 not in damaged:
                    _note(needs, have, sha256)
    return needs


def _note(needs: Needs, have: Collection[bytes], object_: str) -> None:
    id_ = bytes.fromhex(object_)
    if id_ in have:
        needs.ids.add(id_)
    else:
        needs.missing[object_] = None


def mail_in(rows: bytes) -> list[str]:
    """The SHA-256 of the mail that an object of rows refers to."""
    found: list[str] = []
    for line in rows.splitlines():
        section = json.loads(line)
        if section["table"] == MESSAGES:
            at = section["columns"].index(SHA256)
            found += [row[at] for row in section["rows"]]
    return found
