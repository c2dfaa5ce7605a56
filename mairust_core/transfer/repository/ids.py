"""Ids of very many messages in little memory."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence


class Ids:
    """Ids in the order in which they were added, eight bytes of memory for each.

    Rows of a backup come in the order of their key; others are found as well, and cost a sort.
    """

    def __init__(self) -> None:
        self._ids = array("q")
        self._numbers: Sequence[int] = ()
        """Where each was added, while they are not as they came."""
        self._ascending = True

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, id_: int) -> bool:
        return self.find(id_) is not None

    def add(self, id_: int) -> None:
        """One more; all are added before the first is looked for."""
        if self._ids and id_ < self._ids[-1]:
            self._ascending = False
        self._ids.append(id_)

    def find(self, id_: int) -> int | None:
        """The how-manieth it was, from 0 on; None when it was not added."""
        if not self._ascending:
            self._sort()
        at = bisect_left(self._ids, id_)
        if at == len(self._ids) or self._ids[at] != id_:
            return None
        return self._numbers[at] if self._numbers else at

    def _sort(self) -> None:
        order = sorted(range(len(self._ids)), key=self._ids.__getitem__)
        self._ids = array("q", map(self._ids.__getitem__, order))
        self._numbers = array("I", order)
        self._ascending = True
