"""Revocation lists: what a root no longer stands for, by key or by package (rule G5).

Each list is whole and replaces the one before; its serial says which is newer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mairust_core.model.package import WrittenRevocations
from mairust_core.model.trust import KEY_ID
from mairust_core.plugins.package import documents, keys, signed
from mairust_core.plugins.package.documents import spelt
from mairust_core.plugins.package.listing import SHA256
from mairust_core.plugins.package.signed import Signed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KIND = "revocations"
MAX_BYTES = 4 << 20
MAX_VALUES = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationList:
    """A list: ids of keys, and digests of packages (the SHA-256 of their `manifest.json`)."""

    serial: int
    issued_at: datetime
    keys: frozenset[str]
    manifests: frozenset[str]
    signed: Signed

    @property
    def root(self) -> str:
        """The id of the root that signed it, as it says itself."""
        return self.signed.root


def read(data: bytes, name: str = KIND) -> RevocationList:
    """The list in a file; raises `Invalid`. Whose it is, `signed.require_root` checks."""
    body, mark = signed.read(documents.read(data, name, MAX_VALUES), KIND)
    found = RevocationList(
        serial=body.number("serial"),
        issued_at=body.time("issued_at"),
        keys=frozenset(body.texts("keys", KEY_ID)),
        manifests=frozenset(body.texts("manifests", SHA256)),
        signed=mark,
    )
    body.close()
    return found


def told(data: bytes, file: str) -> WrittenRevocations:
    """What a list says that was written to a file."""
    made = read(data)
    return WrittenRevocations(
        file=file,
        root=made.root,
        serial=made.serial,
        issued_at=made.issued_at,
        keys=tuple(sorted(made.keys)),
        manifests=tuple(sorted(made.manifests)),
    )


def extended(
    before: RevocationList | None,
    key_ids: Iterable[str],
    manifests: Iterable[str],
    *,
    issued_at: datetime,
    root: Ed25519PrivateKey,
) -> bytes:
    """The list that follows another, or the first: with all that was on it, and these.

    Raises `Invalid` when the one before is not this root's.
    """
    if before is None:
        return write(1, issued_at, key_ids, manifests, root)
    public = keys.public_of(root)
    before.signed.require_root({keys.key_id(public): public})
    everything = ({*before.keys, *key_ids}, {*before.manifests, *manifests})
    return write(before.serial + 1, issued_at, *everything, root)


def write(
    serial: int,
    issued_at: datetime,
    key_ids: Iterable[str],
    manifests: Iterable[str],
    root: Ed25519PrivateKey,
) -> bytes:
    """A list of these keys and packages."""
    values = {
        "serial": serial,
        "issued_at": spelt(issued_at),
        "keys": sorted(set(key_ids)),
        "manifests": sorted(set(manifests)),
    }
    return signed.sign(KIND, values, root)
