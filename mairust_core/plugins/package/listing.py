"""`manifest.json`: what files a package has, by their hashes; the thing that signatures are over."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mairust_core.errors import Invalid
from mairust_core.plugins import identity
from mairust_core.plugins.package import documents, keys
from mairust_core.plugins.package.documents import FORMAT, Document
from mairust_core.plugins.package.limits import ArchiveLimits
from mairust_core.plugins.package.paths import Names, checked, shown
from mairust_core.plugins.source import NAME as TOML

NAME = "manifest.json"
SIGNATURES = "signatures/"
SHA256 = re.compile(r"[0-9a-f]{64}")
VALUES_OF_A_FILE = 8
"""Commas and brackets that one entry has, and some in its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What is known of a file: the hash of its bytes in hex, their number, whether it can be run."""

    sha256: str
    size_bytes: int
    executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A `manifest.json`, read and checked.

    `developer` is the public key of who made the package: it stands under every signature, so that nobody
    takes away that of the developer, or puts another one there.
    """

    id: str
    version: str
    files: Mapping[str, FileFacts]
    developer: bytes | None = None


def read(data: bytes, limits: ArchiveLimits) -> Listing:
    """The listing that these bytes say; raises `Invalid`."""
    top = documents.read(data, NAME, limits.files * VALUES_OF_A_FILE)
    top.format()
    found = Listing(
        id=top.text("id"),
        version=top.text("version"),
        files=_files(top.table("files"), limits),
        developer=top.octets("developer", keys.PUBLIC_BYTES) if top.has("developer") else None,
    )
    top.close()
    if not identity.is_id(found.id):
        top.wrong("id")
    if identity.version(found.version) is None:
        top.wrong("version")
    return found


def _files(table: Document, limits: ArchiveLimits) -> dict[str, FileFacts]:
    if len(table.values) > limits.files:
        raise Invalid("package", "package_too_many_files", limit=limits.files)
    names = Names(limits)
    found = {}
    for path in table.values:
        if checked(path.encode("utf-8", "surrogatepass"), limits) != path or not is_listed(path):
            table.wrong(path)
        names.add(path)
        found[path] = _facts(table.table(path))
    if TOML not in found:
        raise Invalid("package", "package_not_listed", path=TOML)
    return found


def _facts(one: Document) -> FileFacts:
    found = FileFacts(
        sha256=one.text("sha256", SHA256),
        size_bytes=one.number("size"),
        executable=one.has("executable") and one.flag("executable"),
    )
    one.close()
    return found


def is_listed(path: str) -> bool:
    """Whether a file stands in the listing: all do but it and what is said about it."""
    return path != NAME and not path.startswith(SIGNATURES)


def write(id_: str, version: str, files: Mapping[str, FileFacts]) -> bytes:
    """The listing of some files."""
    entries = {path: _entry(files[path]) for path in sorted(files)}
    return documents.written({"format": FORMAT, "id": id_, "version": version, "files": entries})


def naming(data: bytes, developer: bytes, limits: ArchiveLimits) -> bytes:
    """A listing that names its developer, by the public key; the same bytes if it does already."""
    values = documents.read(data, NAME, limits.files * VALUES_OF_A_FILE).values
    named = {**values, "developer": base64.b64encode(developer).decode()}
    return data if named == values else documents.written(named)


def _entry(facts: FileFacts) -> dict[str, Any]:
    told: dict[str, Any] = {"sha256": facts.sha256, "size": facts.size_bytes}
    return {**told, "executable": True} if facts.executable else told


def compare(listing: Listing, files: Mapping[str, FileFacts]) -> None:
    """Require exactly the files listed, each with its size and hash; raises `Invalid`."""
    for path in listing.files:
        if path not in files:
            raise Invalid("package", "package_missing", path=shown(path))
    for path, facts in files.items():
        if path not in listing.files:
            raise Invalid("package", "package_extra", path=shown(path))
        wanted = listing.files[path]
        if facts.size_bytes != wanted.size_bytes:
            raise Invalid(
                "package", "package_size", path=shown(path), size=facts.size_bytes, listed=wanted.size_bytes
            )
        if facts.sha256 != wanted.sha256:
            raise Invalid("package", "package_hash", path=shown(path))
