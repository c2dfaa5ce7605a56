"""Numbers for a monitor, in the text format of Prometheus: what its alerts need, also on the bad day.

Whoever asks this machine from itself needs no key; from elsewhere one that may `read` and reaches the whole
site (rule G4). What the database does not tell now is left out.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mairust_core import __version__
from mairust_core.api.edge import Edge
from mairust_core.api.health import Readiness
from mairust_core.api.looks import Look
from mairust_core.api.plugin_metrics import of_plugins
from mairust_core.api.site_metrics import of_database, of_disks
from mairust_core.errors import MaiRustError
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.networks import is_loopback
from mairust_core.observe.series import MEDIA_TYPE, Family, counted, gauge, text

if TYPE_CHECKING:
    from mairust_core.app import Site

PATH = "/metrics"
_OF_A_PROXY = frozenset({"forwarded", "via", "x-real-ip"})
"""And whatever begins with X-Forwarded."""

log = logging.getLogger("mairust.http")


def metrics_route(site: Site, edge: Edge, readiness: Readiness) -> Route:
    """`/metrics`."""
    rows, disks = Look(partial(_rows, site)), Look(partial(of_disks, site))

    async def serve(request: Request) -> Response:
        if not _is_here(request):
            with edge.place():
                await edge.admit(request, Scope.READ, ReachKind.SITE)
        ready, room, told = await asyncio.gather(readiness.now(), seen(disks), seen(rows))
        node, sums = _node(site, ready), site.counters.all.sums()
        return Response(text([*node, *counted(sums), *room, *told]), media_type=MEDIA_TYPE)

    return Route(PATH, edge.answered(PATH, serve))


def _is_here(request: Request) -> bool:
    """Whether it comes from this machine and is for it, with nobody between who could speak for others."""
    if request.client is None or not is_loopback(request.client.host):
        return False
    if any(name in _OF_A_PROXY or name.startswith("x-forwarded") for name in request.headers):
        return False
    own, _ = request.scope["server"]
    return all(_is_name_here(host, own) for host in request.headers.getlist("host"))


def _is_name_here(host: str, own: str) -> bool:
    """Whether a Host, with or without a port, is this machine for who speaks to `own` on it."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name in ("localhost", own) or is_loopback(name)


async def seen(look: Look[list[Family]]) -> list[Family]:
    """What a look finds; nothing where it fails or takes too long."""
    try:
        return await look.now()
    except (MaiRustError, TimeoutError) as error:
        log.warning("numbers are left out: %s", str(error) or "what they are read from does not answer")
        return []


def _rows(site: Site) -> list[Family]:
    with site.storage.read() as tx:
        return [*of_database(site, tx), *of_plugins(tx)]


def _node(site: Site, ready: bool) -> list[Family]:
    labels = {"version": __version__, "database": site.storage.name}
    return [
        Family("mairust_info", "gauge", "Which version runs, on which database.", [(labels, 1)]),
        gauge("mairust_ready", "1 when this node would take mail now.", int(ready)),
    ]
