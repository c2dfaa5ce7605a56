"""The hooks that run, as they are now: what the chain reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mairust_core.errors import Conflict
from mairust_core.hooks import book
from mairust_core.model.plugin import Runnable, State
from mairust_core.model.principal import Principal
from mairust_core.plugins.standing import Standings, is_revoked, named_in
from mairust_core.store import StorageBackend, hooks, plugins, trust
from mairust_core.store.plugins import Registered

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Book:
    """The hooks of a site, read from its tables. Thread-safe: it holds nothing."""

    def __init__(self, storage: StorageBackend, packages_dir: Path) -> None:
        """`packages_dir` is where this node has the files of packages."""
        self._storage = storage
        self._packages_dir = packages_dir

    def enabled(self) -> list[book.Registered]:
        """Every enabled hook of an enabled or blocked plugin; one statement."""
        with self._storage.read() as tx:
            found = hooks.running(tx)
        return [
            book.Registered(
                hook=one.hook,
                plugin=as_runnable(one.plugin, self._packages_dir),
                blocked=one.plugin.state is State.BLOCKED,
            )
            for one in found
        ]


def runnable(tx: Connection, by: Principal, id_: str, packages_dir: Path) -> Runnable:
    """A plugin with what was approved of it, enabled or not.

    Raises `NotFound`, `Conflict` before its approval and when it is blocked: then nothing runs it (rule G5).
    """
    found = plugins.get(tx, by, id_)
    signers = Standings(tx, by, [found]).shown(found)
    trusted = trust.trusted(tx, by, named_in([(found.package, signers)]))
    taken_back = found.package is not None and is_revoked(found.package, signers, trusted)
    if found.state is State.BLOCKED or taken_back:
        raise Conflict("plugin_blocked", id=id_)
    if found.manifest is None:
        raise Conflict("plugin_pending", id=id_)
    return as_runnable(found, packages_dir)


def as_runnable(found: Registered, packages_dir: Path | None = None) -> Runnable:
    """An approved plugin as chain and transports need it; without `packages_dir` a package has no files."""
    manifest = found.manifest
    assert manifest is not None
    linked = None if found.directory is None else Path(found.directory)
    unpacked = packages_dir / found.package if packages_dir and found.package else None
    return Runnable(
        id=found.id,
        version=manifest.version,
        entry=manifest.entry,
        permissions=manifest.permissions,
        limits=manifest.limits,
        directory=unpacked or linked,
        package=found.package,
        generation=found.generation,
    )
