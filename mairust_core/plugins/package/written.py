"""The files of a package where they were written, compared with what its listing says."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from mairust_core.errors import Invalid
from mairust_core.plugins.package import listing as listings
from mairust_core.plugins.package.limits import ArchiveLimits
from mairust_core.plugins.package.listing import FileFacts
from mairust_core.plugins.package.reading import USUAL

PIECE_BYTES = 1 << 18


def difference(place: Path, listing: str, limits: ArchiveLimits = USUAL) -> str:
    """What in a directory is not as its listing says; empty when all is."""
    try:
        listed = dict(listings.read(listing.encode(), limits).files)
    except Invalid as error:
        return str(error)
    if place.is_symlink() or not place.is_dir():
        return place.name
    there = {
        os.path.relpath(os.path.join(directory, name), place)
        for directory, inner, names in os.walk(place)
        for name in (*names, *(one for one in inner if os.path.islink(os.path.join(directory, one))))
    } - {listings.NAME}
    if odd := sorted(there ^ listed.keys()):
        return odd[0]
    return next((path for path in sorted(listed) if not _is_as_listed(place / path, listed[path])), "")


def _is_as_listed(path: Path, facts: FileFacts) -> bool:
    digest = hashlib.sha256()
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            while data := file.read(PIECE_BYTES):
                digest.update(data)
    except OSError:
        return False
    return digest.hexdigest() == facts.sha256
