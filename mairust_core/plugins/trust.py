"""Whom this site trusts to sign plugins, and what happens when they take something back (rule G5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from mairust_core.errors import Forbidden
from mairust_core.ids import IdSource, to_ms
from mairust_core.model.principal import Principal
from mairust_core.model.trust import NewTrustKey, Signers, TrustKey
from mairust_core.plugins.package import Package, keys
from mairust_core.plugins.package.vouching import voucher
from mairust_core.plugins.times import Times
from mairust_core.store import audits, trust
from mairust_core.store.trust import Trusted

if TYPE_CHECKING:
    from sqlalchemy import Connection


def judge(package: Package, trusted: Trusted, now: Times) -> Signers:
    """Who stands for a package that came in now; without a marketplace's signature its developer at most.

    A developer's mark whose key did not come along is nobody's.

    Raises `Invalid` for a signature that leads to no trusted root, or out of its time, and for a licence of
    nobody who is trusted, or whose time is over.
    """
    found = Signers()
    if (developer := package.developer) is not None and developer.public_key is not None:
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
