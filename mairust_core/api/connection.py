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
    """The head of a request that came whole is over the limit."""


def connection_class(limits: HttpLimits) -> type[asyncio.Protocol]:
    """The protocol class with these limits, as uvicorn wants it."""
    return type("HttpConnection", (_Guarded,), {"limits": limits})


class _Guarded(HttpToolsProtocol):
    limits: HttpLimits

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        """Of a head that is not whole: all that came of it."""
        self._parsed_bytes = 0
        """Of the head under way, of however many that came at once: what the parser has seen of it."""
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
        in_head = not self._in_body and not self._busy()
        super().data_received(data)
        if self._busy():
            self._head_bytes = 0
            self._head_timer.cancel()
        elif self._in_body:
            self._head_timer.cancel()
            self._stall_timer.start(self.limits.stalled_s, self.transport.abort)
        else:
            self._await_head(len(data) if in_head else 0)  # what ended a body was no head

    def _await_head(self, received_bytes: int) -> None:
        self._stall_timer.cancel()
        self._head_bytes += received_bytes
        if self._head_bytes > self.limits.head_bytes:
            self._refuse_head()
        elif not self._head_timer.running:
            self._head_timer.start(self.limits.head_s, self.transport.close)

    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._parsed_bytes = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._parsed_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._parsed_bytes += len(name) + len(value) + len(b": \r\n")

    def on_headers_complete(self) -> None:
        if self._parsed_bytes > self.limits.head_bytes:
            raise _TooMuch  # the parser stops, and `send_400_response` is asked to answer
        super().on_headers_complete()
        self._in_body = True
        self._head_bytes = 0
        self._head_timer.cancel()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_body = False

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
        if self._busy() and self.cycle.response_started:
            self.transport.close()  # an answer is under way; a second one would be taken for its body
        elif self._parsed_bytes > self.limits.head_bytes:
            self._refuse_head()
        else:
            self._refuse(400, Usage("http"))

    def _refuse_head(self) -> None:
        """414 where the target is most of it (RFC 9110 §15.5.15), else 431 (RFC 6585 §5)."""
        status = 414 if 2 * len(self.url) > self.limits.head_bytes else 431
        self._refuse(status, TooLarge("head", limit=self.limits.head_bytes))

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
