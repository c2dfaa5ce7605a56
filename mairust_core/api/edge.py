"""One operation over HTTP: who asks, what was sent, the call on a thread, the answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from mairust_core import wire
from mairust_core.api.answers import answer, encoded, replayable
from mairust_core.api.authentication import Authentication, Doorkeeper, key_of
from mairust_core.api.bodies import Spool, announced_bytes, pieces, read_json, read_unasked, require_type
from mairust_core.api.conditions import Condition, tags_of
from mairust_core.api.deprecation import headers_of
from mairust_core.api.idempotency import Once, receipt_of
from mairust_core.api.idempotency import key_of as key_of_repeatable
from mairust_core.api.paths import query_values, second_decoding
from mairust_core.api.problems import Fault, problem
from mairust_core.api.rates import Rates
from mairust_core.errors import Invalid, MaiRustError, TooLarge, TooMany, Usage
from mairust_core.items import MEDIA_TYPE as ITEMS_TYPE
from mairust_core.items import read_items
from mairust_core.model.forms import Nothing
from mairust_core.networks import counted
from mairust_core.operations import BytesIn, ItemsIn, Operation, Service, items_of
from mairust_core.operations.calling import call_encoded
from mairust_core.shortage import Threads, shortage

if TYPE_CHECKING:
    from mairust_core.app import Site
    from mairust_core.config.settings import Http
    from mairust_core.model.principal import Principal, ReachKind, Scope

MAIL_TYPES = ("message/rfc822", "message/global")
MORE_BYTES = 64 << 20
"""What a body of another type may be larger than a message: it holds some, and what is said of them."""
MAX_BATCH_BYTES = 64 << 20
"""Of a body of items; one message of the largest size allowed always fits."""
MAX_BATCH_ITEMS = 10_000

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]

log = logging.getLogger("mairust.http")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one process takes on at a time; beyond it 429."""

    threads: int = 32
    """Operations that run at the same time; an append holds its thread through a commit."""
    short_threads: int = 4
    """Of hot lists, which wait for these in turn: many threads after one interpreter make some late."""
    requests: int = 256
    uploads: int = 64
    """Of the requests, those with a message: each may hold 1 MiB of memory."""
    body_idle_s: float = 60.0
    """How long a body may stand still."""


class Edge:
    """What all routes of a site share: its threads, its keys, its limits."""

    def __init__(self, site: Site, authentication: Authentication, bounds: Bounds) -> None:
        self._site = site
        self._doorkeeper = Doorkeeper(authentication, self._run)
        self._threads = Threads(bounds.threads, "mairust-http")
        self._short = Threads(bounds.short_threads, "mairust-http-short")
        self._requests = _Slots(bounds.requests)
        self._uploads = _Slots(bounds.uploads)
        self._idle_s = bounds.body_idle_s
        self._limits = _Limits(site.settings.http)

    def handler(self, kind: type[Service], op: Operation) -> Handler:
        """The HTTP handler of one operation; it answers every error itself, as a problem."""

        going = headers_of(op)
        answered = self.guarded(op.id, partial(self._serve, kind, op))

        async def handle(request: Request) -> Response:
            request.scope["mairust.operation"] = op
            response = await answered(request)
            response.headers.update(going)
            return response

        return handle

    def guarded(self, name: str, serve: Handler) -> Handler:
        """The handler within the limits of this process; whatever `serve` raises is a problem."""

        async def placed(request: Request) -> Response:
            with self.place():
                return await serve(request)

        return self.answered(name, placed)

    def place(self) -> AbstractContextManager[None]:
        """One of the places for requests, for a block; raises `TooMany`."""
        return self._requests.one()

    def answered(self, name: str, serve: Handler) -> Handler:
        """The handler, also when every place is taken; whatever `serve` raises is a problem."""

        async def answered(request: Request) -> Response:
            try:
                return await serve(request)
            except (MaiRustError, Fault) as error:
                return problem(request, error)
            except ClientDisconnect:
                log.info("%s the client went away", request.scope["mairust.request_id"])
                return Response(status_code=499)  # nobody reads it; it is for the line in the log
            except Exception as error:
                if lacking := shortage(error):
                    return problem(request, lacking)
                request_id = request.scope["mairust.request_id"]
                log.exception("%s %s failed", request_id, name)
                return problem(request, MaiRustError("unexpected", request_id=request_id))

        return answered

    async def take(self, request: Request, call: Callable[[], T]) -> T:
        """The outcome of a call on a thread, counted for the address that asked for it."""
        self._limits.take_from(request.client.host if request.client else None)
        return await self._run(call)

    async def admit(self, request: Request, scope: Scope, reach: ReachKind) -> None:
        """Let a request of no operation in: count it, find out who asks, and refuse those who may not.

        Raises `TooMany`, `Unauthenticated`, `Forbidden`.
        """
        ip = request.client.host if request.client else None
        self._limits.take_from(ip)
        by = await self._principal(request, ip)
        self._limits.take_for(by)
        by.require(scope, reach)

    async def body_of(self, request: Request) -> bytes:
        """The whole JSON body of a request that is no operation's."""
        return await read_json(request, self._idle_s)

    async def close(self) -> None:
        """Wait for the calls under way and end the threads."""
        await asyncio.to_thread(self._threads.shutdown)
        await asyncio.to_thread(self._short.shutdown)

    async def _serve(self, kind: type[Service], op: Operation, request: Request) -> Response:
        ip = request.client.host if request.client else None
        self._limits.take_from(ip)
        by = await self._principal(request, ip)
        self._limits.take_for(by)
        by.require(op.scope, op.reach)  # before a body is taken in; the operation asks again
        key = key_of_repeatable(op, request)
        async with self._arguments(op, request, key is not None) as given:
            service = self._site.service(kind, by)
            if op.encoded:
                call = partial(call_encoded, op, service, given.args, given.options)
                return await encoded(request, op, call, self._run_short)
            if key is None:
                call = partial(getattr(service, op.name), *given.args, **given.options)
                if (tags := tags_of(op, request)) is not None:
                    call = partial(Condition(self._site, service, op, tags, given.args).run, call)
                return await answer(request, op, call, self._run)
            once = Once(self._site, service, op, receipt_of(request, by, key, given.body_hash))
            run = partial(once.run, lambda service: getattr(service, op.name)(*given.args, **given.options))
            return replayable(op, *await self._run(run))

    async def _principal(self, request: Request, ip: str | None) -> Principal:
        key = key_of(request.scope)  # type: ignore[arg-type]  # Starlette calls its dict a MutableMapping
        by = await self._doorkeeper.principal(key, ip)
        request.scope["mairust.by"] = by
        return by

    @asynccontextmanager
    async def _arguments(self, op: Operation, request: Request, hashed: bool) -> AsyncIterator[_Given]:
        args = [
            wire.decode_text(op.types[name], name, second_decoding(request.path_params[name]))
            for name in op.path_params
        ]
        options = _options(op, request)
        if op.body is None:
            wire.decode_request(Nothing, await read_unasked(request, self._idle_s))
            yield _Given(args=args, options=options)
        elif op.body_type is BytesIn:
            types, limit_bytes = self._taken(op)
            async with self._uploaded(request, types, limit_bytes, hashed) as (content, body_hash):
                yield _Given(args=[*args, content], options=options, body_hash=body_hash)
        elif kind := items_of(op.body_type):
            limit_bytes = max(MAX_BATCH_BYTES, self._site.settings.smtp.max_size + (1 << 20))
            async with self._uploaded(request, (ITEMS_TYPE,), limit_bytes, hashed) as (content, body_hash):
                items = ItemsIn(items=read_items(content.chunks, kind, limit=MAX_BATCH_ITEMS))
                yield _Given(args=[*args, items], options=options, body_hash=body_hash)
        else:
            body = await read_json(request, self._idle_s)
            args.append(wire.decode_request(op.body_type, body))
            yield _Given(args=args, options=options, body_hash=sha256(body).digest() if hashed else b"")

    def _taken(self, op: Operation) -> tuple[tuple[str, ...], int]:
        """The media types that a body of bytes may have, and how large it may be."""
        if op.accepts[0] in MAIL_TYPES:
            return MAIL_TYPES, self._site.settings.smtp.max_size
        return op.accepts, self._site.settings.smtp.max_size + MORE_BYTES

    @asynccontextmanager
    async def _uploaded(
        self, request: Request, types: tuple[str, ...], limit_bytes: int, hashed: bool
    ) -> AsyncIterator[tuple[BytesIn, bytes]]:
        """The body of a request, complete, and its hash: memory up to 1 MiB, then a file without a name."""
        require_type(request, types)
        too_large = TooLarge("message" if types is MAIL_TYPES else "body", limit=limit_bytes)
        if (announced_bytes(request) or 0) > limit_bytes:
            raise too_large
        with self._uploads.one(), Spool(self._site.settings.data_dir, limit_bytes, too_large) as spool:
            digest = sha256()
            body = pieces(request, self._idle_s)
            await spool.fill(_hashing(body, digest) if hashed else body, self._run)
            yield spool.content(), digest.digest()

    async def _run_short(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._short, call)

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """What a request gives its operation; the hash is that of its body, where one is needed."""

    args: list[Any]
    options: dict[str, Any]
    body_hash: bytes = b""


async def _hashing(body: AsyncIterator[bytes], digest: Any) -> AsyncIterator[bytes]:
    async for piece in body:
        digest.update(piece)
        yield piece


class _Limits:
    """How many requests one address and one key may make."""

    def __init__(self, http: Http) -> None:
        self._trusted = http.trusted_networks
        self._addresses = Rates(http.address_requests_per_minute)
        self._keys = Rates(http.key_requests_per_minute)

    def take_from(self, ip: str | None) -> None:
        """Count a request of an address; raises `TooMany` (rule J2 says whose are not counted)."""
        address = counted(ip, self._trusted)
        if address is not None:
            self._addresses.take(address)

    def take_for(self, by: Principal) -> None:
        """Count a request of a key; raises `TooMany`."""
        self._keys.take(by.name)


class _Slots:
    """A number of places, for one event loop; who finds none is sent away, nobody waits."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0

    def one(self) -> _Slots:
        if self._taken >= self._limit:
            raise TooMany("requests", limit=self._limit)
        return self

    def __enter__(self) -> None:
        self._taken += 1

    def __exit__(self, *_: object) -> None:
        self._taken -= 1


def _options(op: Operation, request: Request) -> dict[str, Any]:
    known = {param.name for param in op.query}
    given = query_values(request.scope["query_string"])
    for name in given:
        if name not in known:
            raise Invalid(name, "unknown_parameter")
    for param in op.query:
        if param.default is param.empty and param.name not in given:
            raise Invalid(param.name, "missing")
    return {name: _option(op.types[name], name, texts) for name, texts in given.items()}


def _option(kind: Any, name: str, texts: list[str]) -> Any:
    if kind == tuple[str, ...]:
        return tuple(texts)
    if len(texts) > 1:
        raise Usage("query", why="a parameter is there twice")
    return wire.decode_text(kind, name, texts[0])
