"""Writing packages: the same files give the same bytes, on any machine and day.

What stands in an archive besides the files is fixed: their order, nobody as owner, no time, two modes, and a
gzip header without name and time. (How bytes are compressed may change with zlib; the listing, and with it
the digest and every signature, does not.)
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mairust_core.durable import sync_directory
from mairust_core.errors import Invalid
from mairust_core.model.package import SUFFIX
from mairust_core.model.plugin import Manifest
from mairust_core.plugins.manifest import Ground, read_directory
from mairust_core.plugins.package import listing, ustar
from mairust_core.plugins.package.archive import STEP_BYTES, members
from mairust_core.plugins.package.limits import ArchiveLimits
from mairust_core.plugins.package.listing import FileFacts
from mairust_core.plugins.package.paths import shown
from mairust_core.plugins.package.reading import USUAL, Package, read_package
from mairust_core.plugins.package.sources import SourceFile, files_of

LEVEL = 9
_RECORD = 20 * ustar.BLOCK
"""What tar programs fill an archive up to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A file as it is written."""

    path: str
    size_bytes: int
    executable: bool
    content: Iterable[bytes]


def file_name(manifest: Manifest) -> str:
    """What the package of a plugin is called: by its id, for names need not be fit for files."""
    return f"{manifest.id}-{manifest.version}{SUFFIX}"


def pack(directory: Path, target: Path, ground: Ground, limits: ArchiveLimits = USUAL) -> Package:
    """Pack a plugin's directory into a file, which is there as a whole or not at all.

    Raises `Invalid` for a `plugin.toml` or a file that no package may have, for one that changes meanwhile,
    and for what would be over a limit; `OSError`.
    """
    manifest = read_directory(directory, ground)
    found = files_of(directory, limits)
    facts = {one.path: _facts(one) for one in found}
    listed = listing.write(manifest.id, manifest.version, facts)
    with _replacing(target) as file:
        with _archive(file) as put:
            put(_of_bytes(listing.NAME, listed))
            for one in found:
                put(_of_file(one, facts[one.path]))
        return read_package(file, ground, limits)


def add(path: Path, extra: Mapping[str, bytes], ground: Ground, limits: ArchiveLimits = USUAL) -> Package:
    """Put files below `signatures/` into a package, or in the place of others; all else stays as it is.

    `extra` may have another listing, too, that says the same files. The file is replaced as a whole. Raises
    `Invalid` when it is no package, or would be none; `OSError`.
    """
    with path.open("rb") as source, _replacing(path) as file:
        read_package(source, ground, limits)
        kept = {one.path: b"".join(one.content) for one in members(source, limits) if _is_mark(one.path)}
        marks = {**kept, **extra}
        with _archive(file) as put:
            for name in sorted(marks):
                put(_of_bytes(name, marks[name]))
            for one in members(source, limits):
                if one.path not in marks and not one.directory:
                    put(_Entry(path=one.path, size_bytes=one.size_bytes, executable=one.executable,
                               content=one.content))  # fmt: skip
        return read_package(file, ground, limits)


def write_file(path: Path, data: bytes) -> None:
    """Write a file as a whole, durably, in the place of what was there; raises `OSError`."""
    with _replacing(path) as file:
        file.write(data)
        file.flush()


def _is_mark(path: str) -> bool:
    return path.startswith(listing.SIGNATURES)


def _of_bytes(path: str, data: bytes) -> _Entry:
    return _Entry(path=path, size_bytes=len(data), executable=False, content=[data])


def _of_file(one: SourceFile, facts: FileFacts) -> _Entry:
    """A file of the source, which must still be what was listed when it is written."""
    return _Entry(
        path=one.path,
        size_bytes=facts.size_bytes,
        executable=facts.executable,
        content=_unchanged(one, facts),
    )


def _facts(one: SourceFile) -> FileFacts:
    digest, count = hashlib.sha256(), 0
    for piece in _pieces(one.place):
        digest.update(piece)
        count += len(piece)
    return FileFacts(sha256=digest.hexdigest(), size_bytes=count, executable=one.executable)


def _unchanged(one: SourceFile, facts: FileFacts) -> Iterator[bytes]:
    digest, count = hashlib.sha256(), 0
    for piece in _pieces(one.place):
        digest.update(piece)
        count += len(piece)
        if count <= facts.size_bytes:
            yield piece
    if digest.hexdigest() != facts.sha256:
        raise Invalid("directory", "package_changed", path=shown(one.path))


def _pieces(place: Path) -> Iterator[bytes]:
    fd = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(fd, "rb") as file:
        while piece := file.read(STEP_BYTES):
            yield piece


@contextmanager
def _archive(file: BinaryIO) -> Iterator[Callable[[_Entry], None]]:
    """Writes entries into an archive, which is whole at the end of the block."""
    gzip = zlib.compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    count = 0

    def write(data: bytes) -> None:
        nonlocal count
        count += len(data)
        file.write(gzip.compress(data))

    def put(entry: _Entry) -> None:
        write(ustar.write(entry.path, entry.size_bytes, executable=entry.executable))
        for piece in entry.content:
            write(piece)
        write(bytes(ustar.padding(entry.size_bytes)))

    yield put
    write(bytes(2 * ustar.BLOCK))
    write(bytes(-count % _RECORD))
    file.write(gzip.flush())
    file.flush()


@contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    """A new file that takes the name of `target` at the end of the block, durably; else nothing is left."""
    fd, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with open(fd, "w+b") as file:
            yield file
            os.fchmod(fd, _mode_of(target))
            os.fsync(fd)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_directory(target.parent)


def _mode_of(target: Path) -> int:
    """The mode of the file that is replaced, or that of any new file."""
    try:
        return target.stat().st_mode & 0o777
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask
