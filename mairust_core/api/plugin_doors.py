"""The doors for plugins: what they say later, what they tell of themselves, and the key they know us by.

They come with tokens of their own (rule G3), never with API keys; so these are no operations.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mairust_core import wire
from mairust_core.api.authentication import bearer_of
from mairust_core.api.edge import Edge
from mairust_core.api.idempotency import HEADER
from mairust_core.api.paths import second_decoding
from mairust_core.api.routes import PREFIX
from mairust_core.errors import Usage

if TYPE_CHECKING:
    from mairust_core.app import Site

CALLBACK = f"{PREFIX}/plugin/callback/{{delivery_id}}"
METRICS = f"{PREFIX}/plugin/metrics"
KEYS = f"{PREFIX}/plugin/jwks.json"
KEYS_GOOD_S = 300


def door_routes(site: Site, edge: Edge) -> list[Route]:
    """`plugin/callback/ID` and `plugin/metrics`, with a plugin's token, and the public `jwks.json`."""

    async def callback(request: Request) -> Response:
        _refuse_key(request, "plugin.callback")
        token = bearer_of(request.scope)  # type: ignore[arg-type]  # Starlette calls its dict a MutableMapping
        delivery_id = second_decoding(request.path_params["delivery_id"])
        body = await edge.body_of(request)
        return _json(await edge.take(request, partial(site.callbacks.take, token, delivery_id, body)))

    async def metrics(request: Request) -> Response:
        _refuse_key(request, "plugin.metrics")
        token = bearer_of(request.scope)  # type: ignore[arg-type]  # as above
        body = await edge.body_of(request)
        return _json(await edge.take(request, partial(site.callbacks.tell, token, body)))

    async def keys(request: Request) -> Response:
        key = await edge.take(request, site.plugin_key.find)
        found = {"keys": [] if key is None else [key.jwk()]}
        good_s = 0 if key is None else KEYS_GOOD_S
        return Response(
            wire.dumps(found),
            headers={"cache-control": f"public, max-age={good_s}"},
            media_type="application/json",
        )

    return [
        Route(path, edge.guarded(path, serve), methods=[method])
        for path, serve, method in (
            (CALLBACK, callback, "POST"),
            (METRICS, metrics, "POST"),
            (KEYS, keys, "GET"),
        )
    ]


def _refuse_key(request: Request, name: str) -> None:
    """Raise `Usage` for an `Idempotency-Key`, which would mean nothing here."""
    if HEADER in request.headers:
        raise Usage("idempotency_unheeded", operation=name)


def _json(value: object) -> Response:
    return Response(wire.dumps(value), media_type="application/json")
