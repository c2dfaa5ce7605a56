"""What a power cut leaves of a directory: files and names as far as they were synced, and no further.

A `Disk` is told of every call that changes it and can at any moment be written out as the machine would find
it afterwards. The rules are POSIX at its worst: data is durable when an fsync or fdatasync of its file that
began after the write has ended; a name is durable when an fsync of its directory has; nothing else is. What
was not synced may have reached the disk in part: `image` with a source of chance keeps some of it, torn at
sector borders.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

SECTOR_BYTES = 512


@dataclass(frozen=True, slots=True)
class Written:
    """Bytes put at an offset."""

    at: int
    offset: int
    data: bytes

    def apply(self, content: bytearray) -> None:
        """Put them there, with zeros in a gap before them."""
        if len(content) < self.offset:
            content.extend(bytes(self.offset - len(content)))
        content[self.offset : self.offset + len(self.data)] = self.data

    def torn(self, rng: random.Random) -> list[Written]:
        """Some of its sectors."""
        cuts = [self.offset, *range(_next_sector(self.offset), self.offset + len(self.data), SECTOR_BYTES)]
        pieces = zip(cuts, [*cuts[1:], self.offset + len(self.data)], strict=True)
        return [
            Written(self.at, start, self.data[start - self.offset : stop - self.offset])
            for start, stop in pieces
            if rng.random() < 0.5
        ]


@dataclass(frozen=True, slots=True)
class Sized:
    """The length set: cut off, or grown with zeros."""

    at: int
    size: int
    grow_only: bool = False

    def apply(self, content: bytearray) -> None:
        """Set it."""
        if len(content) < self.size:
            content.extend(bytes(self.size - len(content)))
        elif not self.grow_only:
            del content[self.size :]


@dataclass(eq=False, slots=True)
class File:
    """A file: what is durable of it, and what was done since."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Written | Sized] = field(default_factory=list)

    def sync(self, began: int) -> None:
        """What was done before `began` is durable."""
        for change in self.pending:
            if change.at < began:
                change.apply(self.durable)
        self.pending = [change for change in self.pending if change.at >= began]

    def image(self, rng: random.Random | None) -> bytes:
        """What is found after the cut."""
        if rng is None or not self.pending:
            return bytes(self.durable)
        content = bytearray(self.durable)
        for change in self.pending:
            if isinstance(change, Written):
                for piece in change.torn(rng) if rng.random() < 0.7 else ():
                    piece.apply(content)
            elif rng.random() < 0.5:
                change.apply(content)
        return bytes(content)


@dataclass(frozen=True, slots=True)
class Named:
    """A change of a directory that is durable as a whole or not at all: names set, or (None) removed."""

    at: int
    names: dict[str, File | Directory | None]

    def apply(self, entries: dict[str, File | Directory]) -> None:
        """Make it."""
        for name, node in self.names.items():
            if node is None:
                entries.pop(name, None)
            else:
                entries[name] = node


@dataclass(eq=False, slots=True)
class Directory:
    """A directory: its names now, those that are durable, and what was done since."""

    entries: dict[str, File | Directory] = field(default_factory=dict)
    durable: dict[str, File | Directory] = field(default_factory=dict)
    pending: list[Named] = field(default_factory=list)

    def change(self, named: Named) -> None:
        """Make a change that is not durable yet."""
        named.apply(self.entries)
        self.pending.append(named)

    def sync(self, began: int) -> None:
        """What was done before `began` is durable."""
        for change in self.pending:
            if change.at < began:
                change.apply(self.durable)
        self.pending = [change for change in self.pending if change.at >= began]

    def image(self, rng: random.Random | None) -> dict[str, File | Directory]:
        """The names found after the cut."""
        found = dict(self.durable)
        for change in self.pending if rng is not None else ():
            if rng is not None and rng.random() < 0.5:
                change.apply(found)
        return found


Node = File | Directory


class NotUnderstood(AssertionError):
    """A call on the directory that this model does not know: teach it, or the proof has a hole."""


class Disk:
    """The model of the directory `root`, which at first is what `baseline` holds, durably.

    `untracked` names files that need not survive (SQLite's index of the log, which recovery makes anew).
    Times are the caller's: any numbers that grow with each moment.
    """

    def __init__(self, root: Path, baseline: Path, untracked: Callable[[str], bool]) -> None:
        self._root = PurePosixPath(root)
        self._untracked = untracked
        self._top = _loaded(baseline, untracked)

    def knows(self, path: str) -> bool:
        """Whether a path lies in the directory and is tracked."""
        place = PurePosixPath(path)
        return place.is_relative_to(self._root) and not self._untracked(place.name)

    def created(self, path: str, at: int) -> None:
        """A file was opened with O_CREAT."""
        parent, name = self._parent(path)
        if name not in parent.entries:
            parent.change(Named(at, {name: File()}))

    def made_directory(self, path: str, at: int) -> None:
        """A directory was made."""
        parent, name = self._parent(path)
        parent.change(Named(at, {name: Directory()}))

    def written(self, path: str, offset: int, data: bytes, at: int) -> None:
        """Bytes were written."""
        self._file(path).pending.append(Written(at, offset, data))

    def sized(self, path: str, size: int, at: int, *, grow_only: bool = False) -> None:
        """The length was set."""
        self._file(path).pending.append(Sized(at, size, grow_only))

    def linked(self, source: str, target: str, at: int) -> None:
        """A file got a further name."""
        parent, name = self._parent(target)
        parent.change(Named(at, {name: self._node(source)}))

    def renamed(self, source: str, target: str, at: int) -> None:
        """A file changed its name: one change when the directory is the same, else two."""
        node = self._node(source)
        old_parent, old = self._parent(source)
        new_parent, new = self._parent(target)
        if old_parent is new_parent:
            old_parent.change(Named(at, {new: node, old: None}))
        else:
            new_parent.change(Named(at, {new: node}))
            old_parent.change(Named(at, {old: None}))

    def unlinked(self, path: str, at: int) -> None:
        """A name was removed; sockets, which the model never saw, have none."""
        parent, name = self._parent(path)
        if name in parent.entries:
            parent.change(Named(at, {name: None}))

    def synced(self, path: str, began: int) -> None:
        """An fsync or fdatasync that began at `began` has ended well."""
        self._node(path).sync(began)

    def write_image(self, target: Path, rng: random.Random | None = None) -> None:
        """Write what a power cut at this moment leaves to the new directory `target`.

        Without `rng` nothing that was not synced; with it, some of that.
        """
        _write_directory(self._top, target, rng)

    def _node(self, path: str) -> Node:
        node: Node = self._top
        for name in PurePosixPath(path).relative_to(self._root).parts:
            found = node.entries.get(name) if isinstance(node, Directory) else None
            if found is None:
                raise NotUnderstood(f"{path} is changed, and was never seen to be made")
            node = found
        return node

    def _file(self, path: str) -> File:
        node = self._node(path)
        if isinstance(node, Directory):
            raise NotUnderstood(f"{path} is a directory and is written to")
        return node

    def _parent(self, path: str) -> tuple[Directory, str]:
        place = PurePosixPath(path)
        parent = self._node(str(place.parent))
        if isinstance(parent, File):
            raise NotUnderstood(f"{place.parent} is a file and has names")
        return parent, place.name


def _next_sector(offset: int) -> int:
    return (offset // SECTOR_BYTES + 1) * SECTOR_BYTES


def _loaded(path: Path, untracked: Callable[[str], bool]) -> Directory:
    entries: dict[str, Node] = {}
    for one in _tracked(path.iterdir(), untracked):
        if one.is_dir():
            entries[one.name] = _loaded(one, untracked)
        elif one.is_file():
            entries[one.name] = File(bytearray(one.read_bytes()))
    return Directory(entries, dict(entries))


def _tracked(paths: Iterable[Path], untracked: Callable[[str], bool]) -> Iterable[Path]:
    return (path for path in paths if not untracked(path.name))


def _write_directory(directory: Directory, target: Path, rng: random.Random | None) -> None:
    target.mkdir(mode=0o700)
    for name, node in directory.image(rng).items():
        if isinstance(node, Directory):
            _write_directory(node, target / name, rng)
        else:
            (target / name).write_bytes(node.image(rng))
