"""Around every request: its id, its path, the headers of its answer, its line in the log, its count."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import MutableMapping
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mairust_core.api.paths import first_decoding
from mairust_core.api.problems import Fault, problem
from mairust_core.errors import Usage
from mairust_core.observe.counters import HttpCounters

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:;=+/-]{1,128}")
_HOST = re.compile(rb"(\[[0-9A-Za-z:.]+(?:%25[A-Za-z0-9._~%-]+)?\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(:[0-9]*)?")
_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_UNLESS_SAID = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)

_OVER_TLS = (b"strict-transport-security", b"max-age=31536000")
"""Said over TLS only: elsewhere a browser must not heed it (RFC 6797 §7.2)."""

log = logging.getLogger("mairust.http")


class Frame:
    """ASGI middleware: HEAD is answered as GET (the server leaves the body out), every answer is labelled."""

    def __init__(self, app: ASGIApp, counters: HttpCounters) -> None:
        self._app = app
        self._counters = counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = _request_id(scope)
        framed = dict(scope)
        framed["mairust.request_id"] = request_id
        framed["method"] = "GET" if scope["method"] == "HEAD" else scope["method"]
        framed["path"] = first_decoding(scope.get("raw_path") or scope["path"].encode())
        status = 0

        async def send_framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *_labelled(message.get("headers", [])),
                    *([_OVER_TLS] if scope["scheme"] == "https" else []),
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        try:
            app = self._app if _names_host(scope) else _refuse_host
            await app(framed, receive, send_framed)
        finally:
            took_s = time.perf_counter() - began
            self._counters.answered(scope["method"], status, took_s)
            _log(scope, framed, status, took_s)


def _request_id(scope: Scope) -> str:
    """The client's own id when it is a sane one, else a new one."""
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _names_host(scope: Scope) -> bool:
    """Whether the request says once which host it is for, as one of HTTP/1.1 must (RFC 9112 §3.2)."""
    given = [value for name, value in scope["headers"] if name == b"host"]
    if len(given) == 1:
        return _HOST.fullmatch(given[0]) is not None
    return not given and scope["http_version"] == "1.0"


async def _refuse_host(scope: Scope, receive: Receive, send: Send) -> None:
    await problem(Request(scope), Fault(400, Usage("host")))(scope, receive, send)


def _labelled(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    said = {name for name, _ in headers}
    return [*headers, *_ALWAYS, *(header for header in _UNLESS_SAID if header[0] not in said)]


def _log(scope: Scope, framed: MutableMapping[str, Any], status: int, seconds: float) -> None:
    """One line; neither the query string nor any header is in it (trap A3)."""
    if log.isEnabledFor(logging.INFO):
        by = framed.get("mairust.by")
        path = ascii(framed["path"][:200])[1:-1]
        log.info(
            "%s %s %s %d %.1f ms %s", framed["mairust.request_id"], scope["method"], path, status,
            seconds * 1000, by.name if by else "-",
        )  # fmt: skip
