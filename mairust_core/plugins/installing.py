"""Packages on their way into a site (contract §5, rules G1, G5).

A package is read whole and judged before anything of it is written; its bytes are kept in small transactions
(rule D2), and one more makes the plugin have it. Killed before that one, nothing has changed, and what was
kept is collected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import semver

from mairust_core.errors import Conflict, Forbidden, NotFound, Temporary
from mairust_core.ids import IdSource, now_ms
from mairust_core.model.plugin import Manifest, State
from mairust_core.model.plugin_forms import Installed, Source, Terms
from mairust_core.model.principal import Principal
from mairust_core.model.trust import Signers
from mairust_core.observe.faults import crash_point
from mairust_core.operations import BytesIn
from mairust_core.plugins.arriving import Arrived, Reader
from mairust_core.plugins.manifest import Ground
from mairust_core.plugins.registry import Registry
from mairust_core.plugins.rights import Standing, approves_itself, asks_for_more
from mairust_core.plugins.showing import installed
from mairust_core.plugins.standing import Standings, is_revoked, named_in, require_trusted
from mairust_core.store import StorageBackend, audits, packages, plugins, trust
from mairust_core.store.packages import Kept
from mairust_core.store.plugins import Registered

if TYPE_CHECKING:
    from sqlalchemy import Connection

PARTS_AT_ONCE = 4
"""A mebibyte in one transaction."""
DROPPED_AT_ONCE = 32
AUTOMATIC = "automatic"
"""Who approved what needs nobody's approval (rule G1)."""


class Installer:
    """Takes packages into a site. Thread-safe: it holds nothing."""

    def __init__(
        self,
        storage: StorageBackend,
        ids: Callable[[], IdSource],
        registry: Registry,
        reader: Reader,
        ground: Ground,
    ) -> None:
        self._storage = storage
        self._ids = ids
        self._registry = registry
        self._reader = reader
        self._ground = ground

    @contextmanager
    def arrived(self, by: Principal, content: BytesIn, terms: Terms) -> Iterator[Arrived]:
        """A package that was read whole and is fit to be installed; its file is gone after the block.

        Raises `TooLarge`, `Invalid` for what is no sound package, `Forbidden` for one that is not to be
        trusted, `Conflict`, `NotFound` by the terms. Nothing is written.
        """
        with self._reader.arrived(by, content) as arrived:
            self._registry.check_filters(arrived.manifest)
            if not arrived.signers.is_signed:
                self._registry.require_unsigned(arrived.manifest.id)
            with self._storage.read() as tx:
                found = plugins.find(tx, by, arrived.manifest.id)
                _require_wanted(found, arrived, terms)
            self._registry.look_for(arrived.manifest)
            yield arrived

    def keep(self, by: Principal, arrived: Arrived) -> None:
        """Keep the bytes of a package, a mebibyte in a transaction; raises `DiskFull`, `StorageDown`."""
        batch: list[tuple[int, bytes]] = []
        for number, data in enumerate(arrived.parts(packages.PART_BYTES)):
            batch.append((number, data))
            if len(batch) == PARTS_AT_ONCE:
                self._keep(by, arrived.archive, batch)
                batch = []
        self._keep(by, arrived.archive, batch)

    def _keep(self, by: Principal, archive: str, batch: list[tuple[int, bytes]]) -> None:
        if batch:
            with self._storage.write() as tx:
                packages.keep_parts(self._storage, tx, by, archive, batch)
            crash_point("plugin.parts")

    def drop(self, by: Principal, archives: Iterable[str]) -> None:
        """Let go of bytes that no package has, a few in a transaction (rule D2); collection would, too."""
        for archive in archives:
            left = True
            while left:
                with self._storage.write() as tx:
                    left = packages.drop_parts(self._storage, tx, by, archive, DROPPED_AT_ONCE) > 0

    def install(self, tx: Connection, by: Principal, arrived: Arrived, terms: Terms) -> Installed:
        """Have the plugin be the one in a package whose bytes are kept; what came of it.

        What nobody needs to approve runs at once: a new one by rule G1, a newer version that asks for no
        more and is signed as the one before. All else waits, while what was approved runs. The same package
        with a newer licence, or signed again by the same hands, is taken as that. Raises `Forbidden` for what
        was taken back since it was read, `Conflict` for what is kept under other signatures.
        """
        trust.hold(self._storage, tx)
        trusted = trust.trusted(tx, by, named_in([(arrived.digest, arrived.signers)]))
        require_trusted(arrived.manifest.id, arrived.digest, arrived.signers, trusted)
        found = plugins.find(tx, by, arrived.manifest.id, locked=True)
        if found is not None and found.source is Source.EXTENSION:
            raise Conflict("plugin_of_extension", id=found.id)
        _require_wanted(found, arrived, terms)
        kept = self._approved(tx, by, found, arrived)
        if kept is not None:
            arrived = replace(arrived, signers=kept.renewed(arrived.signers))
        renewed = kept not in (None, arrived.signers)
        if renewed:
            self._renew(tx, by, arrived)
        if found is not None and _runs(found, arrived):
            runs = replace(found, pending=None, pending_package=None)  # what waits beside it is another
            return replace(installed(tx, by, runs, found.shown), renewed=renewed)
        self._put(tx, by, arrived)
        done = self._register(tx, by, arrived) if found is None else self._upgrade(tx, by, found, arrived)
        crash_point("plugin.installed")
        return done

    def _approved(
        self, tx: Connection, by: Principal, found: Registered | None, arrived: Arrived
    ) -> Signers | None:
        """Who stands for this package, if it was approved once and is kept.

        Raises `Conflict` for other hands: an approval holds for those that it was given to.
        """
        approved = () if found is None else (found.package, found.previous_package)
        kept = packages.find(tx, by, arrived.digest) if arrived.digest in approved else None
        if kept is None:
            return None
        if not kept.signers.is_renewed_by(arrived.signers):
            raise Conflict("package_other_signers", id=kept.plugin, version=kept.version)
        return kept.signers

    def _renew(self, tx: Connection, by: Principal, arrived: Arrived) -> None:
        packages.renew(tx, by, arrived.digest, arrived.signers)
        audits.record(tx, self._ids().next(), by, "plugins.renew", arrived.manifest.id)

    def _put(self, tx: Connection, by: Principal, arrived: Arrived) -> None:
        kept = Kept(
            digest=arrived.digest, archive=arrived.archive, plugin=arrived.manifest.id,
            version=arrived.manifest.version, toml=arrived.toml, listing=arrived.listing,
            signers=arrived.signers, size_bytes=arrived.size_bytes,
        )  # fmt: skip
        parts = -(-arrived.size_bytes // packages.PART_BYTES)
        if not packages.put(self._storage, tx, by, kept, parts):
            raise Temporary("package_collected", id=arrived.manifest.id)

    def _register(self, tx: Connection, by: Principal, arrived: Arrived) -> Installed:
        wanted = arrived.manifest
        found = Registered(
            id=wanted.id, state=State.PENDING, source=Source.PACKAGE, pending=wanted,
            pending_package=arrived.digest,
        )  # fmt: skip
        plugins.add(tx, by, found)
        if not self._approves_itself(arrived):
            return installed(tx, by, found, wanted)
        audits.record(tx, self._ids().next(), by, "plugins.auto_approve", wanted.id)
        return self._run(tx, by, replace(found, approved_by=AUTOMATIC, approved_ms=now_ms()), wanted)

    def _upgrade(self, tx: Connection, by: Principal, found: Registered, arrived: Arrived) -> Installed:
        wanted = arrived.manifest
        waiting = replace(found, pending=wanted, pending_package=arrived.digest, pending_directory=None)
        standing = Standings(tx, by, [found]).of(found, arrived.digest, arrived.signers)
        approved = found.manifest
        taken_back = found.state is State.BLOCKED or _is_taken_back(tx, by, found, standing)
        if approved is None or taken_back or asks_for_more(wanted, approved, standing):
            plugins.replace(tx, by, waiting)
            return installed(tx, by, waiting, wanted)
        if found.state is State.ENABLED:
            self._registry.require_held(wanted)
        return self._run(tx, by, waiting, wanted)

    def _run(self, tx: Connection, by: Principal, waiting: Registered, wanted: Manifest) -> Installed:
        running = self._registry.run_waiting(tx, by, waiting)
        secret = self._registry.issue(tx, by, wanted)
        return installed(tx, by, running, wanted, secret)

    def _approves_itself(self, arrived: Arrived) -> bool:
        """Whether nobody needs to be asked; where it could not be held somebody has to look (rule H1)."""
        if not approves_itself(arrived.manifest, marketplace_signed=arrived.signers.is_signed):
            return False
        try:
            self._registry.require_held(arrived.manifest)
        except Forbidden:
            return False
        return True


def _is_taken_back(tx: Connection, by: Principal, found: Registered, standing: Standing) -> bool:
    """Whether what was approved was revoked since."""
    if standing.was is None:
        return False
    trusted = trust.trusted(tx, by, named_in([(found.package, standing.was)]))
    return is_revoked(found.package, standing.was, trusted)


def _runs(found: Registered, arrived: Arrived) -> bool:
    """Whether this very package is the approved one; who signed it then stays who is compared later on."""
    return found.package == arrived.digest and found.state is not State.BLOCKED


def _require_wanted(found: Registered | None, arrived: Arrived, terms: Terms) -> None:
    """Raise `NotFound` or `Conflict` for what the terms do not allow."""
    wanted = arrived.manifest
    if found is None:
        if terms.upgrade_only:
            raise NotFound("plugin_to_upgrade", id=wanted.id)
        return
    have = found.manifest
    if have is None or _runs(found, arrived) or terms.allow_downgrade:
        return
    old, new = semver.Version.parse(have.version), semver.Version.parse(wanted.version)
    if new < old:
        raise Conflict("plugin_downgrade", id=wanted.id, have=have.version, wanted=wanted.version)
    if new == old and found.source is Source.PACKAGE and found.state is not State.BLOCKED:
        raise Conflict("plugin_same_version", id=wanted.id, version=have.version)
