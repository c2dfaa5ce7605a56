"""One operation over HTTP: who asks, what was sent, the call on a thread, the answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from mairust_core import wire
from mairust_core.api.answers import answer
from mairust_core.api.authentication import Authentication, key_of
from mairust_core.api.bodies import Spool, announced_bytes, pieces, read_json, require_type
from mairust_core.api.paths import query_values, second_decoding
from mairust_core.api.problems import Fault, problem
from mairust_core.errors import Invalid, MaiRustError, TooLarge, TooMany
from mairust_core.operations import BytesIn, Operation, Service

if TYPE_CHECKING:
    from mairust_core.app import Site
    from mairust_core.model.principal import Principal

MAIL_TYPES = ("message/rfc822", "message/global")
MORE_BYTES = 64 << 20
"""What a body of another type may be larger than a message: it holds some, and what is said of them."""

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]

log = logging.getLogger("mairust.http")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one process takes on at a time; beyond it 429."""

    threads: int = 32
    """Operations that run at the same time; an append holds its thread through a commit."""
    requests: int = 256
    uploads: int = 64
    """Of the requests, those with a message: each may hold 1 MiB of memory."""
    body_idle_s: float = 60.0
    """How long a body may stand still."""


class Edge:
    """What all routes of a site share: its threads, its keys, its limits."""

    def __init__(self, site: Site, authentication: Authentication, bounds: Bounds) -> None:
        self._site = site
        self._authentication = authentication
        self._threads = ThreadPoolExecutor(bounds.threads, thread_name_prefix="mairust-http")
        self._requests = _Slots(bounds.requests)
        self._uploads = _Slots(bounds.uploads)
        self._idle_s = bounds.body_idle_s

    def handler(self, kind: type[Service], op: Operation) -> Handler:
        """The HTTP handler of one operation; it answers every error itself, as a problem."""

        async def handle(request: Request) -> Response:
            try:
                with self._requests.one():
                    return await self._serve(kind, op, request)
            except (MaiRustError, Fault) as error:
                return problem(request, error)
            except ClientDisconnect:
                log.info("%s the client went away", request.scope["mairust.request_id"])
                return Response(status_code=499)  # nobody reads it; it is for the line in the log
            except Exception:
                request_id = request.scope["mairust.request_id"]
                log.exception("%s %s failed", request_id, op.id)
                return problem(request, MaiRustError("unexpected", request_id=request_id))

        return handle

    async def close(self) -> None:
        """Wait for the calls under way and end the threads."""
        await asyncio.to_thread(self._threads.shutdown)

    async def _serve(self, kind: type[Service], op: Operation, request: Request) -> Response:
        by = await self._principal(request)
        by.require(op.scope, op.reach)  # before a body is taken in; the operation asks again
        async with self._arguments(op, request) as (args, options):
            service = self._site.service(kind, by)
            call = partial(getattr(service, op.name), *args, **options)
            return await answer(op, call, self._run)

    async def _principal(self, request: Request) -> Principal:
        key = key_of(request.scope)  # type: ignore[arg-type]  # Starlette calls its dict a MutableMapping
        by = self._authentication.remembered(key)
        if by is None:
            by = await self._run(partial(self._authentication.check, key))
        request.scope["mairust.by"] = by
        return by

    @asynccontextmanager
    async def _arguments(
        self, op: Operation, request: Request
    ) -> AsyncIterator[tuple[list[Any], dict[str, Any]]]:
        args = [
            wire.decode_text(op.types[name], name, second_decoding(request.path_params[name]))
            for name in op.path_params
        ]
        options = _options(op, request)
        if op.body is None:
            yield args, options
        elif op.body_type is BytesIn:
            async with self._uploaded(op, request) as content:
                yield [*args, content], options
        else:
            body = await read_json(request, self._idle_s)
            yield [*args, wire.decode_request(op.body_type, body)], options

    @asynccontextmanager
    async def _uploaded(self, op: Operation, request: Request) -> AsyncIterator[BytesIn]:
        """The body of a request, complete: memory up to 1 MiB, then a file without a name."""
        is_mail = op.accepts in MAIL_TYPES
        require_type(request, MAIL_TYPES if is_mail else (op.accepts,))
        limit_bytes = self._site.settings.smtp.max_size + (0 if is_mail else MORE_BYTES)
        too_large = TooLarge("message" if is_mail else "body", limit=limit_bytes)
        if (announced_bytes(request) or 0) > limit_bytes:
            raise too_large
        with self._uploads.one(), Spool(self._site.settings.data_dir, limit_bytes, too_large) as spool:
            await spool.fill(pieces(request, self._idle_s), self._run)
            yield spool.content()

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


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
            raise Invalid(name, "this parameter is not known here")
    return {name: wire.decode_text(op.types[name], name, text) for name, text in given.items()}
