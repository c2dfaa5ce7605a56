"""How plugins are that say where to ask: looked at every minute, by one process of the site at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from mairust_core.hooks.sayings import cleaned
from mairust_core.hooks.transport import CallFailed
from mairust_core.ids import IdSource, now_ms
from mairust_core.model.plugin import Runnable
from mairust_core.model.plugin_life import HealthState, LogOrigin
from mairust_core.model.principal import DEFAULT_TENANT
from mairust_core.plugins.book import as_runnable
from mairust_core.store import StorageBackend, plugin_health, plugin_logs, plugins
from mairust_core.store.plugin_health import Checked

if TYPE_CHECKING:
    from sqlalchemy import Connection

AT_ONCE = 8
"""Plugins that are asked beside each other."""

Ask = Callable[[Runnable], Awaitable[None]]
"""Returns when a plugin is well; raises `CallFailed`."""


def check_all(
    storage: StorageBackend, ids: IdSource, ask: Ask, confirm: Callable[[Connection], None]
) -> list[Checked]:
    """Ask every enabled plugin that names a `health_endpoint`, and write down what was found.

    `confirm` makes sure, in the transaction that writes, that this process still is the one that does it.
    """
    with storage.read() as tx:
        found = [as_runnable(one) for one in plugins.enabled(tx)]
    asked = [one for one in found if one.entry.health_endpoint]
    checked = asyncio.run(_checked(asked, ask))
    with storage.write() as tx:
        confirm(tx)
        changed = plugin_health.record(tx, checked, now_ms())
        plugin_health.forget_others(tx, [one.plugin for one in checked])
        _tell(storage, tx, ids, changed)
    return checked


async def _checked(asked: Sequence[Runnable], ask: Ask) -> list[Checked]:
    free = asyncio.Semaphore(AT_ONCE)

    async def check(plugin: Runnable) -> Checked:
        async with free:
            began = time.perf_counter()
            state, detail = HealthState.WELL, ""
            try:
                await ask(plugin)
            except CallFailed as error:
                state, detail = HealthState.UNWELL, cleaned(str(error))
            took_us = round((time.perf_counter() - began) * 1_000_000)
            return Checked(plugin=plugin.id, state=state, took_us=took_us, detail=detail)

    return await asyncio.gather(*(check(one) for one in asked))


def _tell(storage: StorageBackend, tx: Connection, ids: IdSource, changed: Sequence[Checked]) -> None:
    """A line in the log of each plugin whose health changed."""
    rows = [
        (
            ids.next(), DEFAULT_TENANT, now_ms(), one.plugin, "", LogOrigin.HEALTH.value,
            f"it is {one.state}" + (f": {one.detail}" if one.detail else ""),
        )
        for one in changed
    ]  # fmt: skip
    if rows:
        plugin_logs.record(storage, tx, rows, {one.plugin for one in changed})
