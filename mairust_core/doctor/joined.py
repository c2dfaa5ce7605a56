"""Extensions: which are installed, what they add, what is wrong with them (rule G6)."""

from __future__ import annotations

from collections.abc import Iterator

from mairust_core.blobs.drivers import FS, blobs_of
from mairust_core.config import Settings
from mairust_core.doctor.findings import Found
from mairust_core.errors import MaiRustError
from mairust_core.i18n import explain
from mairust_core.installed.extensions import Extensions, extensions
from mairust_core.installed.faults import Extension, FaultKind
from mairust_core.installed.offers import read_commands, read_routers
from mairust_core.model.plugin import Protocol
from mairust_core.model.plugin_forms import Source
from mairust_core.model.principal import Principal
from mairust_core.plugins.joined import foreign_transport, read_plugins
from mairust_core.search.engines import engine_of
from mairust_core.store import StorageBackend
from mairust_core.store import plugins as queries
from mairust_core.store.plugins import Registered

MAX_LOOKED = 500
_ME = Principal.local("doctor")


def joined(settings: Settings, storage: StorageBackend) -> Iterator[Found]:
    """Every extension is sound, configuration refers to none that is not, and no plugin lacks its own."""
    found = extensions(settings.plugins.extensions)
    inside = read_plugins(settings)
    read_commands(found)
    read_routers(found)
    yield from _needed(settings, storage, found)
    for extension in found.installed:
        yield from _told(found, extension)
    with storage.read() as tx:
        registered = queries.page(tx, _ME, "", MAX_LOOKED)
        names = queries.hooks_of(tx, _ME, [one.id for one in registered])
    for one in registered:
        gone = one.source is Source.EXTENSION and one.id not in inside
        if gone or _is_unspoken(settings, one):
            yield Found("plugins.extension", id=one.id, names=", ".join(names[one.id]) or "-")


def _is_unspoken(settings: Settings, one: Registered) -> bool:
    """Whether it is reached by a transport that nobody has."""
    entry = one.shown.entry
    return entry.protocol is Protocol.EXTENSION and foreign_transport(settings, entry.way) is None


def _needed(settings: Settings, storage: StorageBackend, found: Extensions) -> Iterator[Found]:
    """What configuration refers to and is not there: `serve` refuses it, too."""
    try:
        if settings.blobs.driver != FS:
            blobs_of(settings).close()
        engine_of(settings, storage)
        found.require()
    except MaiRustError as error:
        problem, mend = explain(error)
        yield Found("extension.needed", problem=problem, mend=mend)


def _told(found: Extensions, extension: Extension) -> Iterator[Found]:
    if not found.is_wanted(extension):
        yield Found("extension.left_out", extension=extension)
        return
    for fault in found.faults:
        if fault.extension == extension and fault.kind is FaultKind.TAKEN:
            yield Found("extension.hidden", extension=extension, why=fault.why)
        elif fault.extension == extension:
            yield Found("extension.broken", extension=extension, why=fault.why)
    if extension in found.speaking():
        yield Found("extension.installed", extension=extension, adds=", ".join(found.implements(extension)))
