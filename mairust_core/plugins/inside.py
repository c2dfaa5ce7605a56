"""Plugins that run inside this process: what extensions bring, and how it is registered (rule G6).

They have a plugin.toml like any other and are told and heard under the same permissions. What is registered
of them stays when their distribution goes: their hooks then answer `on_error`, until somebody removes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mairust_core.errors import Conflict, MaiRustError
from mairust_core.extend import MailHooks
from mairust_core.hooks.inprocess import Function
from mairust_core.ids import now_ms
from mairust_core.installed.extensions import Extensions
from mairust_core.installed.faults import Extension, FaultKind
from mairust_core.model.hook import Filter
from mairust_core.model.plugin import Manifest, Protocol, State
from mairust_core.model.plugin_forms import Source
from mairust_core.model.principal import Principal
from mairust_core.plugins.manifest import Ground, read_manifest
from mairust_core.store import StorageBackend, audits, generations, hooks, plugins
from mairust_core.store.plugins import Registered

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mairust_core.ids import IdSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """A plugin of an extension, and the function that answers for it."""

    extension: Extension
    manifest: Manifest
    answer: Function


def read_inside(
    found: Extensions, ground: Ground, check_filter: Callable[[Filter], None]
) -> dict[str, Inside]:
    """The plugins that extensions bring, by id; what is wrong with one is noted, and it is left out."""
    read: dict[str, Inside] = {}
    for extension, one in found.each_of("mail_hooks", MailHooks):
        try:
            manifest = _manifest(one, ground, check_filter)
        except (MaiRustError, TypeError, ValueError, AttributeError) as error:
            found.note(extension, FaultKind.ANSWER, f"mail_hooks: {error}")
            continue
        if manifest.id in read:
            found.note(extension, FaultKind.TAKEN, f"{read[manifest.id].extension} has {manifest.id}, too")
            continue
        read[manifest.id] = Inside(extension=extension, manifest=manifest, answer=one.answer)
    return read


def _manifest(one: MailHooks, ground: Ground, check_filter: Callable[[Filter], None]) -> Manifest:
    manifest = read_manifest(one.plugin_toml.encode(), ground)
    if manifest.entry.protocol is not Protocol.INPROCESS:
        raise ValueError(f'{manifest.id}: its plugin.toml does not say protocol = "inprocess"')
    if not callable(one.answer):
        raise TypeError(f"{manifest.id}: its answer is not a function")
    for hook in manifest.hooks:
        check_filter(hook.filter)
    return manifest


def declare(
    storage: StorageBackend, ids: IdSource, by: Principal, inside: Iterable[Inside], found: Extensions
) -> list[str]:
    """Register plugins that are new or say something new; the ids of those.

    Each is a transaction of its own, with its entry in the audit. One whose id, or the name of whose hook, is
    taken on this site is left out and noted.
    """
    declared = []
    for one in inside:
        with storage.read() as tx:
            if not _differs(plugins.find(tx, by, one.manifest.id), one.manifest):
                continue
        entry_id = ids.next()
        try:
            with storage.write() as tx:
                storage.serialise(tx, "extensions")  # another node may start, too
                if not _declare(tx, by, one.manifest):
                    continue
                audits.record(tx, entry_id, by, "plugins.declare", one.manifest.id)
                generations.advance(tx)
        except Conflict as error:
            found.note(one.extension, FaultKind.TAKEN, error)
            continue
        declared.append(one.manifest.id)
    return declared


def _differs(known: Registered | None, manifest: Manifest) -> bool:
    return known is None or known.source is not Source.EXTENSION or known.manifest != manifest


def _declare(tx: Connection, by: Principal, manifest: Manifest) -> bool:
    """Register a plugin; False when there is nothing to do any more. Raises `Conflict`."""
    known = plugins.find(tx, by, manifest.id, locked=True)
    if not _differs(known, manifest):
        return False
    if known is not None and known.source is not Source.EXTENSION:
        raise Conflict("plugin_elsewhere", id=manifest.id)
    if known is None:
        new = Registered(
            id=manifest.id, state=State.ENABLED, source=Source.EXTENSION, directory="", manifest=manifest,
            approved_by=by.name, approved_ms=now_ms(),
        )  # fmt: skip
        plugins.add(tx, by, new)
    else:
        plugins.replace(tx, by, replace(known, manifest=manifest))
    hooks.declare(tx, by, manifest.id, manifest.hooks)
    return True
