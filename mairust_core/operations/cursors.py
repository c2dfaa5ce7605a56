"""Cursors of lists: where a page ended, for the list and the filter that it was made for and for no other.

A cursor is a dot, then base64url of a sum over list, filter and position, and of the position. The sum is no
secret: a cursor grants nothing, for every query asks for the caller's reach, and a position is looked at as
anything is that a client sends. It keeps honest clients from going on in a list where they were not.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from mairust_core import wire
from mairust_core.errors import Invalid

if TYPE_CHECKING:
    from mairust_core.operations.declared import Operation

FIELD = "cursor"
BESIDE = frozenset({FIELD, "limit", "since", "before"})
"""What may differ from page to page: `7d` is another time on each, and only ends the list elsewhere."""
_MARK = "."
"""Before letters and digits: an earlier server, which takes a cursor for a name, begins at the first."""
_SUM_BYTES = 9
_EMPTY = (None, "", (), False)


@dataclass(frozen=True, slots=True)
class Listing:
    """A list as it is asked for: its operation, and by name all that decides what it holds."""

    operation: str
    asked: Mapping[str, Any]

    def seal(self, position: str) -> str:
        """The cursor that goes on after a position."""
        data = position.encode("utf-8", "surrogatepass")
        return _MARK + urlsafe_b64encode(self._sum(data) + data).decode("ascii").rstrip("=")

    def open(self, cursor: str) -> str:
        """The position after which a cursor goes on; raises `Invalid` for one that this list did not give."""
        try:
            if not cursor.startswith(_MARK) or not cursor.isascii():
                raise ValueError
            text = cursor.removeprefix(_MARK)
            data = urlsafe_b64decode(text + "=" * (-len(text) % 4))[_SUM_BYTES:]
            position = data.decode("utf-8")
            if self.seal(position) != cursor or "\0" in position:
                raise ValueError
        except ValueError:
            raise Invalid(FIELD, "not_cursor", value=repr(cursor[:40])) from None
        return position

    def _sum(self, data: bytes) -> bytes:
        asked = {name: wire.encode(value) for name, value in self.asked.items() if value not in _EMPTY}
        said = json.dumps([self.operation, asked], sort_keys=True).encode()
        return sha256(said + b"\0" + data).digest()[:_SUM_BYTES]


def paged(op: Operation, given: dict[str, Any], call: Callable[..., Any]) -> Any:
    """What a call answers, with cursors that are this list's alone; `given` is its arguments by name."""
    if not op.is_continued:
        return call(**given)
    listing = Listing(op.id, _asked(op, given))
    found = call(**_at(op, given, listing))
    after = found["next_cursor"] if isinstance(found, dict) else found.next_cursor
    if after is None:
        return found
    sealed = {"next_cursor": listing.seal(after)}
    return {**found, **sealed} if isinstance(found, dict) else replace(found, **sealed)


def _asked(op: Operation, given: Mapping[str, Any]) -> dict[str, Any]:
    """All that decides which items a list has."""
    found = {name: given.get(name) for name in op.path_params}
    found |= {one.name: given.get(one.name, one.default) for one in op.query}
    if op.body:
        found |= {one.name: getattr(given[op.body], one.name) for one in fields(op.body_type)}
    return {name: value for name, value in found.items() if name not in BESIDE}


def _at(op: Operation, given: dict[str, Any], listing: Listing) -> dict[str, Any]:
    """The arguments with the position that their cursor stands for."""
    body: Any = given[op.body] if op.body else None
    cursor = body.cursor if op.body else given.get(FIELD)
    if not cursor:
        return given
    position = listing.open(cursor)
    if op.body is None:
        return given | {FIELD: position}
    return given | {op.body: replace(body, cursor=position)}
