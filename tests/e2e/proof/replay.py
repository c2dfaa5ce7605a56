"""Replays a trace of the server on a model of its disk, stopping at every promise it made on a socket."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.proof.trace import Call, Moment
from tests.support.powercut import Disk, NotUnderstood

_STORED = re.compile(rb"250 2\.0\.0 stored (\d+)\r\n")
_WRITES = frozenset({"write", "writev", "sendto", "sendmsg"})
_SYNCS = frozenset({"fsync", "fdatasync"})
_MAKES = frozenset({"open", "openat", "creat"})


@dataclass(frozen=True, slots=True)
class Promise:
    """The moment at which the server is about to tell senders that these messages are stored."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Commit:
    """The moment at which COMMIT is about to be sent to PostgreSQL, with what was sent before it."""

    sent: bytes


def shared_index(name: str) -> bool:
    """SQLite's index of its log: shared memory, made anew by recovery."""
    return name.endswith("-shm")


Ignored = Callable[[str, str], bool]
"""Whether a sync, by the call's name and the path, is to be taken for never made."""


class Replay:
    """One run through a trace, on a disk that begins as `baseline`; `ignored` is for mutation checks."""

    def __init__(self, root: Path, baseline: Path, ignored: Ignored | None = None) -> None:
        self.disk = Disk(root, baseline, shared_index)
        self._root = str(root)
        self._ignored = ignored or (lambda _name, _path: False)
        self._began: dict[int, int] = {}
        self._sent: dict[str, bytearray] = {}
        self._ends: dict[str, int] = {}

    def run(self, moments: Sequence[Moment]) -> Iterator[Promise | Commit]:
        """Yields before each promise and each COMMIT goes out; `disk` is then as it was at that moment."""
        for at, moment in enumerate(moments):
            call = moment.call
            if not moment.ended:
                self._began[id(call)] = at
                yield from self._told(call)
            elif call.result is not None and not call.failed:
                self._apply(call, at, self._began.pop(id(call)))

    def _told(self, call: Call) -> Iterator[Promise | Commit]:
        if call.name not in _WRITES or ":[" not in call.target:
            return
        if ids := tuple(found.decode() for found in _STORED.findall(call.data)):
            yield Promise(ids)
        if call.target.startswith("UNIX"):
            sent = self._sent.setdefault(call.target, bytearray())
            sent += call.data
            if b"COMMIT" in call.data:
                yield Commit(bytes(sent))
                sent.clear()

    def _apply(self, call: Call, at: int, began: int) -> None:
        handler = getattr(self, f"_{call.name}", None)
        if call.name in _SYNCS:
            self._sync(call, began)
        elif call.name in _MAKES:
            self._make(call, at)
        elif handler is not None:
            handler(call, at)
        elif any(self._ours(path) for path in (call.target, *_paths_of(call))):
            raise NotUnderstood(f"{call.name} on {call.target or call.paths}")

    def _ours(self, path: str) -> bool:
        return path.startswith(self._root) and self.disk.knows(path)

    def _sync(self, call: Call, began: int) -> None:
        if self._ours(call.target) and not self._ignored(call.name, call.target):
            self.disk.synced(call.target, began)

    def _make(self, call: Call, at: int) -> None:
        path = call.paths[0]
        if not self._ours(path) or "O_TMPFILE" in call.bare:
            return
        if "O_CREAT" in call.bare or call.name == "creat":
            self.disk.created(path, at)
        if "O_EXCL" in call.bare:
            self._ends[path] = 0
        if "O_TRUNC" in call.bare:
            self.disk.sized(path, 0, at)
            self._ends[path] = 0

    def _write(self, call: Call, at: int) -> None:
        """Behind what was written, in a file that was made in this trace and is only added to."""
        path, data = call.target, call.data[: call.result]
        if not self._ours(path):
            return
        if path not in self._ends:
            raise NotUnderstood(f"write on {path}, which was not empty")
        self.disk.written(path, self._ends[path], data, at)
        self._ends[path] += len(data)

    def _pwrite64(self, call: Call, at: int) -> None:
        if self._ours(call.target):
            self.disk.written(call.target, call.numbers[-1], call.data[: call.result], at)

    def _sendto(self, call: Call, at: int) -> None:
        """Sockets are none of the disk's business."""

    _sendmsg = _sendto

    def _ftruncate(self, call: Call, at: int) -> None:
        if self._ours(call.target):
            self.disk.sized(call.target, call.numbers[-1], at)

    def _fallocate(self, call: Call, at: int) -> None:
        if self._ours(call.target):
            _, offset, length = call.numbers
            self.disk.sized(call.target, offset + length, at, grow_only=True)

    def _link(self, call: Call, at: int) -> None:
        source, target = call.paths
        if self._ours(target):
            self.disk.linked(source, target, at)

    _linkat = _link

    def _rename(self, call: Call, at: int) -> None:
        source, target = call.paths
        if self._ours(target):
            self.disk.renamed(source, target, at)

    _renameat = _renameat2 = _rename

    def _unlink(self, call: Call, at: int) -> None:
        if self._ours(call.paths[0]):
            self.disk.unlinked(call.paths[0], at)

    _unlinkat = _unlink

    def _mkdir(self, call: Call, at: int) -> None:
        if self._ours(call.paths[0]):
            self.disk.made_directory(call.paths[0], at)

    _mkdirat = _mkdir

    def _mmap(self, call: Call, at: int) -> None:
        shared = "MAP_SHARED" in call.bare and "PROT_WRITE" in call.bare
        if shared and self._ours(call.target):
            raise NotUnderstood(f"{call.target} is written to through memory")


def _paths_of(call: Call) -> Sequence[str]:
    """Path arguments, of the calls that have any and no data."""
    return () if call.name in {"write", "writev", "pwritev", "pwritev2"} else call.paths
