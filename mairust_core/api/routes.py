"""Which operation a request is for, from the same declarations that the OpenAPI document is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from mairust_core.api.paths import route_path
from mairust_core.operations import Operation, Service

PREFIX = "/api/v1"
"""Of everything declared with `since=1`; what is new since 2 is under /api/v2 (R-API-3)."""

Handler = Callable[[Request], Awaitable[Response]]


class OperationRoute(Route):
    """The route of one operation; `others` are paths that it does not take, though they look like its own."""

    def __init__(self, op: Operation, handler: Handler, others: frozenset[str]) -> None:
        super().__init__(prefix(op) + route_path(op.path), handler, methods=[op.method], name=op.id)
        self._others = others

    def matches(self, scope: MutableMapping[str, Any]) -> tuple[Match, MutableMapping[str, Any]]:
        """As Starlette; what is another path as it stands is no parameter of this one."""
        return (Match.NONE, {}) if scope["path"] in self._others else super().matches(scope)


def operation_routes(
    services: Iterable[type[Service]], handler: Callable[[type[Service], Operation], Handler]
) -> list[OperationRoute]:
    """A route for every operation."""
    found = in_order(services)
    plain = frozenset(prefix(op) + op.path for _, op in found if not op.path_params)
    return [
        OperationRoute(op, handler(kind, op), plain if op.path_params else frozenset()) for kind, op in found
    ]


def in_order(services: Iterable[type[Service]]) -> list[tuple[type[Service], Operation]]:
    """Every operation with its service, those with more to say about the path first."""
    found = [(kind, op) for kind in services for op in kind.operations.values()]
    return sorted(found, key=lambda pair: _rank(pair[1]))


def _rank(op: Operation) -> tuple[bool, int]:
    return op.path.endswith("}"), -op.path.count("/")


def prefix(op: Operation) -> str:
    """Where the operations of its version are."""
    return f"/api/v{op.since}"
