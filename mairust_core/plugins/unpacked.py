"""The files of packages on this node, unpacked when they are needed and missing.

`DATA_DIR/plugins/DIGEST/` is a cache: all of it comes from the database again, each file checked against the
package's listing while it is written, the whole synced before it gets its name. What is there is compared
with the listing once by each process, and again when the plugin changed; what differs is made anew.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from mairust_core.disk import require_room
from mairust_core.durable import sync_directory
from mairust_core.errors import Damaged, MaiRustError
from mairust_core.model.plugin import Runnable
from mairust_core.model.principal import Principal
from mairust_core.observe.faults import crash_point
from mairust_core.plugins.package import ArchiveLimits, unpack_listed
from mairust_core.plugins.package.listing import read as read_listing
from mairust_core.plugins.package.reading import USUAL
from mairust_core.plugins.package.written import difference
from mairust_core.store import StorageBackend, packages
from mairust_core.store.packages import Kept

NEW = ".new-"
GONE = ".gone-"
UNUSED_S = 3600.0
"""So long files of a package stay that no plugin has any more: calls of it may still begin."""
SWEEP_EVERY_S = 3600.0
RETRY_S = 10.0
RETRY_MOST_S = 160.0
"""After a failure, before a package is tried again, twice as long each time: who needs it asks on and on."""

_ME = Principal.local("mairust")

log = logging.getLogger("mairust.plugins")


class Unpacked:
    """The unpacked packages of one node. Thread-safe."""

    def __init__(
        self,
        storage: StorageBackend,
        root: Path,
        limits: ArchiveLimits = USUAL,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._storage = storage
        self._root = root
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._swept_s = 0.0
        self._failed: dict[str, _Failure] = {}
        self._sound: dict[str, int] = {}
        """The packages that were compared, with the generations of their plugins."""

    def have(self, plugins: Iterable[Runnable]) -> dict[str, str]:
        """Have the files of these here; why they cannot be, by the ids of those that fail. Blocks.

        Every so often the files of packages go that no plugin has.
        """
        faults = {}
        for one in plugins:
            if one.package is None or not one.is_local:
                continue
            if self._sound.get(one.package) == one.generation and (self._root / one.package).is_dir():
                continue
            if fault := self._tried(one.id, one.package):
                faults[one.id] = fault
            else:
                self._sound[one.package] = one.generation
        now_s = self._clock()
        if now_s - self._swept_s >= SWEEP_EVERY_S:
            self._swept_s = now_s
            self.sweep()
        return faults

    def _tried(self, id_: str, digest: str) -> str:
        """Unpack a package, unless that failed a moment ago; why it cannot be, empty when it is there."""
        last = self._failed.get(digest)
        if last is not None and self._clock() < last.until_s:
            return last.fault
        try:
            self.unpack(digest)
        except Exception as error:  # whatever it is, only this plugin cannot be asked
            log.exception("the package of %s cannot be unpacked", id_)
            fault = f"its package cannot be unpacked: {error}"
            wait_s = RETRY_S if last is None else min(2 * last.wait_s, RETRY_MOST_S)
            self._failed[digest] = _Failure(self._clock() + wait_s, wait_s, fault)
            return fault
        self._failed.pop(digest, None)
        return ""

    def unpack(self, digest: str) -> Path:
        """The files of a package as they are listed, made from the bytes that the site keeps if they are not.

        Raises `Damaged` or `Invalid` when these are not that package, `OSError`, `StorageDown`.
        """
        self._root.mkdir(mode=0o700, exist_ok=True)
        place, new = self._root / digest, self._root / f"{NEW}{uuid4().hex}"
        with self._lock, tempfile.TemporaryFile(dir=self._root) as file:
            kept = self._kept(digest)
            if self._is_whole(place, kept.listing):
                return place
            self._fetch(kept, file)
            try:
                self._write(kept, file, new)
                crash_point("plugin.unpacked")
                if difference(place, kept.listing, self._limits):
                    _set_aside(place)
                _name(new, place)
            finally:
                shutil.rmtree(new, ignore_errors=True)
        crash_point("plugin.renamed")
        sync_directory(self._root)
        return place

    def _kept(self, digest: str) -> Kept:
        """What the site keeps of a package, with the listing by which it is checked: that has this digest."""
        with self._storage.read() as tx:
            kept = packages.find(tx, _ME, digest)
        if kept is None or hashlib.sha256(kept.listing.encode()).hexdigest() != digest:
            raise Damaged("package", digest=digest)
        return kept

    def _is_whole(self, place: Path, listing: str) -> bool:
        """Whether files are there as listed; a log line says which are not."""
        if not os.path.lexists(place):
            return False
        if what := difference(place, listing, self._limits):
            log.warning("%s: %s is not as it was signed; all of it is unpacked anew", place, what)
        return not what

    def _fetch(self, kept: Kept, file: BinaryIO) -> None:
        """Bring the archive into a file, if there is room for it and its files."""
        files = read_listing(kept.listing.encode(), self._limits).files
        needed = kept.size_bytes + sum(one.size_bytes for one in files.values())
        require_room(self._root, needed)
        for data in packages.read_parts(self._storage, _ME, kept.archive):
            file.write(data)

    def _write(self, kept: Kept, file: BinaryIO, new: Path) -> None:
        """Whether somebody stands for it was judged when it came in; here it has to be what was judged."""
        unpack_listed(file, kept.listing.encode(), kept.toml, new, self._limits)

    def sweep(self) -> None:
        """Delete what no plugin has, once it is an hour old; and what a killed process left."""
        try:
            names = os.listdir(self._root)
            with self._storage.read() as tx:
                held = packages.held(tx, _ME)
        except (FileNotFoundError, MaiRustError):
            return  # nothing was ever unpacked, or nobody can say what is needed
        for name in names:
            self._sweep(self._root / name, name in held)

    def _sweep(self, place: Path, is_held: bool) -> None:
        with suppress(FileNotFoundError):  # another process sweeps, too
            if is_held:
                os.utime(place)
            elif self._clock() - place.stat().st_mtime >= UNUSED_S:
                gone = place
                if not place.name.startswith((NEW, GONE)):
                    gone = place.with_name(f"{GONE}{uuid4().hex}")
                    os.rename(place, gone)
                shutil.rmtree(gone, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Failure:
    """Until when a package is not tried again, how long that is, and why."""

    until_s: float
    wait_s: float
    fault: str


def _set_aside(place: Path) -> None:
    """Take altered files away from their name, if any are there; calls may use them until a sweep."""
    with suppress(FileNotFoundError):
        gone = place.with_name(f"{GONE}{uuid4().hex}")
        os.rename(place, gone)
        if not gone.is_dir() or gone.is_symlink():
            gone.unlink()


def _name(new: Path, place: Path) -> None:
    """Give unpacked files their name, unless another process was first."""
    try:
        os.rename(new, place)
    except OSError:
        if not place.is_dir():
            raise
