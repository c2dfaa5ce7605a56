"""Lists of revocations on their way into force (rule G5), however long, in short transactions (rule D2).

What a list adds is taken back before it is in force, and what it names no longer counts again after that: in
between more is revoked than either list says, never less. One import goes on at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mairust_core.errors import Conflict, Locked, TooLarge
from mairust_core.ids import IdSource, to_ms
from mairust_core.model.principal import Principal
from mairust_core.model.trust import RevocationKind, RevocationsTaken
from mairust_core.observe.faults import crash_point
from mairust_core.operations import BytesIn
from mairust_core.plugins.blocking import strike
from mairust_core.plugins.package import revocations
from mairust_core.plugins.package.revocations import RevocationList
from mairust_core.store import StorageBackend, audits, trust

if TYPE_CHECKING:
    from sqlalchemy import Connection

AT_ONCE = 500
"""So much is taken back, or released, in one transaction."""
TASK = "revocations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What a list changes: `new` it adds to what is taken back already, `gone` it names no longer.

    Each is a text, as `store.trust.named` has it. `serial` is that of the list that was in force; `digest`
    stands for what this one names.
    """

    serial: int | None
    digest: str
    new: Sequence[str]
    gone: Sequence[str]


class Revoking:
    """Puts lists in force. Thread-safe: it holds nothing."""

    def __init__(self, storage: StorageBackend, ids: Callable[[], IdSource]) -> None:
        self._storage = storage
        self._ids = ids

    def alone(self) -> AbstractContextManager[object]:
        """Be the only import of the site, from announcing to release; raises `Locked` at once."""
        return self._storage.alone(TASK)

    def announce(self, by: Principal, taken: RevocationList) -> Announced:
        """Take back what a long list adds, before it is in force; `take` does a short one.

        Raises as `take` does. Killed meanwhile, what was taken back stays so, and the list may come again.
        """
        named = _named(taken)
        digest = _digest(named)
        with self._storage.read() as tx:
            serial, in_force = _require_newer(tx, by, taken)
            before = trust.taken_back(tx, by, taken.root)
        is_other = before != named if in_force is None else digest != in_force
        if taken.serial == serial and is_other:
            raise Conflict("revocations_other", root=taken.root, serial=taken.serial)
        new, gone = sorted(named - before), sorted(before - named)
        if len(new) > AT_ONCE:
            for some in _pages(new):
                with self._storage.write() as tx:
                    _require_newer(tx, by, taken)
                    trust.note(tx, by, taken.root, some)
            new = []
        return Announced(serial=serial, digest=digest, new=new, gone=gone)

    def take(
        self, tx: Connection, by: Principal, taken: RevocationList, announced: Announced
    ) -> RevocationsTaken:
        """Put a root's list in force, and block at once what it takes back.

        Raises `Invalid` for a list that no trusted root signed, `Conflict` for one that is older than what
        is known, or another one of the same serial. The list that is known may come again.
        """
        if _require_newer(tx, by, taken)[0] != announced.serial:
            raise Locked("task", name=TASK)
        trust.note(tx, by, taken.root, announced.new)
        if announced.gone:
            audits.record(tx, self._ids().next(), by, "trust.release", taken.root)
        if len(announced.gone) <= AT_ONCE:
            trust.release(tx, by, taken.root, announced.gone)
        in_force = trust.InForce(
            serial=taken.serial, issued_ms=to_ms(taken.issued_at), digest=announced.digest
        )
        trust.take(tx, by, taken.root, in_force)
        struck = strike(tx, by, self._ids(), taken.root)
        crash_point("trust.revoked")
        return RevocationsTaken(
            root=taken.root,
            serial=taken.serial,
            keys=len(taken.keys),
            manifests=len(taken.manifests),
            blocked=tuple(struck.blocked),
            released=tuple(one.partition(":")[2] for one in announced.gone),
            already_disabled=tuple(struck.already_disabled),
        )

    def release(self, by: Principal, taken: RevocationList, announced: Announced) -> None:
        """Have count again what a list in force names no longer, if that is too much for `take`.

        Killed meanwhile, the rest stays taken back until a list comes again, be it the same. Raises `Locked`
        when another list is in force, which came when the database had let go of our lock.
        """
        if len(announced.gone) > AT_ONCE:
            for some in _pages(announced.gone):
                with self._storage.write() as tx:
                    trust.hold(self._storage, tx)
                    if trust.in_force(tx, by, taken.root) != (taken.serial, announced.digest):
                        raise Locked("task", name=TASK)
                    trust.release(tx, by, taken.root, some)


def _pages(named: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(named), AT_ONCE):
        yield named[first : first + AT_ONCE]


def _named(taken: RevocationList) -> set[str]:
    found = {trust.named(RevocationKind.KEY, one) for one in taken.keys}
    return found | {trust.named(RevocationKind.MANIFEST, one) for one in taken.manifests}


def _digest(named: set[str]) -> str:
    """What stands for all that a list names."""
    return hashlib.sha256("\n".join(sorted(named)).encode()).hexdigest()


def _require_newer(tx: Connection, by: Principal, taken: RevocationList) -> tuple[int | None, str | None]:
    """Serial and digest of the list in force, of a root that is trusted.

    Raises `Invalid` for another root, `Conflict` for an older list.
    """
    taken.signed.require_root(trust.trusted(tx, by, ()).roots)
    known, digest = trust.in_force(tx, by, taken.root)
    if known is not None and taken.serial < known:
        raise Conflict("revocations_old", root=taken.root, serial=taken.serial, known=known)
    return known, digest


def read_revocations(content: BytesIn) -> RevocationList:
    """The list that these bytes are; raises `TooLarge`, `Invalid`."""
    data = bytearray()
    for chunk in content.chunks:
        data += chunk
        if len(data) > revocations.MAX_BYTES:
            raise TooLarge("revocations", limit=revocations.MAX_BYTES)
    return revocations.read(bytes(data))
