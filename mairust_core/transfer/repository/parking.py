"""Rows of very many messages in a file without a name, each found by the id of its message."""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from typing import IO, Any

from mairust_core.transfer.repository.ids import Ids


class Parked:
    """Rows of one table, in a file that several may share; twenty bytes of memory for each row.

    Not thread-safe; the file belongs to the caller.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.ids = Ids()
        self._file = file
        self._starts = array("Q")
        self._names: list[Sequence[str]] = []

    def add(self, id_: int, names: Sequence[str], values: Sequence[Any]) -> None:
        """Put a row aside; all are before the first is asked for."""
        if not self._names or self._names[-1] != names:
            self._names.append(names)
        line = json.dumps([len(self._names) - 1, values], ensure_ascii=False, separators=(",", ":"))
        self._starts.append(self._file.seek(0, 2))
        self._file.write(line.encode() + b"\n")
        self.ids.add(id_)

    def get(self, id_: int) -> dict[str, Any] | None:
        """The row of a message by the names of its columns; None when there is none."""
        number = self.ids.find(id_)
        if number is None:
            return None
        self._file.seek(self._starts[number])
        which, values = json.loads(self._file.readline())
        return dict(zip(self._names[which], values, strict=True))
