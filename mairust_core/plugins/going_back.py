"""From the package that runs back to the one that ran before (contract §5)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import semver

from mairust_core.errors import Conflict
from mairust_core.ids import now_ms
from mairust_core.model.plugin import Manifest, State
from mairust_core.model.plugin_forms import NOTHING, Review
from mairust_core.model.principal import Principal
from mairust_core.plugins.manifest import Ground, read_manifest
from mairust_core.plugins.registry import Registry
from mairust_core.plugins.rights import fingerprint, review
from mairust_core.plugins.standing import Standings
from mairust_core.store import packages, plugins
from mairust_core.store.plugins import Registered

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What a rollback leads to, and what it asks for beside what is in force."""

    digest: str
    manifest: Manifest
    review: Review


class GoingBack:
    """Leads plugins back. Thread-safe: it holds nothing."""

    def __init__(self, registry: Registry, ground: Ground) -> None:
        self._registry = registry
        self._ground = ground

    def look(self, tx: Connection, by: Principal, id_: str, to: str) -> Review:
        """What a rollback would give; the review `NOTHING` when `to` runs already. Raises as `take`."""
        found = plugins.get(tx, by, id_)
        way = self._way(tx, by, found, to)
        return Review(id=NOTHING, version=found.shown.version, rights=()) if way is None else way.review

    def take(self, tx: Connection, by: Principal, id_: str, to: str) -> None:
        """Have the package run that ran before, with the rights that it had; what runs now is kept.

        What waits for approval goes. `to` is a version, a digest, or the review that somebody read; when that
        runs already, nothing is done. Raises `NotFound`, `Conflict` without such a package, without `to` when
        that is not an older version, and without its review when it asks for more than is in force; `Invalid`
        for one that this program cannot run, `Forbidden` for one that is revoked.
        """
        found = plugins.get(tx, by, id_, locked=True)
        way = self._way(tx, by, found, to)
        if way is None:
            return
        if to != way.review.id and any(right.more for right in way.review.rights):
            raise Conflict("plugin_rollback_more", id=id_, version=way.manifest.version)
        if found.state is not State.DISABLED:
            self._registry.require_held(way.manifest)
        back = replace(
            found, pending=way.manifest, pending_package=way.digest, pending_directory=None,
            approved_by=by.name, approved_ms=now_ms(),
        )  # fmt: skip
        self._registry.run_waiting(tx, by, back)

    def _way(self, tx: Connection, by: Principal, found: Registered, to: str) -> Way | None:
        """Where a rollback leads; None when `to` runs already."""
        id_, digest = found.id, found.previous_package
        if to and found.state is not State.BLOCKED and _runs(tx, by, found, to):
            return None
        kept = packages.find(tx, by, digest) if digest is not None else None
        if digest is None or kept is None:
            raise Conflict("plugin_no_previous", id=id_)
        manifest = read_manifest(kept.toml.encode(), self._ground)
        standing = Standings(tx, by, [found]).of(found, digest)
        asked = review(manifest, found.manifest, standing)
        if to not in ("", asked.id) and not _is(to, digest, manifest):
            raise Conflict("plugin_other_previous", id=id_, wanted=to[:200], previous=manifest.version)
        self._registry.require_standing(tx, by, id_, standing)
        if not to and not _leads_back(found, manifest):
            raise Conflict("plugin_rolled_back", id=id_, have=found.shown.version, previous=manifest.version)
        return Way(digest=digest, manifest=manifest, review=asked)


def _runs(tx: Connection, by: Principal, found: Registered, wanted: str) -> bool:
    """Whether what somebody names runs already: a version, a digest, or the review that led to it."""
    if _is(wanted, found.package, found.manifest):
        return True
    if found.package is None:
        return False
    return wanted == fingerprint(found.shown, Standings(tx, by, [found]).of(found, found.package))


def _is(wanted: str, digest: str | None, manifest: Manifest | None) -> bool:
    """Whether somebody who names a version or a digest means this package."""
    return manifest is not None and digest is not None and wanted in (digest, manifest.version)


def _leads_back(found: Registered, previous: Manifest) -> bool:
    """Whether what ran before is older than what runs, or what runs came in no package."""
    if found.package is None:
        return True
    return semver.Version.parse(previous.version) < semver.Version.parse(found.shown.version)
