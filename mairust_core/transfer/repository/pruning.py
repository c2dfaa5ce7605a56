"""Pruning: old snapshots go, then what only they needed; planned first, then done (`--dry-run` only plans).

The order keeps the repository valid at every step: snapshots are deleted, what is still needed of sparse
packs is written anew, an index of what stays replaces all others, and only then packs are deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mairust_core.errors import Damaged, Usage
from mairust_core.observe.faults import crash_point
from mairust_core.transfer.repository.needs import Needs, needs_of
from mairust_core.transfer.repository.packs import TARGET_BYTES, Builder, Directory, Entry, Unpacker
from mairust_core.transfer.repository.repository import Repository, Writer
from mairust_core.transfer.repository.snapshots import time_of
from mairust_core.transfer.repository.watching import NOBODY, Watcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Which snapshots stay: the newest ones, and the newest of so many days and weeks."""

    last: int = 0
    daily: int = 0
    weekly: int = 0

    def __post_init__(self) -> None:
        if not (self.last or self.daily or self.weekly):
            raise Usage("keep_nothing")

    def chosen(self, names: Sequence[str]) -> set[str]:
        """Those of `names` that stay."""
        newest = sorted(names, reverse=True)
        kept = set(newest[: self.last])
        for count, period in ((self.daily, "%Y-%m-%d"), (self.weekly, "%G-%V")):
            first: dict[str, str] = {}
            for name in newest:
                first.setdefault(time_of(name).strftime(period), name)
            kept |= set(list(first.values())[:count])
        return kept


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunePlan:
    """What would be done: snapshots removed, packs deleted (`dead`), packs written anew (`sparse`)."""

    kept: tuple[str, ...]
    removed: tuple[str, ...]
    dead: tuple[str, ...]
    sparse: tuple[str, ...]
    bytes_dead: int
    needed: dict[str, frozenset[int]]
    """Of each sparse pack, the numbers of the objects that stay."""


def plan(repository: Repository, keep: Keep, watch: Watcher = NOBODY) -> PrunePlan:
    """Find out what may go; `watch` hears of snapshots.

    Raises `Damaged` when anything that stays is: what is damaged is not tidied.
    """
    names = repository.snapshot_names()
    kept = keep.chosen(names)
    needs, seen = Needs(), set[str]()
    watch.expect(len(kept))
    for name in sorted(kept):
        needs_of(repository, repository.read_snapshot(name), seen, needs)
        watch.advance()
    if needs.missing:
        raise Damaged("object_missing", id=next(iter(needs.missing)))
    used = _used(repository, needs.ids)
    dead, sparse, needed, bytes_dead = [], [], {}, 0
    for pack, directory in repository.index.packs.items():
        live = sum(directory.stored_bytes[number] for number in used.get(pack, ()))
        if not live:
            dead.append(pack)
            bytes_dead += repository.pack_path(pack).stat().st_size
        elif live * 2 < sum(directory.stored_bytes):
            sparse.append(pack)
            needed[pack] = frozenset(used[pack])
            bytes_dead += sum(directory.stored_bytes) - live
    return PrunePlan(
        kept=tuple(sorted(kept)),
        removed=tuple(name for name in names if name not in kept),
        dead=tuple(dead),
        sparse=tuple(sparse),
        bytes_dead=bytes_dead,
        needed=needed,
    )


def _used(repository: Repository, ids: set[bytes]) -> dict[str, set[int]]:
    """The needed objects of each pack; one that lies in several is needed in the first."""
    used: dict[str, set[int]] = {}
    for id_ in ids:
        pack, number = repository.index.place(id_)
        used.setdefault(pack, set()).add(number)
    return used


def execute(writer: Writer, planned: PrunePlan, watch: Watcher = NOBODY) -> int:
    """Do it; how many bytes the repository lost. `watch` hears of bytes that are written anew."""
    repository = writer.repository
    freed = writer.delete(map(repository.snapshot_path, planned.removed))
    crash_point("prune.snapshots_deleted")
    if not (planned.dead or planned.sparse):
        return freed
    written = writer.bytes_new
    groups = list(_grouped(repository, planned))
    watch.expect(sum(map(_stored_bytes, groups)))
    for group in groups:
        writer.add_pack(lambda file, group=group: _rewrite(repository, group, file))  # type: ignore[misc]  # bound here
        watch.advance(_stored_bytes(group))
    # A prune that was killed may have written this very pack before: then it was taken for a dead one.
    gone = [pack for pack in (*planned.dead, *planned.sparse) if pack not in writer.added]
    for pack in gone:
        repository.index.drop(pack)
    freed += writer.replace_index()
    crash_point("prune.packs_left")
    freed += writer.delete(map(repository.pack_path, gone))
    return freed - (writer.bytes_new - written)


_Group = list[tuple[str, list[Entry]]]


def _grouped(repository: Repository, planned: PrunePlan) -> Iterator[_Group]:
    """What stays of sparse packs, as much at a time as makes a pack."""
    group: _Group = []
    size_bytes = 0
    for pack in planned.sparse:
        directory: Directory = repository.index.packs[pack]
        entries = [directory.entry(number) for number in sorted(planned.needed[pack])]
        group.append((pack, entries))
        size_bytes += sum(entry.stored_bytes for entry in entries)
        if size_bytes >= TARGET_BYTES:
            yield group
            group, size_bytes = [], 0
    if group:
        yield group


def _stored_bytes(group: _Group) -> int:
    return sum(entry.stored_bytes for _, entries in group for entry in entries)


def _rewrite(repository: Repository, group: _Group, file: Any) -> None:
    """Copy what is needed, each object verified on the way."""
    builder = Builder(file)
    for pack, entries in group:
        with repository.open_pack(pack) as source:
            unpacker = Unpacker(source, pack)
            for entry in entries:
                for _ in unpacker.pieces(entry):
                    pass
                builder.add_frame(entry.kind, entry.id, unpacker.frame(entry), entry.size_bytes)
    builder.finish()
