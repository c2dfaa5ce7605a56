"""Who stands for what a plugin is and wants to be, and whether that is still enough (rule G5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mairust_core.errors import Forbidden
from mairust_core.model.principal import Principal
from mairust_core.model.trust import Signers
from mairust_core.plugins.rights import LINKED, Standing
from mairust_core.store import packages, trust
from mairust_core.store.plugins import Registered
from mairust_core.store.trust import Trusted

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Standings:
    """Of some plugins; read with two statements, none where nothing came in a package."""

    def __init__(self, tx: Connection, by: Principal, found: Sequence[Registered]) -> None:
        digests = [
            digest
            for one in found
            for digest in (one.package, one.pending_package, one.previous_package)
            if digest is not None
        ]
        self._facts = packages.facts(tx, by, digests)
        self.names = trust.names(tx, by) if digests else {}

    def shown(self, found: Registered) -> Signers:
        """Who stands for what was approved, or while nothing was, for what waits."""
        return self._signers(_of(found))

    def revoked(self, tx: Connection, by: Principal, found: Sequence[Registered]) -> set[str]:
        """The ids of those whose package, or a key that had a part in it, was taken back.

        One statement, none where nothing came in a package.
        """
        digests = {one.id: digest for one in found if (digest := _of(one)) is not None}
        named = {value for digest in digests.values() for value in _named(digest, self._signers(digest))}
        trusted = Trusted(roots={}, revoked=trust.revoked(tx, by, named))
        return {id_ for id_, one in digests.items() if is_revoked(one, self._signers(one), trusted)}

    def waiting(self, found: Registered) -> Standing:
        """Who stands for what waits, or is approved, and who stood for what was approved before."""
        return self.of(found, found.pending_package if found.pending is not None else found.package)

    def of(self, found: Registered, digest: str | None, signers: Signers | None = None) -> Standing:
        """Who stands for a package, beside who stands for the approved one."""
        was = self._signers(found.package) if found.manifest is not None else None
        if digest is None and not (was is not None and was.keys):
            return LINKED
        signers = signers or self._signers(digest)
        return Standing(package=digest or "", signers=signers, was=was, names=self.names)

    def previous_version(self, found: Registered) -> str | None:
        """The version that a rollback leads to."""
        one = self._facts.get(found.previous_package or "")
        return None if one is None else one.version

    def _signers(self, digest: str | None) -> Signers:
        one = self._facts.get(digest or "")
        return Signers() if one is None else one.signers


def _of(found: Registered) -> str | None:
    """The package that was approved, or while nothing was, the one that waits."""
    return found.package if found.manifest is not None else found.pending_package


def require_trusted(id_: str, digest: str | None, signers: Signers, trusted: Trusted) -> None:
    """Raise `Forbidden` unless a trusted root stands for a package, and took nothing of it back.

    Certificates and licences are judged when a package comes in; what was installed in time stays.
    """
    revoked = trusted.revoked_by(signers.root)
    if digest in revoked:
        raise Forbidden("package_revoked", id=id_, digest=digest)
    if keys := sorted(signers.keys & revoked):
        raise Forbidden("package_key_revoked", id=id_, key=", ".join(keys))
    if signers.root is not None and signers.root not in trusted.roots:
        raise Forbidden("package_root_unknown", id=id_, key=signers.root)


def is_revoked(digest: str | None, signers: Signers, trusted: Trusted) -> bool:
    """Whether a package, or a key that had a part in it, was taken back."""
    return not _named(digest, signers).isdisjoint(trusted.revoked_by(signers.root))


def named_in(standing: Iterable[tuple[str | None, Signers]]) -> set[str]:
    """All that a revocation could name of some packages: themselves, and the keys that had a part in them."""
    return {one for digest, signers in standing for one in _named(digest, signers)}


def _named(digest: str | None, signers: Signers) -> set[str]:
    return {*signers.keys, *([digest] if digest else ())}
