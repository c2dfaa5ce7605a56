"""Somebody who makes plugins and a marketplace: keys, a plugin and its package in one directory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from mairust_core.model.trust import SignedAs
from mairust_core.plugins.manifest import on_paper
from mairust_core.plugins.package import certificates, key_files, keys, listing, packing, signatures
from mairust_core.plugins.package.reading import USUAL
from mairust_core.plugins.package.templates import Template, make

ID = "com.example.spam"


def publish(directory: Path) -> None:
    """Make `spam/`, `spam.mairust-plugin`, and the keys ann, market and root.

    Ann signed it as its developer; market, whom root certified, as a marketplace.
    """
    directory.mkdir(exist_ok=True)
    (directory / "keys").mkdir()
    for name in ("ann", "market", "root"):
        key_files.generate(directory / f"{name}.key")
    make(directory / "spam", Template.STDIN_SHELL, ID, "spam")
    package = packing.pack(directory / "spam", directory / "spam.mairust-plugin", on_paper())
    now = datetime.now(UTC)
    market, root, ann = (
        keys.read_private((directory / f"{name}.key").read_bytes()) for name in ("market", "root", "ann")
    )
    word = certificates.write(keys.public_of(market), now - timedelta(days=1), now + timedelta(days=1), root)
    (directory / "market.key.cert").write_bytes(word)
    listed = listing.naming(package.listing, keys.public_of(ann), USUAL)
    marks = {
        listing.NAME: listed,
        SignedAs.DEVELOPER.path: signatures.write(listed, ann),
        SignedAs.MARKETPLACE.path: signatures.write(listed, market, word),
    }
    packing.add(directory / "spam.mairust-plugin", marks, on_paper())
