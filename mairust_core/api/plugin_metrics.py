"""The numbers of plugins and their calls, for a monitor."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Connection

from mairust_core import store
from mairust_core.ids import now_ms
from mairust_core.model.plugin_life import HealthState
from mairust_core.model.principal import Principal
from mairust_core.observe.series import Family

MAX_PLUGINS = 500
_ANYBODY = Principal.local("metrics")


def of_plugins(tx: Connection) -> list[Family]:
    """All of them; a fixed number of statements, however many plugins there are."""
    at_ms = now_ms()
    ids = [one.id for one in store.plugins.page(tx, _ANYBODY, "", MAX_PLUGINS)]
    usage = store.plugin_usage.of(tx, _ANYBODY, ids, at_ms)
    health = store.plugin_health.of(tx, _ANYBODY, ids)
    workers = store.plugin_health.workers_of(tx, _ANYBODY, ids, at_ms)
    total = {one: usage[one].total for one in ids}
    return [
        _family("calls", "counter", "Calls of the plugin.", {one: total[one].calls for one in ids}),
        _family("call_failures", "counter", "Calls without a usable answer, those too late included.",
                {one: total[one].failures for one in ids}),
        _family("call_timeouts", "counter", "Calls that were not answered in time.",
                {one: total[one].timeouts for one in ids}),
        _family("calls_skipped", "counter", "Calls that were not made.",
                {one: total[one].skipped for one in ids}),
        _family("call_seconds", "counter", "Time that calls took.",
                {one: total[one].wall_ms / 1000 for one in ids}),
        _family("cpu_seconds", "counter", "Processor time of local plugins.",
                {one: total[one].cpu_ms / 1000 for one in ids}),
        _family("tokens_refused", "counter", "Uses of the plugin's tokens that were refused.",
                {one: total[one].tokens_refused for one in ids}),
        _family("peak_memory_bytes", "gauge", "The most memory that one process of a local plugin used.",
                {one: round(total[one].peak_memory_mb * (1 << 20)) for one in ids}),
        _family("workers", "gauge", "Processes of local plugins.",
                {one: found.alive for one, found in sorted(workers.items())}),
        _family("well", "gauge", "1 when the plugin said so at the last check of its health.",
                {one: int(found.state is HealthState.WELL) for one, found in sorted(health.items())}),
    ]  # fmt: skip


def _family(name: str, kind: Literal["counter", "gauge"], help_: str, numbers: dict[str, float]) -> Family:
    full = f"mairust_plugin_{name}" + ("_total" if kind == "counter" else "")
    return Family(full, kind, help_, [({"plugin": plugin}, value) for plugin, value in numbers.items()])
