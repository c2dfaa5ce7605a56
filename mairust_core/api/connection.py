"""One HTTP connection with limits: uvicorn's protocol, guarded against clients that never finish.

A client gets so long and so many bytes for the head of a request, and so long to read an answer; the
body of a request has its time in `bodies`, the pause between requests is uvicorn's keep-alive.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mairust_core.api.problems import MEDIA_TYPE, describe
from mairust_core.errors import MaiRustError, TooLarge, TooMany, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """What one process grants its HTTP clients."""

    max_connections: int = 1000
    head_bytes: int = 1 << 16
    """Request line and header fields."""
    head_s: float = 30.0
    """From the first byte of a connection or request to the end of its head."""
    stalled_s: float = 60.0
    """How long a client may read nothing of an answer, or send nothing of a body nobody wants any more."""
    keep_alive_s: int = 75
    """How long a connection may rest between requests; longer than usual proxies rest theirs."""


log = logging.getLogger("mairust.http")


class _TooMuch(Exception):
    """The head of a request, and the trailers with it, are over the limit."""


def connection_class(limits: HttpLimits) -> type[asyncio.Protocol]:
    """The protocol class with these limits, as uvicorn wants it."""
    return type("HttpConnection", (_Guarded,), {"limits": limits})


class _Guarded(HttpToolsProtocol):
    limits: HttpLimits

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        """Of a head, or trailers, not whole: all that came since the pieces in which something else did."""
        self._parsed_bytes = 0
        """Of the head under way, however many came at once, and its trailers: what the parser has seen."""
        self._advanced = False
        """Whether the piece under way held more than fields: the end of a head, some of a body."""
        self._refusal: tuple[int, MaiRustError] | None = None
        """What to say after the answers to the requests before the one refused."""
        self.url = b""
        self._in_body = False
        self._head_timer = _Timer(self.loop)
        self._stall_timer = _Timer(self.loop)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        super().connection_made(transport)
        _send_at_once(transport)
        if len(self.connections) > self.limits.max_connections:
            self._refuse(503, TooMany("connections", limit=self.limits.max_connections))
        else:
            self._head_timer.start(self.limits.head_s, transport.close)

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return  # nobody will answer it
        self._advanced = False
        super().data_received(data)
        self._head_bytes = 0 if self._advanced else self._head_bytes + len(data)
        if self._head_bytes > self.limits.head_bytes:
            self._refuse_head()
        if self._busy():
            self._head_timer.cancel()
        elif self._in_body:
            self._head_timer.cancel()
            self._stall_timer.start(self.limits.stalled_s, self.transport.abort)
        else:
            self._await_head()

    def _await_head(self) -> None:
        self._stall_timer.cancel()
        if not self._head_timer.running:
            self._head_timer.start(self.limits.head_s, self.transport.close)

    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._parsed_bytes = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + len(b": \r\n"))
        if not self._in_body:  # a trailer is no field of the request (RFC 9110 §6.5.1)
            super().on_header(name, value)

    def _count(self, parsed_bytes: int) -> None:
        self._parsed_bytes += parsed_bytes
        if self._parsed_bytes > self.limits.head_bytes:
            raise _TooMuch  # the parser stops, and `send_400_response` is asked to answer

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._in_body = self._advanced = True
        self._head_timer.cancel()

    def on_chunk_header(self) -> None:
        """A chunk begins, were it the last one, which trailers follow."""
        self._advanced = True

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._advanced = True

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_body, self._advanced = False, True

    def on_response_complete(self) -> None:
        last = not self.pipeline
        super().on_response_complete()
        if last and self._refusal is not None:
            self._refuse(*self._refusal)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall_timer.start(self.limits.stalled_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stall_timer.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_timer.cancel()
        self._stall_timer.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What uvicorn says to what is no HTTP: as a problem, like every other error."""
        if self._parsed_bytes > self.limits.head_bytes:
            self._refuse_head()
        else:
            self._refuse_in_turn(400, Usage("http"))

    def _refuse_head(self) -> None:
        """414 where the target is most of it (RFC 9110 §15.5.15), else 431 (RFC 6585 §5)."""
        status = 414 if 2 * len(self.url) > self.limits.head_bytes else 431
        self._refuse_in_turn(status, TooLarge("head", limit=self.limits.head_bytes))

    def _refuse_in_turn(self, status: int, error: MaiRustError) -> None:
        """Refuse the request under way, after the answers to those before it."""
        if self._refusal is not None:
            return
        if self._in_body and self.pipeline:
            self.pipeline.popleft()  # itself, the newest: its turn is the refusal
            self._refusal = status, error
        elif self._in_body and self.cycle.response_started:
            self.transport.close()  # it has its answer; a second one would be taken for its body
        elif self._busy() and not self._in_body:
            self._refusal = status, error
        else:
            self._refuse(status, error)

    def _refuse(self, status: int, error: MaiRustError) -> None:
        if self.transport.is_closing():
            return
        request_id = secrets.token_hex(8)
        log.info("%s refused before it was a request: %d %s", request_id, status, error.code)
        body = json.dumps(describe(error, status, "en")).encode()
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {MEDIA_TYPE}\r\n"
            f"Content-Length: {len(body)}\r\nX-Request-Id: {request_id}\r\n"
            "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


def _send_at_once(transport: asyncio.Transport) -> None:
    """Head and body of an answer are two writes: Nagle's algorithm would hold the second for 40 ms."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _Timer:
    """One call at a later time, or none."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None

    @property
    def running(self) -> bool:
        return self._handle is not None

    def start(self, seconds: float, call: Callable[[], object]) -> None:
        self.cancel()
        self._handle = self._loop.call_later(seconds, call)

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
