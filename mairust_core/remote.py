"""The same operations on another machine: a proxy per service, made from the same declarations.

    server = Server("https://mx.example.org", token="mk_…")
    remote(Domains, server).add(NewDomain(name="example.org"))

A call sends the HTTP request that its declaration describes and returns, or raises, what the local call
would. Nothing here, nor what it imports, brings a database or a web framework with it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import quote

from mairust_core import wire
from mairust_core.errors import Invalid
from mairust_core.operations import BytesIn, BytesOut, Operation, Service, require_text
from mairust_core.remote_http import Sent, Server

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "/api/v1"

S = TypeVar("S", bound=Service)

__all__ = ["Server", "remote"]


def remote(cls: type[S], server: Server) -> S:
    """The operations of a service, done by a server; other attributes do not exist there.

    Every call may raise `Unreachable`, or `IncompleteStream` when bytes do not come whole.
    """
    return cast(S, _Proxy(cls, server))


class _Proxy:
    def __init__(self, cls: type[Service], server: Server) -> None:
        self._calls = {
            name: _Call(op=op, signature=inspect.signature(getattr(cls, name)), server=server)
            for name, op in cls.operations.items()
        }
        self._name = cls.__name__

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name in (calls := self.__dict__.get("_calls", {})):
            return cast(Callable[..., Any], calls[name])
        raise AttributeError(f"{self.__dict__.get('_name')} has no operation {name!r} on a server")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One operation as a request."""

    op: Operation
    signature: inspect.Signature
    server: Server

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = self.signature.bind(None, *args, **kwargs).arguments
        given.pop("self")
        require_text(given.items())
        sent = self._request(given)
        if self.op.returns is BytesOut:
            return self.server.download(sent)
        return self._decode(self.server.exchange(sent))

    def _request(self, given: Mapping[str, Any]) -> Sent:
        path = self.op.path
        for name in self.op.path_params:
            path = path.replace(f"{{{name}:path}}", f"{{{name}}}").replace(
                f"{{{name}}}", _segment(given[name])
            )
        query = {p.name: _query_text(given[p.name]) for p in self.op.query if p.name in given}
        body = given[self.op.body] if self.op.body else None
        if isinstance(body, BytesIn):
            return Sent(
                method=self.op.method,
                path=PREFIX + path,
                query=query,
                upload=body,
                media_type=self.op.accepts,
            )
        json = None if body is None else wire.dumps(body)
        return Sent(
            method=self.op.method, path=PREFIX + path, query=query, json=json, media_type="application/json"
        )

    def _decode(self, body: bytes) -> Any:
        try:
            return wire.decode(self.op.returns, body)
        except Invalid as error:
            why = f"in the answer of {self.op.id}, {error.values['field']}: {error.values['why']}"
            raise self.server.not_mairust(why) from error


def _segment(value: object) -> str:
    """A path parameter, escaped so that no slash, dot or per cent in it means anything (RFC 3986 §2.4)."""
    text = quote(str(value), safe="@:!$'()*,;=~")
    return text.replace(".", "%2E") if not text.strip(".") else text


def _query_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
