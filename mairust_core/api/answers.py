"""What an operation returned, as an HTTP response."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mairust_core import wire
from mairust_core.items import MEDIA_TYPE, write_items
from mairust_core.operations import BytesOut, ItemsOut, Operation, items_of

RAW_CSP = "default-src 'none'; sandbox; frame-ancestors 'none'"
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,60}/[A-Za-z0-9!#$&^_.+-]{1,60}(; charset=utf-8)?")
_ACTIVE = re.compile(r"html|svg|script|xsl|(^|[/+])xml", re.IGNORECASE)
"""What a browser would run, were it ever to take a download for a page."""
JSON = "application/json"
REVALIDATE = "private, no-cache"
"""An answer with an ETag may be kept by the client itself, and is asked for again each time."""

Run = Callable[[Callable[[], Any]], Awaitable[Any]]


async def answer(request: Request, op: Operation, call: Callable[[], Any], run: Run) -> Response:
    """Make the call on a thread and answer with what it returned: a JSON document, bytes, or a stream.

    What is read carries an ETag, and is not sent to a client that has it (RFC 9110 §13.1.2).
    """
    if items_of(op.returns) is not None:
        return await _answer_items(op, call, run)
    if op.returns is not BytesOut:
        return _document(request, op, *await run(lambda: _tagged(wire.render(wire.encode(call())))))
    content, first = await run(partial(_begin, call))
    headers = download_headers(content)
    if _is_known(request, headers["etag"]):
        return _not_modified(headers["etag"])
    if len(first) == content.size_bytes:
        return Response(first, op.status, headers)
    return StreamingResponse(_pieces(first, content.chunks, run), op.status, headers)


async def _answer_items(op: Operation, call: Callable[[], ItemsOut[Any]], run: Run) -> Response:
    """A stream of items; whole before it is sent when items came in, which are gone once it is answered."""
    headers = {"content-security-policy": RAW_CSP}
    if items_of(op.body_type) is not None:
        body = await run(lambda: b"".join(write_items(call().items)))
        return Response(body, op.status, headers, media_type=MEDIA_TYPE)
    pieces, first = await run(partial(_begin_items, call))
    return StreamingResponse(_pieces(first, pieces, run), op.status, headers, media_type=MEDIA_TYPE)


def _begin_items(call: Callable[[], ItemsOut[Any]]) -> tuple[Iterator[bytes], bytes]:
    pieces = write_items(call().items)
    return pieces, next(pieces)


async def encoded(request: Request, op: Operation, call: Callable[[], Any], run: Run) -> Response:
    """As `answer`, of a call that gives JSON values, or what still has to be encoded."""

    def made() -> tuple[bytes, str]:
        value = call()
        return _tagged(wire.render(value if isinstance(value, dict) else wire.encode(value)))

    return _document(request, op, *await run(made))


def replayable(op: Operation, body: bytes, replayed: bool) -> Response:
    """The answer to a request that may be repeated; it says when it is that of an earlier one."""
    headers = {"idempotent-replayed": "true"} if replayed else None
    return Response(body, op.status, headers, media_type=JSON)


def _tagged(body: bytes) -> tuple[bytes, str]:
    """A body with its ETag; on a thread, for hashing lets go of the interpreter and the loop would wait."""
    return body, etag_of(body)


def etag_of(body: bytes) -> str:
    """The ETag of a document; equal only for equal bytes (RFC 9110 §8.8.1: a strong one)."""
    return f'"{sha256(body).hexdigest()[:32]}"'


def _document(request: Request, op: Operation, body: bytes, etag: str) -> Response:
    if op.method != "GET":
        return Response(body, op.status, media_type=JSON)
    if _is_known(request, etag):
        return _not_modified(etag)
    return Response(body, op.status, {"etag": etag, "cache-control": REVALIDATE}, media_type=JSON)


def _is_known(request: Request, etag: str) -> bool:
    """Whether the client has this already; weak and strong tags compare alike here (RFC 9110 §8.8.3.2)."""
    given = request.headers.get("if-none-match")
    if given is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in given[:2000].split(",")}
    return etag in tags or tags == {"*"}


def _not_modified(etag: str) -> Response:
    return Response(status_code=304, headers={"etag": etag, "cache-control": REVALIDATE})


def _begin(call: Callable[[], BytesOut]) -> tuple[BytesOut, bytes]:
    content = call()
    return content, next(content.chunks, b"")


async def _pieces(first: bytes, chunks: Iterator[bytes], run: Run) -> AsyncIterator[bytes]:
    # What fails from here on breaks the connection before Content-Length is reached: the client knows.
    yield first
    while (piece := await run(partial(next, chunks, None))) is not None:
        yield piece


def download_headers(content: BytesOut) -> dict[str, str]:
    """Headers by which a client knows that it has everything, and a browser shows nothing (trap A7).

    Repr-Digest is that of RFC 9530 §3, Content-Disposition of RFC 6266 §4.
    """
    media_type = content.content_type
    return {
        "content-type": media_type if is_harmless(media_type) else "application/octet-stream",
        "content-length": str(content.size_bytes),
        "repr-digest": f"sha-256=:{base64.b64encode(content.sha256).decode()}:",
        "etag": f'"{content.sha256.hex()}"',
        "cache-control": REVALIDATE,
        "content-disposition": f"attachment; {_filename(content.filename)}",
        "content-security-policy": RAW_CSP,
    }


def is_harmless(media_type: str) -> bool:
    """True for a plain media type that no browser makes a page of, nor a script."""
    return bool(_MEDIA_TYPE.fullmatch(media_type)) and not _ACTIVE.search(media_type)


def _filename(name: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9 ._-]+", name):
        return f'filename="{name}"'
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    return f"filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='', errors='replace')}"
