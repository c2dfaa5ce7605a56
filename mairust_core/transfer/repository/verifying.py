"""Is a repository whole? Every file by its name, every object by its id, every snapshot by what it names."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mairust_core.errors import Damaged
from mairust_core.transfer.repository.needs import needs_of
from mairust_core.transfer.repository.packs import Directory, Kind, Unpacker, read_directory
from mairust_core.transfer.repository.repository import CONFIG, INDEX, PACKS, SNAPSHOTS, Repository
from mairust_core.transfer.repository.watching import NOBODY, Watcher

PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Something that is damaged: a `kind` of file or object, its name, and why."""

    kind: str
    name: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was looked at, and what is damaged."""

    snapshots: int
    packs: int
    packs_read: int
    objects: int
    damaged: tuple[Damage, ...]


def verify(
    repository: Repository, *, read_data: bool = False, part: float = 1.0, watch: Watcher = NOBODY
) -> Verified:
    """Look at everything; with `read_data` hash that part of the packs, too.

    `watch` hears of the bytes of packs that are read, or, where none are, of snapshots.

    Raises `Forbidden` without the key of an encrypted repository, `Damaged` when its `config` is.
    """
    found: dict[tuple[str, str], str] = {}
    names = sorted(repository.pack_names())
    closed = tuple(_directories(repository))
    for finding in (*_config(repository), *closed, *_indexes(repository), *_packs(repository)):
        found.setdefault((finding.kind, finding.name), finding.why)
    read = names
    if part < 1.0 and names:
        read = random.SystemRandom().sample(names, max(1, round(len(names) * part)))
    for finding in _read_packs(repository, read, watch) if read_data else ():
        found.setdefault((finding.kind, finding.name), finding.why)
    for finding in _snapshots(repository, NOBODY if read_data else watch):
        if closed and finding.kind == "object":
            continue  # it may lie where nobody can look
        found.setdefault((finding.kind, finding.name), finding.why)
    return Verified(
        snapshots=len(repository.snapshot_names()),
        packs=len(names),
        packs_read=len(read) if read_data else 0,
        objects=len(repository.index.ids),
        damaged=tuple(Damage(kind=kind, name=name, why=why) for (kind, name), why in found.items()),
    )


def _config(repository: Repository) -> Iterator[Damage]:
    if repository.config_damage is not None:
        yield Damage(kind="file", name=CONFIG, why=str(repository.config_damage.values["why"]))


def _directories(repository: Repository) -> Iterator[Damage]:
    """Directories that cannot be looked into: what is in them is not missing, but nobody knows."""
    for name in (PACKS, INDEX, SNAPSHOTS):
        if (why := _closed(repository.path / name)) is not None:
            yield Damage(kind="directory", name=name, why=why)
    for path in sorted((repository.path / PACKS).glob("??")):
        if (why := _closed(path)) is not None:
            yield Damage(kind="directory", name=f"{PACKS}/{path.name}", why=why)


def _closed(directory: Path) -> str | None:
    """Why a directory cannot be looked into; None when it can, and when there is none."""
    try:
        os.listdir(directory)
        os.stat(directory / ".")  # needs the right to search it
    except FileNotFoundError:
        return None
    except OSError as error:
        return _reason(error)
    return None


def _reason(error: OSError) -> str:
    why = (error.strerror or str(error)).lower()
    return f"it cannot be read: {why}" + (f" ({error.filename})" if error.filename else "")


def _indexes(repository: Repository) -> Iterator[Damage]:
    for name in sorted(repository.index_names()):
        try:
            repository.read_index(name)
        except Damaged as error:
            yield Damage(kind="index", name=name, why=str(error.values["why"]))
        except OSError as error:
            yield Damage(kind="index", name=name, why=_reason(error))


def _packs(repository: Repository) -> Iterator[Damage]:
    """Packs that are missing, cannot be read at all, or have another length than the index says."""
    index = repository.index
    for name in sorted(index.lost):
        if not any(map(_closed, (repository.path / PACKS, repository.pack_path(name).parent))):
            yield Damage(kind="pack", name=name, why="it is missing")
    for name in sorted(repository.pack_names() - index.packs.keys()):
        yield Damage(kind="pack", name=name, why="its directory cannot be read")
    for name, directory in sorted(index.packs.items()):
        try:
            if repository.pack_path(name).stat().st_size <= sum(directory.stored_bytes):
                yield Damage(kind="pack", name=name, why="it ends early")
        except OSError as error:
            yield Damage(kind="pack", name=name, why=_reason(error))


def _read_packs(repository: Repository, names: Sequence[str], watch: Watcher) -> Iterator[Damage]:
    sizes = {name: _size(repository.pack_path(name)) for name in names}
    watch.expect(sum(sizes.values()))
    for name in names:
        yield from _pack(repository, name)
        watch.advance(sizes[name])


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # reading it tells
        return 0


def _pack(repository: Repository, name: str) -> Iterator[Damage]:
    digest = hashlib.sha256()
    try:
        with open(repository.pack_path(name), "rb") as stored:
            while piece := stored.read(PIECE_BYTES):
                digest.update(piece)
    except OSError as error:
        yield Damage(kind="pack", name=name, why=_reason(error))
        return
    if digest.hexdigest() != name:
        yield Damage(kind="pack", name=name, why="its bytes have another SHA-256")
    try:
        with repository.open_pack(name) as file:
            directory = repository.index.packs.get(name) or read_directory(file, name)
            yield from _objects(Unpacker(file, name), directory)
    except Damaged as error:
        yield Damage(kind="pack", name=name, why=str(error.values["why"]))
    except OSError as error:
        yield Damage(kind="pack", name=name, why=_reason(error))


def _objects(unpacker: Unpacker, directory: Directory) -> Iterator[Damage]:
    for entry in directory.entries():
        try:
            for _ in unpacker.pieces(entry):
                pass
        except Damaged as error:
            kind = "mail" if entry.kind is Kind.MAIL else "object"
            yield Damage(kind=kind, name=entry.id.hex(), why=str(error.values["why"]))


def _snapshots(repository: Repository, watch: Watcher) -> Iterator[Damage]:
    """Snapshots that cannot be read, and what they name and is not there."""
    seen: set[str] = set()
    names = repository.snapshot_names()
    watch.expect(len(names))
    for name in names:
        watch.advance()
        try:
            snapshot = repository.read_snapshot(name)
            missing = list(needs_of(repository, snapshot, seen).missing)
        except Damaged as error:
            yield Damage(kind="snapshot", name=name, why=str(error.values.get("why", error)))
            continue
        except OSError as error:
            yield Damage(kind="snapshot", name=name, why=_reason(error))
            continue
        for id_ in missing:
            yield Damage(kind="object", name=id_, why=f"snapshot {name} needs it and it is missing")
