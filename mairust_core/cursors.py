"""Cursors of lists: where a page ended, for the list and the filter that it was made for and for no other.

A cursor is a dot, then base64url of a sum over list, filter and position, and of the position. The sum is no
secret: a cursor grants nothing, for every query asks for the caller's reach, and a position is looked at as
anything is that a client sends. It keeps honest clients from going on in a list where they were not.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from mairust_core import wire
from mairust_core.errors import Invalid

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
