"""Whether a root that somebody trusts stands for a package: pure, with the roots and the time handed in."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from mairust_core.errors import Invalid
from mairust_core.plugins.package import signatures
from mairust_core.plugins.package.reading import Package
from mairust_core.plugins.package.revocations import RevocationList
from mairust_core.plugins.package.signatures import Signature


def voucher(package: Package, roots: Mapping[str, bytes], now: datetime) -> str:
    """The id of the root that stands for a package: by its own signature, or by that of a key it certified.

    `roots` are public keys by id. Raises `Invalid` for a package that is not signed by a marketplace, for a
    key that is unknown, not valid yet or not any more, and for a wrong signature.
    """
    mark = package.marketplace
    if mark is None:
        raise Invalid("package", "package_unsigned", plugin=package.manifest.id)
    root, public = _standing(mark, roots, now)
    signatures.verify(mark, package.listing, public)
    return root


def leads_to(package: Package, roots: Collection[str]) -> bool:
    """Whether the signature of a marketplace leads to one of these roots, as it says itself."""
    mark = package.marketplace
    if mark is None:
        return False
    named = {mark.key_id} if mark.certificate is None else {mark.key_id, mark.certificate.root}
    return not named.isdisjoint(roots)


def _standing(mark: Signature, roots: Mapping[str, bytes], now: datetime) -> tuple[str, bytes]:
    """The root, and the key that has to have signed."""
    if mark.key_id in roots:
        return mark.key_id, roots[mark.key_id]
    if mark.certificate is None:
        raise Invalid("package", "package_key_unknown", key=mark.key_id)
    mark.certificate.require(roots, now)
    return mark.certificate.root, mark.certificate.public_key


def require_not_revoked(package: Package, revoked: RevocationList) -> None:
    """Require that a list names neither the package nor a key that signed it; raises `Invalid`."""
    require_not_named(package, revoked.manifests | revoked.keys, revoked.root)


def require_not_named(package: Package, revoked: Collection[str], root: str) -> None:
    """Require that a root took back neither the package nor a key that signed it; raises `Invalid`."""
    if package.digest in revoked:
        raise Invalid("package", "package_manifest_revoked", digest=package.digest, root=root)
    for mark in (package.marketplace, package.developer):
        if mark is not None and mark.key_id in revoked:
            raise Invalid("package", "package_key_revoked", key=mark.key_id, root=root)
