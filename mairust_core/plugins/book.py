"""The hooks that run, as they are now: what the chain reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mairust_core.errors import Conflict
from mairust_core.model.plugin import Runnable
from mairust_core.model.principal import Principal
from mairust_core.store import plugins
from mairust_core.store.plugins import Registered

if TYPE_CHECKING:
    from sqlalchemy import Connection


def runnable(tx: Connection, by: Principal, id_: str) -> Runnable:
    """A plugin with what was approved of it; raises `NotFound`, `Conflict` before its approval."""
    found = plugins.get(tx, by, id_)
    if found.manifest is None:
        raise Conflict("plugin_pending", id=id_)
    return as_runnable(found)


def as_runnable(found: Registered) -> Runnable:
    """An approved plugin as chain and transports need it."""
    manifest = found.manifest
    assert manifest is not None
    return Runnable(
        id=found.id,
        version=manifest.version,
        entry=manifest.entry,
        permissions=manifest.permissions,
        limits=manifest.limits,
        directory=Path(found.directory),
        generation=found.generation,
    )
