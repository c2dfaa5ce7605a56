"""Numbers for a monitor, in the text format of Prometheus (version 0.0.4): plugins and their calls.

Whoever asks from this machine needs no key; from elsewhere one that may `read` and reaches the whole site
(rule G4).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from mairust_core import store
from mairust_core.api.edge import Edge
from mairust_core.ids import now_ms
from mairust_core.model.plugin_life import HealthState
from mairust_core.model.principal import Principal, ReachKind, Scope
from mairust_core.networks import is_loopback

if TYPE_CHECKING:
    from mairust_core.app import Site

PATH = "/metrics"
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MAX_PLUGINS = 500
_ANYBODY = Principal.local("metrics")

Samples = Sequence[tuple[str, float]]
"""A plugin's id and its number."""


def add_metrics(app: FastAPI, site: Site, edge: Edge) -> None:
    """Add `/metrics`."""

    async def serve(request: Request) -> Response:
        if not _is_here(request):
            await edge.admit(request, Scope.READ, ReachKind.SITE)
        text = await edge.take(request, partial(metrics, site))
        return Response(text, media_type=MEDIA_TYPE)

    app.add_route(PATH, edge.guarded(PATH, serve), methods=["GET"], include_in_schema=False)


def _is_here(request: Request) -> bool:
    """Whether it comes from this machine, without anybody between who could speak for others."""
    forwarded = "x-forwarded-for" in request.headers or "forwarded" in request.headers
    return request.client is not None and is_loopback(request.client.host) and not forwarded


def metrics(site: Site) -> str:
    """All numbers as text; a fixed number of statements, however many plugins there are."""
    at_ms = now_ms()
    with site.storage.read() as tx:
        ids = [one.id for one in store.plugins.page(tx, _ANYBODY, "", MAX_PLUGINS)]
        usage = store.plugin_usage.of(tx, _ANYBODY, ids, at_ms)
        health = store.plugin_health.of(tx, _ANYBODY, ids)
        workers = store.plugin_health.workers_of(tx, _ANYBODY, ids, at_ms)
    lines: list[str] = []
    total = {one: usage[one].total for one in ids}
    for name, kind, help_, samples in (
        ("calls", "counter", "Calls of the plugin.", [(one, total[one].calls) for one in ids]),
        ("call_failures", "counter", "Calls without a usable answer, those too late included.",
         [(one, total[one].failures) for one in ids]),
        ("call_timeouts", "counter", "Calls that were not answered in time.",
         [(one, total[one].timeouts) for one in ids]),
        ("calls_skipped", "counter", "Calls that were not made.", [(one, total[one].skipped) for one in ids]),
        ("call_seconds", "counter", "Time that calls took.",
         [(one, total[one].wall_ms / 1000) for one in ids]),
        ("cpu_seconds", "counter", "Processor time of local plugins.",
         [(one, total[one].cpu_ms / 1000) for one in ids]),
        ("tokens_refused", "counter", "Uses of the plugin's tokens that were refused.",
         [(one, total[one].tokens_refused) for one in ids]),
        ("peak_memory_bytes", "gauge", "The most memory that one process of a local plugin used.",
         [(one, round(total[one].peak_memory_mb * (1 << 20))) for one in ids]),
        ("workers", "gauge", "Processes of local plugins.",
         [(one, found.alive) for one, found in sorted(workers.items())]),
        ("well", "gauge", "1 when the plugin said so at the last check of its health.",
         [(one, int(found.state is HealthState.WELL)) for one, found in sorted(health.items())]),
    ):  # fmt: skip
        lines += _family(name, kind, help_, samples)
    return "".join(f"{line}\n" for line in lines)


def _family(name: str, kind: str, help_: str, samples: Samples) -> Iterator[str]:
    """One metric of plugins; ids of plugins need no escaping."""
    full = f"mairust_plugin_{name}" + ("_total" if kind == "counter" else "")
    yield f"# HELP {full} {help_}"
    yield f"# TYPE {full} {kind}"
    for plugin, value in samples:
        yield f'{full}{{plugin="{plugin}"}} {value}'
