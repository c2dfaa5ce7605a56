"""The index: which objects are in which packs, read at the start of every run.

It holds nothing that the packs do not say themselves: a pack that no index file names, because the run that
wrote it was killed, or because the file was lost, is read anew.
"""

from __future__ import annotations

import json
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

import zstandard

from mairust_core.errors import Damaged, NewerSite
from mairust_core.transfer.repository.packs import ID_BYTES, Directory, Entry

FORMAT = 1
LARGEST_BYTES = 4 << 30
_HEAD_BYTES = 8
_WORDS = ID_BYTES // _HEAD_BYTES


class Index:
    """What a repository holds. About eighty bytes of memory for each object, once one is looked for."""

    def __init__(self) -> None:
        self.packs: dict[str, Directory] = {}
        self.lost: set[str] = set()
        """Packs that an index file names and that are not there."""

    def add(self, pack: str, directory: Directory) -> None:
        """One more pack."""
        self.packs[pack] = directory
        if "ids" in self.__dict__:
            self.ids.update(split(directory.ids))
        self.__dict__.pop("places", None)

    def drop(self, pack: str) -> None:
        """One pack less."""
        del self.packs[pack]
        self.__dict__.pop("ids", None)
        self.__dict__.pop("places", None)

    @cached_property
    def ids(self) -> set[bytes]:
        """Every object there is."""
        found: set[bytes] = set()
        for directory in self.packs.values():
            found.update(split(directory.ids))
        return found

    @cached_property
    def places(self) -> Places:
        """Where each object is."""
        return Places(self.packs)

    def place(self, id_: bytes) -> tuple[str, int]:
        """The pack of an object and its number there; raises `Damaged` when there is none."""
        place = self.places.find(id_)
        if place is None:
            raise Damaged("object_missing", id=id_.hex())
        return place

    def find(self, id_: bytes) -> tuple[str, Entry]:
        """The pack of an object and its place there; raises `Damaged` when there is none."""
        pack, number = self.place(id_)
        return pack, self.packs[pack].entry(number)


class Places:
    """Where each object of some packs is; twelve bytes of memory for each.

    The first eight bytes of all ids are sorted; the packs have the rest. A dictionary of ids would take
    twenty times as much.
    """

    def __init__(self, packs: Mapping[str, Directory]) -> None:
        self._packs = list(packs.items())
        self._starts: list[int] = []
        heads = array("Q")
        for _, directory in self._packs:
            self._starts.append(len(heads))
            heads += array("Q", directory.ids)[::_WORDS]
        self._order = array("I", sorted(range(len(heads)), key=heads.__getitem__))
        self._heads = array("Q", map(heads.__getitem__, self._order))

    def find(self, id_: bytes) -> tuple[str, int] | None:
        """The pack of an object and its number there, in the first of several packs."""
        head = int.from_bytes(id_[:_HEAD_BYTES], sys.byteorder)
        at = bisect_left(self._heads, head)
        while at < len(self._heads) and self._heads[at] == head:
            which = bisect_right(self._starts, self._order[at]) - 1
            name, directory = self._packs[which]
            number = self._order[at] - self._starts[which]
            if directory.id(number) == id_:
                return name, number
            at += 1
        return None


def split(ids: bytes) -> Iterator[bytes]:
    """Ids that follow each other, one by one."""
    return (ids[at : at + ID_BYTES] for at in range(0, len(ids), ID_BYTES))


def to_bytes(packs: Iterable[tuple[str, Directory]]) -> bytes:
    """The file of some packs."""
    told = {"format": FORMAT, "packs": {name: directory.to_json() for name, directory in packs}}
    text = json.dumps(told, separators=(",", ":")).encode()
    return zstandard.ZstdCompressor(level=3, write_checksum=True).compress(text)


def from_bytes(data: bytes, name: str) -> dict[str, Directory]:
    """The packs of a file; raises `Damaged`, or `NewerSite` for a later format."""
    try:
        if zstandard.frame_content_size(data) > LARGEST_BYTES:
            raise Damaged("repository", name=name, why="it claims to be too large")
        found = json.loads(zstandard.ZstdDecompressor().decompress(data))
        format_, packs = found["format"], found["packs"].items()
    except (zstandard.ZstdError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged("repository", name=name, why=str(error)) from error
    if format_ != FORMAT:
        raise NewerSite("repository", name=name, found=format_, known=FORMAT)
    return {pack: Directory.from_json(one, name) for pack, one in packs}
