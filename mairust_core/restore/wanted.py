"""Which mail of a repository is wanted, and whose it is."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from mairust_core.errors import Damaged
from mairust_core.transfer.repository.index import Index
from mairust_core.transfer.repository.packs import Entry


class Wanted:
    """Mail to take out of packs: four bytes of memory for each object there, however many tenants have it."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._owners = [frozenset[int]()]
        """Sets of tenants; the first is nobody."""
        self._numbers = {frozenset[int](): 0}
        self._packs: dict[str, array[int]] = {}
        """For each object of a pack the number of its owners."""
        self._count = 0
        self.missing: dict[str, str] = {}
        """What is in no pack, and what to say of it."""

    def __len__(self) -> int:
        return self._count

    def add(self, sha256: bytes, tenant_id: int) -> None:
        """A tenant's mail; harmless when it was added before."""
        try:
            pack, number = self._index.place(sha256)
        except Damaged:
            self.missing[sha256.hex()] = "it is missing"
            return
        if pack not in self._packs:
            self._packs[pack] = array("I", [0]) * len(self._index.packs[pack])
        owners = self._owners[self._packs[pack][number]]
        if tenant_id not in owners:
            self._count += not owners
            self._packs[pack][number] = self._number(owners | {tenant_id})

    def _number(self, owners: frozenset[int]) -> int:
        if owners not in self._numbers:
            self._numbers[owners] = len(self._owners)
            self._owners.append(owners)
        return self._numbers[owners]

    def packs(self) -> Iterator[tuple[str, list[Entry], dict[bytes, frozenset[int]]]]:
        """What to take out of which pack, in the order in which it lies there, and the tenants of each."""
        for name, numbers in self._packs.items():
            directory = self._index.packs[name]
            entries = [directory.entry(at) for at, number in enumerate(numbers) if number]
            yield name, entries, {directory.id(at): self._owners[number] for at, number in enumerate(numbers)}
