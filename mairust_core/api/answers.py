"""What an operation returned, as an HTTP response."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from mairust_core import wire
from mairust_core.items import MEDIA_TYPE, write_items
from mairust_core.operations import BytesOut, ItemsOut, Operation, items_of

RAW_CSP = "default-src 'none'; sandbox; frame-ancestors 'none'"
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,60}/[A-Za-z0-9!#$&^_.+-]{1,60}")

Run = Callable[[Callable[[], Any]], Awaitable[Any]]


async def answer(op: Operation, call: Callable[[], Any], run: Run) -> Response:
    """Make the call on a thread and answer with what it returned: one JSON document, or bytes."""
    if items_of(op.returns) is not None:
        return await _answer_items(op, call, run)
    if op.returns is not BytesOut:
        body = await run(lambda: wire.dumps(call()))
        return Response(body, op.status, media_type="application/json")
    content, first = await run(partial(_begin, call))
    headers = download_headers(content)
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
        "content-type": media_type if _MEDIA_TYPE.fullmatch(media_type) else "application/octet-stream",
        "content-length": str(content.size_bytes),
        "repr-digest": f"sha-256=:{base64.b64encode(content.sha256).decode()}:",
        "content-disposition": f"attachment; {_filename(content.filename)}",
        "content-security-policy": RAW_CSP,
    }


def _filename(name: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9 ._-]+", name):
        return f'filename="{name}"'
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    return f"filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='', errors='replace')}"
