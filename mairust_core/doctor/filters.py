"""Plugins and hooks: what waits, what runs unsigned, what cannot run, what fails."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mairust_core.config import Settings
from mairust_core.doctor.findings import Found
from mairust_core.doctor.sandbox import judged_isolation
from mairust_core.model.plugin import Protocol, State
from mairust_core.model.principal import Principal
from mairust_core.plugins.registry import secret_name
from mairust_core.plugins.sockets import fault_of
from mairust_core.store import StorageBackend, breakers, packages, plugin_health, secrets
from mairust_core.store import plugins as queries
from mairust_core.wire import encode_time

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mairust_core.store.plugins import Registered

MAX_LOOKED = 500
_ME = Principal.local("doctor")


def plugins(_: Settings, storage: StorageBackend) -> Iterator[Found]:
    """No plugin waits or is unsigned, and each that is enabled has its files and its secret."""
    with storage.read() as tx:
        found = queries.page(tx, _ME, "", MAX_LOOKED)
        enabled = [one for one in found if one.state is State.ENABLED]
        secretless = [one.id for one in enabled if _lacks_secret(tx, storage, one)]
        facts = packages.facts(tx, _ME, (one.package for one in enabled))
    if waiting := [one.id for one in found if one.pending is not None]:
        yield Found("plugins.pending", names=", ".join(waiting), count=len(waiting), first=waiting[0])
    signed = {digest for digest, one in facts.items() if one.signers.is_signed}
    if unsigned := [one.id for one in enabled if one.package not in signed]:
        yield Found("plugins.unsigned", names=", ".join(unsigned), count=len(unsigned), first=unsigned[0])
    for one in enabled:
        linked = one.directory if one.shown.entry.protocol is Protocol.STDIN else None
        if linked is not None and not os.access(linked, os.R_OK | os.X_OK):
            yield Found("plugins.directory", id=one.id, path=linked)
    for id_ in secretless:
        yield Found("plugins.secret", id=id_)


def health(_: Settings, storage: StorageBackend) -> Iterator[Found]:
    """Every plugin that says where to ask is well."""
    with storage.read() as tx:
        unwell = plugin_health.unwell(tx)
    for id_, found in unwell.items():
        yield Found("plugins.unwell", id=id_, why=found.detail, since=encode_time(found.since))


def sockets(settings: Settings, storage: StorageBackend) -> Iterator[Found]:
    """Where plugins have UNIX sockets, their directory is there and nobody else can put one into it."""
    with storage.read() as tx:
        found = queries.page(tx, _ME, "", MAX_LOOKED)
    if not any(one.state is State.ENABLED and one.shown.entry.protocol is Protocol.UNIX for one in found):
        return
    directory = settings.plugins.socket_dir
    match fault_of(directory):
        case "missing":
            yield Found("plugins.socket_dir", path=directory)
        case "open":
            yield Found("plugins.socket_dir_open", path=directory)


def held(settings: Settings, storage: StorageBackend) -> Iterator[Found]:
    """Local plugins, where there are any, are held by every layer of the sandbox (rule H1)."""
    with storage.read() as tx:
        found = queries.page(tx, _ME, "", MAX_LOOKED)
    if any(one.shown.entry.protocol is Protocol.STDIN for one in found):
        from mairust_core.sandbox.noted import isolation_on  # may try the machine out: not for sites without

        yield from judged_isolation(isolation_on(settings))


def _lacks_secret(tx: Connection, storage: StorageBackend, one: Registered) -> bool:
    needs = one.shown.entry.protocol in (Protocol.HTTP, Protocol.UNIX)
    return needs and secrets.get(tx, _ME.tenant_id, secret_name(one.id), storage.now_ms(tx)) is None


def hooks(_: Settings, storage: StorageBackend) -> Iterator[Found]:
    """Every hook is called: no breaker is open."""
    with storage.read() as tx:
        failing = breakers.not_closed(storage, tx)
    for name, one in failing.items():
        yield Found("hooks.open", name=name, why=one.last_error)
