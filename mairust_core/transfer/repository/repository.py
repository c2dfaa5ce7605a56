"""A repository on a disk: opened, read, and added to by one writer at a time."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from mairust_core.durable import sync_directory
from mairust_core.errors import Conflict, Damaged, Forbidden, NewerSite, NotFound, Usage
from mairust_core.observe.faults import crash_point
from mairust_core.transfer.repository import index as index_file
from mairust_core.transfer.repository import sealing as seals
from mairust_core.transfer.repository.files import HashedFile, locked, on_disk, write_named
from mairust_core.transfer.repository.index import Index
from mairust_core.transfer.repository.packs import Directory, Unpacker, read_directory
from mairust_core.transfer.repository.sealing import Age, Keys, Plain, Sealing
from mairust_core.transfer.repository.snapshots import NAME, Snapshot, name_of

FORMAT = 1
CONFIG, KEY = "config", "key.age"
WRITERS, READERS = "lock", "readers.lock"
DRAFTS, PACKS, INDEX, SNAPSHOTS = "tmp", "packs", "index", "snapshots"
_OURS = frozenset({CONFIG, KEY, WRITERS, READERS, DRAFTS, PACKS, INDEX, SNAPSHOTS})
SPOOL_BYTES = 32 << 20
"""A decrypted pack beyond that goes to the disk."""
PACKS_IN_FLIGHT = 2
"""So many may wait for their sync while the next one is made."""
MAX_INDEX_FILES = 32
"""More are joined into one by the next run."""

log = logging.getLogger("mairust.backup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a repository says of itself: its id, and for whom it is encrypted."""

    id: str
    created: str
    recipients: tuple[str, ...] = ()
    passphrase: bool = False

    def to_bytes(self) -> bytes:
        """Its file, with a hash by which damage is seen."""
        told = {
            "format": FORMAT,
            "id": self.id,
            "created": self.created,
            "recipients": list(self.recipients),
            "passphrase": self.passphrase,
        }
        return json.dumps({**told, "sha256": _hash(told)}, indent=1).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Config:
        """What the file says; raises `Damaged`, `NewerSite`."""
        try:
            found = json.loads(data)
            claimed = found.pop("sha256")
            if found["format"] != FORMAT and claimed == _hash(found):
                raise NewerSite("repository", name=CONFIG, found=found["format"], known=FORMAT)
            if claimed != _hash(found):
                raise Damaged("repository", name=CONFIG, why="its bytes have another SHA-256")
            return cls(
                id=found["id"],
                created=found["created"],
                recipients=tuple(found["recipients"]),
                passphrase=found["passphrase"],
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Damaged("repository", name=CONFIG, why=f"it is no configuration ({error})") from error


class Repository:
    """A repository that exists. Reading needs nothing else; writing happens inside `writing`."""

    def __init__(
        self,
        path: Path,
        config: Config,
        sealing: Sealing,
        cache: Path | None = None,
        *,
        config_damage: Damaged | None = None,
    ) -> None:
        self.config_damage = config_damage
        """What is wrong with `config`, where it can be done without."""
        self._clear: tuple[str, IO[bytes]] | None = None
        """The pack that was decrypted last: who reads one object of it reads the next."""
        self.path = path
        self.config = config
        self.sealing = sealing
        self._cache = None if cache is None else cache / config.id

    @classmethod
    def open(cls, path: Path, keys: Keys | None = None, cache: Path | None = None) -> Repository:
        """The repository at `path`.

        One that is not encrypted is read without its `config` when that is lost. Raises `NotFound` when
        there is none, `Damaged`, `NewerSite`, `Forbidden` for a wrong key, `StorageDown` when it cannot be
        read.
        """
        keys = keys or Keys()
        with on_disk(path):
            try:
                config, damage = _read_config(path), None
            except Damaged as error:
                if not _is_plain(path):
                    raise
                config, damage = Config(id="", created=""), error
            return cls(path, config, _sealing(path, config, keys), cache, config_damage=damage)

    @classmethod
    def create(cls, path: Path, keys: Keys | None = None, cache: Path | None = None) -> Repository:
        """The repository at `path`, to be written to, and made when there is none.

        A `config` that can be done without is written anew. Raises `Conflict` when something else is there,
        `Forbidden` without the passphrase of one that has one, and what `open` raises.
        """
        keys = keys or Keys()
        with suppress(NotFound):
            found = cls.open(path, keys, cache)
            _require_passphrase(found)
            return found if found.config_damage is None else _mend_config(found, keys, cache)
        with on_disk(path):
            _require_free(path)
            for directory in (path, *(path / name for name in (DRAFTS, PACKS, INDEX, SNAPSHOTS))):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(path / WRITERS):
                if not (path / CONFIG).exists():
                    _write_config(path, keys)
            sync_directory(path.parent)
        return cls.open(path, keys, cache)

    @property
    def identities(self) -> tuple[str, ...]:
        """The secret keys that read it, when it is encrypted."""
        return self.sealing.identities

    @property
    def suffix(self) -> str:
        """What the names of its files end with."""
        return self.sealing.suffix

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Nothing is deleted meanwhile; raises `Locked` while something is."""
        with on_disk(self.path), locked(self.path / READERS, shared=True), self._forgetting():
            yield

    @contextmanager
    def writing(self, *, deleting: bool = False) -> Iterator[Writer]:
        """Be the only writer; with `deleting` nobody reads either. Raises `Locked` at once."""
        with (
            on_disk(self.path),
            locked(self.path / WRITERS),
            locked(self.path / READERS, shared=not deleting),
            self._forgetting(),
        ):
            _clear(self.path / DRAFTS)
            with closing(Writer(self)) as writer:
                yield writer

    @cached_property
    def index(self) -> Index:
        """Which objects are where: by the index files, and by the packs that none of them names."""
        found = Index()
        there = self.pack_names()
        for name in self.index_names():
            try:
                packs = self.read_index(name)
            except (Damaged, Forbidden, OSError) as error:
                log.warning("index %s is left out, its packs are read instead: %s", name, error)
                continue
            for pack, directory in packs.items():
                if pack in there and pack not in found.packs:
                    found.add(pack, directory)
            found.lost |= packs.keys() - there
        for name in sorted(there - found.packs.keys()):
            self._read_anew(found, name)
        return found

    def _read_anew(self, found: Index, name: str) -> None:
        if not self.sealing.readable:
            return
        try:
            with self.open_pack(name) as file:
                found.add(name, read_directory(file, name))
        except Damaged as error:
            log.warning("pack %s is left out: %s", name, error)

    def pack_names(self) -> set[str]:
        """Every pack that is there."""
        return self._names(PACKS, ".zst", "??")

    def index_names(self) -> set[str]:
        """Every index file that is there."""
        return self._names(INDEX, ".json.zst")

    def snapshot_names(self) -> list[str]:
        """Every snapshot, the oldest first."""
        return sorted(name for name in self._names(SNAPSHOTS, ".json") if NAME.fullmatch(name))

    def pack_path(self, name: str) -> Path:
        """Where a pack lies."""
        return self.path / PACKS / name[:2] / self._file(name, ".zst")

    def index_path(self, name: str) -> Path:
        """Where an index file lies."""
        return self.path / INDEX / self._file(name, ".json.zst")

    def snapshot_path(self, name: str) -> Path:
        """Where a snapshot lies."""
        return self.path / SNAPSHOTS / self._file(name, ".json")

    def find_snapshot(self, wanted: str) -> str:
        """The id with `wanted` at the start of its time or hash; the newest when it is empty.

        Raises `NotFound`, and `Usage` when several fit.
        """
        names = self.snapshot_names()
        found = [one for one in names if one.startswith(wanted) or one.partition("-")[2].startswith(wanted)]
        if not found:
            raise NotFound("snapshot", id=wanted or "at all", path=self.path)
        if wanted and len(found) > 1:
            raise Usage("snapshot", id=wanted, count=len(found))
        return found[-1]

    def read_index(self, name: str) -> dict[str, Directory]:
        """The packs of one index file; raises `Damaged`, `NewerSite`, `Forbidden`."""
        return index_file.from_bytes(self._small(self.index_path(name), name, name), name)

    def read_snapshot(self, name: str) -> Snapshot:
        """One snapshot; raises `Damaged`, `NewerSite`, `Forbidden`."""
        sha256 = name.partition("-")[2]
        return Snapshot.from_bytes(self._small(self.snapshot_path(name), name, sha256), name)

    @contextmanager
    def open_pack(self, name: str) -> Iterator[IO[bytes]]:
        """A pack in the clear, to read at any place; raises `Damaged` when it is gone."""
        if self._clear is not None and self._clear[0] == name:
            yield self._clear[1]
            return
        try:
            stored = open(self.pack_path(name), "rb")  # noqa: SIM115 - closed below
        except FileNotFoundError as error:
            raise Damaged("repository", name=name, why="the pack is missing") from error
        with stored:
            if isinstance(self.sealing, Plain):
                yield stored
                return
            self._forget()
            clear: Any = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115 - closed by _forget
            self._clear = name, clear
            try:
                self.sealing.open(stored, clear, name)
            except BaseException:
                self._forget()
                raise
        yield clear

    def _forget(self) -> None:
        if self._clear is not None:
            self._clear[1].close()
            self._clear = None

    def __del__(self) -> None:
        self._forget()

    @contextmanager
    def _forgetting(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._forget()

    @contextmanager
    def pack_file(self, name: str) -> Iterator[Path]:
        """A pack in the clear as a file with a name, for other processes to read."""
        if isinstance(self.sealing, Plain):
            yield self.pack_path(name)
            return
        with (
            tempfile.NamedTemporaryFile(prefix="mairust-pack-") as clear,
            open(self.pack_path(name), "rb") as stored,
        ):
            self.sealing.open(stored, clear, name)
            clear.flush()
            yield Path(clear.name)

    def read_object(self, id_: str) -> bytes:
        """One object by its id; raises `Damaged`."""
        pack, entry = self.index.find(bytes.fromhex(id_))
        with self.open_pack(pack) as file:
            return Unpacker(file, pack).read(entry)

    def _file(self, name: str, kind: str) -> str:
        return name + kind + self.suffix

    def _names(self, directory: str, kind: str, below: str = "") -> set[str]:
        pattern = f"{below}/*{kind}{self.suffix}" if below else f"*{kind}{self.suffix}"
        end = len(kind + self.suffix)
        return {path.name[:-end] for path in (self.path / directory).glob(pattern)}

    def _small(self, path: Path, name: str, sha256: str) -> bytes:
        """An index file or a snapshot in the clear, verified by the beginning of its SHA-256."""
        if not self.sealing.readable:
            return self._cached(path)
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise Damaged("repository", name=name, why="it is missing") from error
        if not hashlib.sha256(data).hexdigest().startswith(sha256):
            raise Damaged("repository", name=name, why="its bytes have another SHA-256")
        return seals.opened_bytes(self.sealing, data, name)

    def _cached(self, path: Path) -> bytes:
        try:
            return self._cache_file(path).read_bytes()
        except FileNotFoundError as error:
            raise Forbidden("backup_sealed") from error

    def _cache_file(self, path: Path) -> Path:
        if self._cache is None:
            raise Forbidden("backup_sealed")
        return self._cache / path.name

    def remember(self, path: Path, clear: bytes) -> None:
        """Keep what cannot be read back here; losing it costs time, never mail."""
        if self.sealing.readable or self._cache is None:
            return
        with on_disk(self._cache, "backup_cache"):
            self._cache.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = self._cache / secrets.token_hex(8)
            draft.write_bytes(clear)
            draft.chmod(0o600)
            os.replace(draft, self._cache_file(path))


class Writer:
    """Adds to a repository, or takes from it, under its lock."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self._drafts = repository.path / DRAFTS
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mairust-publish")
        self._publishing: deque[Future[None]] = deque()
        self.added: set[str] = set()
        """The names of the packs published."""
        self.objects_new = 0
        self.bytes_new = 0

    def add_pack(self, fill: Callable[[Any], object], sha256: bytes | None = None) -> Directory:
        """Publish the pack that `fill` writes into a file, unless nothing is in it; what is in it.

        `sha256` is that of the pack where it is known.
        """
        sealing = self.repository.sealing
        file = HashedFile(self._drafts, sha256 if isinstance(sealing, Plain) else None)
        try:
            directory = self._fill(file, fill)
        except BaseException:
            file.close()
            raise
        if not len(directory):
            file.close()
            return directory
        crash_point("backup.pack_written")
        self.added.add(file.sha256)
        self.repository.index.add(file.sha256, directory)
        self.objects_new += len(directory)
        self.bytes_new += file.size_bytes
        if len(self._publishing) >= PACKS_IN_FLIGHT:
            self._publishing.popleft().result()
        self._publishing.append(self._thread.submit(self._publish, file))
        return directory

    def _fill(self, file: HashedFile, fill: Callable[[Any], object]) -> Directory:
        sealing = self.repository.sealing
        if isinstance(sealing, Plain):
            fill(file)
            with open(file.path, "rb") as written:
                return read_directory(written, "of a new pack")
        with tempfile.SpooledTemporaryFile(SPOOL_BYTES, dir=str(self._drafts)) as clear:
            fill(clear)
            directory = read_directory(clear, "of a new pack")
            clear.seek(0)
            sealing.seal(clear, file)
            return directory

    def _publish(self, file: HashedFile) -> None:
        """Sync a pack and give it its name, while the next one is made."""
        with closing(file):
            file.publish(self.repository.pack_path(file.sha256))
            crash_point("backup.pack_published")

    def settle(self) -> None:
        """Every pack is durable when it returns; raises what went wrong with one."""
        while self._publishing:
            self._publishing.popleft().result()

    def close(self) -> None:
        """Wait for what is being published; harmless when called twice."""
        self._thread.shutdown()

    def add_index(self) -> None:
        """Publish an index of the packs that no index file names yet; many files become one.

        So does what names packs that are gone. Without the key that is for somebody who has it.
        """
        self.settle()
        old = self.repository.index_names()
        untidy = len(old) >= MAX_INDEX_FILES or self.repository.index.lost
        if untidy and self.repository.sealing.readable:
            self.replace_index()
            return
        named = self._named(old)
        fresh = [(name, one) for name, one in self.repository.index.packs.items() if name not in named]
        if fresh:
            self._publish_index(fresh)

    def replace_index(self) -> int:
        """Publish one index of everything and delete all others; how many bytes those held."""
        self.settle()
        old = self.repository.index_names()
        new = self._publish_index(self.repository.index.packs.items())
        crash_point("prune.index_published")
        return self.delete(self.repository.index_path(name) for name in old - {new})

    def _named(self, names: Iterable[str]) -> set[str]:
        found: set[str] = set()
        for name in names:
            try:
                found |= self.repository.read_index(name).keys()
            except (Damaged, Forbidden):
                continue  # its packs are named again
        return found

    def _publish_index(self, packs: Iterable[tuple[str, Directory]]) -> str:
        clear = index_file.to_bytes(packs)
        stored = seals.sealed_bytes(self.repository.sealing, clear)
        name = hashlib.sha256(stored).hexdigest()
        path = self.repository.index_path(name)
        write_named(path, [stored], self._drafts)
        self.repository.remember(path, clear)
        self.bytes_new += len(stored)
        crash_point("backup.index_published")
        return name

    def add_snapshot(self, snapshot: Snapshot) -> str:
        """Publish a snapshot; its id."""
        clear = snapshot.to_bytes()
        stored = seals.sealed_bytes(self.repository.sealing, clear)
        name = name_of(snapshot.at, hashlib.sha256(stored).hexdigest())
        path = self.repository.snapshot_path(name)
        write_named(path, [stored], self._drafts)
        self.repository.remember(path, clear)
        self.bytes_new += len(stored)
        crash_point("backup.snapshot_published")
        return name

    def delete(self, paths: Iterable[Path]) -> int:
        """Delete files, durably; how many bytes they held."""
        freed = 0
        directories = set()
        for path in paths:
            try:
                freed += path.stat().st_size
                path.unlink()
            except FileNotFoundError:
                continue  # an earlier run that was killed got that far
            directories.add(path.parent)
        for directory in directories:
            sync_directory(directory)
        return freed


def _read_config(path: Path) -> Config:
    try:
        return Config.from_bytes((path / CONFIG).read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        if any(_content(path)):
            raise Damaged("repository", name=CONFIG, why="it is missing") from error
        raise NotFound("repository", path=path) from error


def _content(path: Path) -> Iterator[Path]:
    """The packs and snapshots of a repository, whether it has a configuration or not."""
    yield from (path / PACKS).glob("??/*.zst*")
    yield from (path / SNAPSHOTS).glob("*.json*")


def _is_plain(path: Path) -> bool:
    """Whether there is something in a repository, and nothing of it is encrypted."""
    found = {one.suffix == seals.SUFFIX for one in _content(path)}
    return found == {False} and not (path / KEY).exists()


def _require_passphrase(found: Repository) -> None:
    """Raise `Forbidden` when there is one and it was not given: such a run would write everything again."""
    if found.config.passphrase and not found.sealing.readable:
        raise Forbidden("backup_passphrase", path=found.path)


def _mend_config(found: Repository, keys: Keys, cache: Path | None) -> Repository:
    """Write the `config` anew that was done without; the repository with it."""
    log.warning("%s It is written anew.", found.config_damage)
    with on_disk(found.path), locked(found.path / WRITERS):
        (found.path / DRAFTS).mkdir(mode=0o700, exist_ok=True)
        _write_config(found.path, keys)
    return Repository.open(found.path, keys, cache)


def _sealing(path: Path, config: Config, keys: Keys) -> Sealing:
    if not config.recipients:
        if keys.passphrase or keys.identities or keys.recipients:
            raise Conflict("plain_repository", path=path)
        return Plain()
    identities = list(keys.identities)
    if config.passphrase and keys.passphrase:
        identities.append(seals.unlock_identity((path / KEY).read_bytes(), keys.passphrase))
    unknown = sorted(set(keys.recipients) - set(config.recipients))
    if unknown:
        raise Conflict("other_recipient", path=path, recipient=unknown[0])
    return Age(config.recipients, identities)


def _write_config(path: Path, keys: Keys) -> None:
    recipients = keys.recipients
    drafts = path / DRAFTS
    if keys.passphrase:
        identity, own = seals.new_identity()
        write_named(path / KEY, [seals.lock_identity(identity, keys.passphrase)], drafts)
        recipients = (own, *recipients)
    elif keys.identities and not recipients:
        raise Usage("recipient_needed")
    Age(recipients)  # refuses what is none
    created = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    made = Config(
        id=secrets.token_hex(16), created=created, recipients=recipients, passphrase=bool(keys.passphrase)
    )
    write_named(path / CONFIG, [made.to_bytes()], drafts)


def _require_free(path: Path) -> None:
    """Raise unless nothing, or the beginning of a repository of ours, is there."""
    if not path.exists():
        return
    if not path.is_dir() or {one.name for one in path.iterdir()} - _OURS:
        raise Conflict("not_a_repository", path=path)


def _clear(drafts: Path) -> None:
    """Delete what a killed run left unfinished."""
    drafts.mkdir(mode=0o700, exist_ok=True)
    for path in drafts.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _hash(told: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
