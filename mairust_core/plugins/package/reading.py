"""A package from its archive: everything about it that can be checked without trusting anybody.

Nothing is written before all of it was read, and every file is checked once more while it is written.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import posixpath
import shutil
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from mairust_core.errors import Invalid
from mairust_core.model.plugin import Manifest
from mairust_core.model.trust import SignedAs
from mairust_core.plugins.manifest import Ground, read_manifest
from mairust_core.plugins.package import licences, listing, signatures
from mairust_core.plugins.package.archive import Member, members, size_of
from mairust_core.plugins.package.keys import key_id
from mairust_core.plugins.package.licences import Licence
from mairust_core.plugins.package.limits import ArchiveLimits
from mairust_core.plugins.package.listing import FileFacts, Listing
from mairust_core.plugins.package.paths import shown
from mairust_core.plugins.package.signatures import Signature
from mairust_core.plugins.source import MAX_BYTES as TOML_BYTES
from mairust_core.plugins.source import NAME as TOML

USUAL = ArchiveLimits()
_SIGNATURES = (*(one.path for one in SignedAs), licences.NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An archive that was read whole and is sound.

    Its signatures are those of the keys that came with them, where some did; whether anybody trusts these
    keys is not judged here.
    """

    manifest: Manifest
    toml: bytes = field(repr=False)
    """`plugin.toml` as it is."""
    listing: bytes = field(repr=False)
    """`manifest.json` as it is: what signatures are over."""
    digest: str
    """SHA-256 of the listing in hex: what a revocation names, and what a kept package is called."""
    files: Mapping[str, FileFacts] = field(repr=False)
    """Those listed, `plugin.toml` among them."""
    developer: Signature | None
    marketplace: Signature | None
    licence: Licence | None
    size_bytes: int
    """Of the archive."""


def read_package(file: BinaryIO, ground: Ground, limits: ArchiveLimits = USUAL) -> Package:
    """The package in a seekable file, which is read once.

    Raises `Invalid`, with a detail of its own for each kind of fault; takes a few MB whatever the archive.
    """
    size_bytes = size_of(file, limits)
    found, files = _contents(file, limits)
    for needed in (TOML, listing.NAME):
        if needed not in found:
            raise Invalid("package", "package_without", path=needed)
    listed = listing.read(found[listing.NAME], limits)
    listing.compare(listed, files)
    manifest = read_manifest(found[TOML], ground)
    _compare(listed, manifest)
    marks = {one: _signature(found, one) for one in SignedAs}
    if listed.developer is not None:
        marks[SignedAs.DEVELOPER] = _named(marks[SignedAs.DEVELOPER], listed.developer, found[listing.NAME])
    elif marks[SignedAs.MARKETPLACE] and (mark := marks[SignedAs.DEVELOPER]):
        # what a marketplace signed does not name it: anybody may have put it there, so it is nobody's
        marks[SignedAs.DEVELOPER] = replace(mark, public_key=None)
    return Package(
        manifest=manifest,
        toml=found[TOML],
        listing=found[listing.NAME],
        digest=hashlib.sha256(found[listing.NAME]).hexdigest(),
        files=_with_program(listed.files, manifest.entry.command),
        developer=marks[SignedAs.DEVELOPER],
        marketplace=marks[SignedAs.MARKETPLACE],
        licence=_licence(found, manifest),
        size_bytes=size_bytes,
    )


def _contents(file: BinaryIO, limits: ArchiveLimits) -> tuple[dict[str, bytes], dict[str, FileFacts]]:
    """The few files that say something about the package, and what is to be known of the others."""
    held = {TOML: TOML_BYTES, listing.NAME: limits.listing_bytes}
    held |= dict.fromkeys(_SIGNATURES, limits.signature_bytes)
    found: dict[str, bytes] = {}
    files: dict[str, FileFacts] = {}
    directories: set[str] = set()
    for member in members(file, limits):
        if member.directory:
            directories.add(member.path)
            continue
        if member.path in held:
            found[member.path] = _held(member, held[member.path])
        if listing.is_listed(member.path):
            files[member.path] = _facts(member, found.get(member.path))
        elif member.path not in held:
            raise Invalid("package", "package_extra", path=shown(member.path))
    _check_directories(directories, [*found, *files])
    return found, files


def _held(member: Member, limit: int) -> bytes:
    if member.size_bytes > limit:
        raise Invalid("package", "package_file_long", path=member.path, limit=limit)
    return b"".join(member.content)


def _facts(member: Member, held: bytes | None) -> FileFacts:
    digest = hashlib.sha256(held or b"")
    for piece in member.content:
        digest.update(piece)
    return FileFacts(sha256=digest.hexdigest(), size_bytes=member.size_bytes)


def _with_program(listed: Mapping[str, FileFacts], command: Sequence[str]) -> dict[str, FileFacts]:
    """The files, those marked that can be run: as the listing says, and what the plugin's command runs.

    Both are signed. The modes in an archive are not, so they say nothing.
    """
    word = command[0] if command else ""
    program = posixpath.normpath(word) if "/" in word else ""
    return {
        path: replace(facts, executable=True) if path == program else facts for path, facts in listed.items()
    }


def _check_directories(directories: set[str], paths: list[str]) -> None:
    """A directory is there for the files in it: an empty one is in no listing."""
    filled = {path[:place] for path in paths for place, char in enumerate(path) if char == "/"}
    for one in sorted(directories - filled):
        raise Invalid("package", "package_extra", path=shown(one))


def _compare(listed: Listing, manifest: Manifest) -> None:
    for key in ("id", "version"):
        said, known = getattr(listed, key), getattr(manifest, key)
        if said != known:
            raise Invalid("package", "package_differs", key=key, listed=shown(said), said=shown(known))


def _signature(found: Mapping[str, bytes], by: SignedAs) -> Signature | None:
    if by.path not in found:
        return None
    mark = signatures.read(found[by.path], by.path)
    if mark.public_key is not None:
        signatures.verify(mark, found[listing.NAME], mark.public_key)
    return mark


def _named(mark: Signature | None, developer: bytes, data: bytes) -> Signature:
    """The mark of the developer whom the listing names; raises `Invalid` when it is not there."""
    if mark is None or mark.key_id != key_id(developer):
        raise Invalid("package", "package_developer_exchanged", key=key_id(developer))
    signatures.verify(mark, data, developer)
    return replace(mark, public_key=developer)


def _licence(found: Mapping[str, bytes], manifest: Manifest) -> Licence | None:
    if licences.NAME not in found:
        return None
    licence = licences.read(found[licences.NAME])
    if licence.plugin != manifest.id:
        raise Invalid("package", "package_licence_plugin", plugin=shown(licence.plugin), id=manifest.id)
    return licence


def unpack(file: BinaryIO, package: Package, directory: Path, limits: ArchiveLimits = USUAL) -> None:
    """Write the files of a package, and its listing, into a directory that is made for them.

    Each is checked again while it is written; they are read-only, and durable when this returns, the
    directory's own name excepted. Raises `Invalid` when the archive is not the one that was read, and leaves
    nothing then; `OSError`.
    """
    _unpack(file, _with_listing(package.listing, package.files), directory, limits)


def unpack_listed(
    file: BinaryIO, data: bytes, toml: str, directory: Path, limits: ArchiveLimits = USUAL
) -> None:
    """As `unpack`, of a package that was read before, by the bytes of its listing: one pass for all of it.

    `toml` is its plugin.toml. Raises `Invalid` when the archive has anything else than what is listed.
    """
    entry = tomllib.loads(toml.removeprefix("\ufeff")).get("entry", {})
    files = _with_program(listing.read(data, limits).files, entry.get("command", ()))
    _unpack(file, _with_listing(data, files), directory, limits)


def _with_listing(data: bytes, files: Mapping[str, FileFacts]) -> dict[str, FileFacts]:
    own = FileFacts(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
    return {**files, listing.NAME: own}


def _unpack(file: BinaryIO, wanted: Mapping[str, FileFacts], directory: Path, limits: ArchiveLimits) -> None:
    directory.mkdir(mode=0o700)
    try:
        _write_all(file, wanted, directory, limits)
        directory.chmod(0o755)
        _sync(directory)
    except BaseException:
        shutil.rmtree(directory)
        raise


def _write_all(
    file: BinaryIO, wanted: Mapping[str, FileFacts], directory: Path, limits: ArchiveLimits
) -> None:
    written = set()
    made: set[Path] = set()
    for member in members(file, limits):
        if member.directory or member.path in _SIGNATURES:
            continue
        if member.path not in wanted:
            raise Invalid("package", "package_extra", path=shown(member.path))
        path = directory / member.path
        if path.parent not in made:
            _make_parents(path)
            made.add(path.parent)
        _write(member, path, wanted[member.path])
        written.add(member.path)
    for missing in sorted(wanted.keys() - written):
        raise Invalid("package", "package_missing", path=shown(missing))


def _make_parents(path: Path) -> None:
    """The directories of a file, open to the plugin, which may run as another user, whatever the umask."""
    if not path.parent.exists():
        _make_parents(path.parent)
        path.parent.mkdir()
        path.parent.chmod(0o755)


def _write(member: Member, path: Path, facts: FileFacts) -> None:
    mode = 0o555 if facts.executable else 0o444
    digest = hashlib.sha256()
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with open(fd, "wb") as target:
        for piece in member.content:
            digest.update(piece)
            target.write(piece)
        os.fchmod(fd, mode)
    if digest.hexdigest() != facts.sha256:
        raise Invalid("package", "package_hash", path=shown(member.path))


def _sync(directory: Path) -> None:
    """All that was written on the file system of a directory is durable: one call for any number of files."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(fd):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(directory))
    finally:
        os.close(fd)
