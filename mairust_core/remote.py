"""The same operations on another machine: a proxy per service, made from the same declarations.

    server = Server("https://mx.example.org", token="mk_…")
    remote(Domains, server).add(NewDomain(name="example.org"))

A call sends the HTTP request that its declaration describes and returns, or raises, what the local call
would. Nothing here, nor what it imports, brings a database or a web framework with it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import quote
from uuid import uuid4

from mairust_core import wire
from mairust_core.errors import Invalid
from mairust_core.i18n import explain
from mairust_core.items import MEDIA_TYPE, read_items, write_items
from mairust_core.operations import (
    BytesIn,
    BytesOut,
    ItemsIn,
    ItemsOut,
    Operation,
    Service,
    items_of,
    require_text,
)
from mairust_core.remote_http import Sent, Server

if TYPE_CHECKING:
    from collections.abc import Mapping


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
        if kind := items_of(self.op.returns):
            return ItemsOut(items=read_items(self.server.stream(sent), kind))
        return self._decode(self.server.exchange(sent))

    def _request(self, given: Mapping[str, Any]) -> Sent:
        path = self.op.path
        for name in self.op.path_params:
            path = path.replace(f"{{{name}:path}}", f"{{{name}}}").replace(
                f"{{{name}}}", _segment(given[name])
            )
        query = {p.name: _query_value(given[p.name]) for p in self.op.query if given.get(p.name) is not None}
        sent = Sent(
            method=self.op.method,
            path=f"/api/v{self.op.since}{path}",
            query=query,
            media_type="application/json",
            idempotency_key=uuid4().hex if self.op.heeds_key else None,
        )
        body = given[self.op.body] if self.op.body else None
        if isinstance(body, ItemsIn):
            body, media_type = BytesIn(chunks=write_items(body.items)), MEDIA_TYPE
        else:
            media_type = self.op.accepts[0]
        if isinstance(body, BytesIn):
            return replace(sent, upload=body, media_type=media_type)
        return sent if body is None else replace(sent, json=wire.dumps(body))

    def _decode(self, body: bytes) -> Any:
        try:
            return wire.decode(self.op.answers, body)
        except Invalid as error:
            what, _ = explain(error)
            raise self.server.not_mairust(f"in the answer of {self.op.id}, {what.rstrip('.')}") from error


def _segment(value: object) -> str:
    """A path parameter, escaped so that no slash, dot or per cent in it means anything (RFC 3986 §2.4)."""
    text = quote(str(value), safe="@:!$'()*,;=~")
    return text.replace(".", "%2E") if not text.strip(".") else text


def _query_value(value: object) -> str | list[str]:
    """A parameter as it is written; several values are the parameter several times."""
    if isinstance(value, tuple):
        return [_query_text(item) for item in value]
    return _query_text(value)


def _query_text(value: object) -> str:
    if isinstance(value, datetime):  # without a zone it is sent as it is, and refused there as it is here
        return wire.encode_time(value) if value.tzinfo else value.isoformat()
    return str(value).lower() if isinstance(value, bool) else str(value)
