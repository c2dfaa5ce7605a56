"""Whom this site trusts to sign plugins, and what happens when they take something back (rule G5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mairust_core.errors import Conflict, Forbidden, Invalid, TooLarge
from mairust_core.ids import IdSource, to_ms
from mairust_core.model.principal import Principal
from mairust_core.model.trust import NewTrustKey, RevocationKind, RevocationsTaken, Signers, TrustKey
from mairust_core.observe.faults import crash_point
from mairust_core.operations import BytesIn
from mairust_core.plugins.blocking import strike
from mairust_core.plugins.package import Package, keys, revocations
from mairust_core.plugins.package.revocations import RevocationList
from mairust_core.plugins.package.vouching import voucher
from mairust_core.plugins.times import Times
from mairust_core.store import StorageBackend, audits, trust
from mairust_core.store.trust import Trusted

if TYPE_CHECKING:
    from sqlalchemy import Connection

AT_ONCE = 1000
"""So much is taken back in one transaction."""

Named = tuple[RevocationKind, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What was in force before a list: `gone` is what that one named and the new one does not."""

    serial: int | None
    gone: frozenset[Named]


def judge(package: Package, trusted: Trusted, now: Times) -> Signers:
    """Who stands for a package that came in now; without a marketplace's signature its developer at most.

    Raises `Invalid` for a signature that leads to no trusted root, or out of its time, and for a licence of
    nobody who is trusted, or whose time is over.
    """
    found = Signers()
    if (developer := package.developer) is not None:
        if developer.public_key is None:
            raise Invalid("package", "package_key_unknown", key=developer.key_id)
        found = Signers(developer=developer.key_id, developer_key=developer.public_key.hex())
    if (licence := package.licence) is not None:
        licence.require(trusted.roots, now.of(licence.root))
        found = replace(
            found, licence_holder=licence.holder, licence_root=licence.root,
            licence_ends_ms=to_ms(licence.not_after),
        )  # fmt: skip
    if (mark := package.marketplace) is None:
        return found
    certified_by = None if mark.certificate is None else mark.certificate.root
    root = voucher(package, trusted.roots, now.of(certified_by))
    ends = mark.certificate.not_after if mark.certificate is not None and mark.key_id != root else None
    ends_ms = None if ends is None else to_ms(ends)
    return replace(found, root=root, key=mark.key_id, not_after_ms=ends_ms)


class Trust:
    """The roots of a site. Thread-safe: it holds nothing."""

    def __init__(self, ids: Callable[[], IdSource]) -> None:
        self._ids = ids

    def add(self, tx: Connection, by: Principal, new: NewTrustKey) -> TrustKey:
        """Trust a root key.

        Raises `Invalid` for what is no public key, `Conflict` for a name in use, `Forbidden` for a key that
        revoked itself, or that another trusted root did unless it is wanted nevertheless, which is audited.
        """
        public = keys.read_public(new.public_key.encode(), "public_key")
        key_id = keys.key_id(public)
        trusted = trust.trusted(tx, by, [key_id])
        if key_id in trusted.revoked_by(key_id):
            raise Forbidden("trust_key_revoked", id=key_id)
        others = sorted(root for root in trusted.roots if key_id in trusted.revoked_by(root))
        if others and key_id not in trusted.roots:
            if not new.although_revoked:
                raise Forbidden("trust_key_revoked_elsewhere", id=key_id, roots=", ".join(others))
            audits.record(tx, self._ids().next(), by, "trust.add_although_revoked", key_id)
        return trust.add(tx, by, key_id, public, new.name.strip())

    def announce(self, storage: StorageBackend, by: Principal, taken: RevocationList) -> Announced:
        """Take back what a long list adds, a little in a transaction (rule D2), before it is in force.

        Raises as `take` does. Killed meanwhile, what was taken back stays so, and the list may come again.
        """
        named = _named(taken)
        with storage.read() as tx:
            serial = _require_newer(tx, by, taken)
            before = trust.taken_back(tx, by, taken.root)
        _require_same(taken, serial, before, named)
        new = sorted(named - before)
        for first in range(0, len(new) if len(new) > AT_ONCE else 0, AT_ONCE):  # `take` does a short one
            with storage.write() as tx:
                trust.hold(storage, tx)
                if _require_newer(tx, by, taken) != serial:
                    break  # another list came meanwhile
                some = new[first : first + AT_ONCE]
                there = trust.trusted(tx, by, [value for _, value in some]).revoked.get(taken.root, ())
                trust.note(tx, by, taken.root, (one for one in some if one[1] not in there))
        return Announced(serial=serial, gone=frozenset(before - named))

    def take(
        self, tx: Connection, by: Principal, taken: RevocationList, announced: Announced
    ) -> RevocationsTaken:
        """Put a root's list in force, and block at once what it takes back.

        Raises `Invalid` for a list that no trusted root signed, `Conflict` for one that is older than what
        is known, or another one of the same serial. The list that is known may come again.
        """
        known, named, gone = _require_newer(tx, by, taken), _named(taken), announced.gone
        if known != announced.serial or trust.count(tx, by, taken.root) != len(named) + len(gone):
            before = trust.taken_back(tx, by, taken.root)
            _require_same(taken, known, before, named)
            gone = frozenset(before - named)
            trust.note(tx, by, taken.root, sorted(named - before))
        released = tuple(sorted(value for _, value in gone))
        if released:
            audits.record(tx, self._ids().next(), by, "trust.release", taken.root)
        issued_ms = to_ms(taken.issued_at)
        new = trust.Taken(root=taken.root, serial=taken.serial, issued_ms=issued_ms, gone=gone)
        trust.take(tx, by, new)
        struck = strike(tx, by, self._ids(), taken.root)
        crash_point("trust.revoked")
        return RevocationsTaken(
            root=taken.root,
            serial=taken.serial,
            keys=len(taken.keys),
            manifests=len(taken.manifests),
            blocked=tuple(struck.blocked),
            released=released,
            already_disabled=tuple(struck.already_disabled),
        )


def _named(taken: RevocationList) -> set[Named]:
    keys_named = {(RevocationKind.KEY, one) for one in taken.keys}
    return keys_named | {(RevocationKind.MANIFEST, one) for one in taken.manifests}


def _require_newer(tx: Connection, by: Principal, taken: RevocationList) -> int | None:
    """The serial that is known, of a root that is trusted; raises `Invalid`, `Conflict` for an older list."""
    taken.signed.require_root(trust.trusted(tx, by, ()).roots)
    known = trust.get(tx, by, taken.root).serial
    if known is not None and taken.serial < known:
        raise Conflict("revocations_old", root=taken.root, serial=taken.serial, known=known)
    return known


def _require_same(taken: RevocationList, known: int | None, before: set[Named], named: set[Named]) -> None:
    if taken.serial == known and before != named:
        raise Conflict("revocations_other", root=taken.root, serial=taken.serial)


def read_revocations(content: BytesIn) -> RevocationList:
    """The list that these bytes are; raises `TooLarge`, `Invalid`."""
    data = bytearray()
    for chunk in content.chunks:
        data += chunk
        if len(data) > revocations.MAX_BYTES:
            raise TooLarge("revocations", limit=revocations.MAX_BYTES)
    return revocations.read(bytes(data))
