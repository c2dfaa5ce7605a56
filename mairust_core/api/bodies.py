"""What a client sends: bounded, timed, and complete before an operation sees it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import IO, Any

from starlette.requests import Request

from mairust_core.api.problems import Fault
from mairust_core.errors import DiskFull, MaiRustError, TooLarge, Usage
from mairust_core.model.blob import MEMORY_LIMIT_BYTES
from mairust_core.operations import BytesIn

MAX_JSON_BYTES = 1 << 20
PIECE_BYTES = 1 << 18
NOTHING = b"{}"

Run = Callable[[Callable[[], Any]], Awaitable[Any]]


def require_type(request: Request, allowed: tuple[str, ...]) -> None:
    """Raise a 415 unless the body has one of the types, in the clear and in UTF-8 if it says."""
    given = request.headers.get("content-type", "")
    kind, _, parameters = given.partition(";")
    charset = parameters.replace(" ", "").replace('"', "").lower()
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise Fault(415, Usage("content_encoding", found=encoding[:40]))
    if kind.strip().lower() not in allowed or charset not in ("", "charset=utf-8"):
        raise Fault(415, Usage("media_type", found=given[:80] or "missing", expected=allowed[0]))


def announced_bytes(request: Request) -> int | None:
    """The Content-Length, None when the body comes in chunks."""
    text = request.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


async def read_json(request: Request, idle_s: float) -> bytes:
    """The whole JSON body, at most 1 MiB of it; `idle_s` as for `pieces`.

    None at all is an object without fields: what they lack, or that nothing is needed, the operation says.
    """
    bare = _is_bare(request)
    if not bare or "content-type" in request.headers:
        require_type(request, ("application/json",))
    return NOTHING if bare else await _whole(request, idle_s)


async def read_unasked(request: Request, idle_s: float) -> bytes:
    """The JSON body that came to an operation without one; `{}` for an empty one, of whatever type."""
    body = b"" if _is_bare(request) else await _whole(request, idle_s)
    if body:
        require_type(request, ("application/json",))
    return body or NOTHING


def _is_bare(request: Request) -> bool:
    return announced_bytes(request) in (None, 0) and "transfer-encoding" not in request.headers


async def _whole(request: Request, idle_s: float) -> bytes:
    too_large = TooLarge("body", limit=MAX_JSON_BYTES)
    if (announced_bytes(request) or 0) > MAX_JSON_BYTES:
        raise too_large
    body = bytearray()
    async for piece in pieces(request, idle_s):
        body += piece
        if len(body) > MAX_JSON_BYTES:
            raise too_large
    return bytes(body)


async def pieces(request: Request, idle_s: float) -> AsyncIterator[bytes]:
    """The body as it comes; raises `ClientDisconnect` when it ends too early, a 408 when it stands still."""
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(idle_s):
                piece = await anext(stream, None)
        except TimeoutError:
            raise Fault(408, Usage("slow", limit_s=f"{idle_s:g}")) from None
        if piece is None:
            return
        yield piece


class Spool:
    """A body on its way in: up to 1 MiB in memory, beyond it in a file without a name (rule B4).

    `directory` is where the file lies; it vanishes with the process. Beyond `limit_bytes` it raises
    `too_large`.
    """

    def __init__(self, directory: Path, limit_bytes: int, too_large: MaiRustError) -> None:
        self._directory = directory
        self._limit_bytes = limit_bytes
        self._too_large = too_large
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._size_bytes = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    async def fill(self, body: AsyncIterator[bytes], run: Run) -> None:
        """Take in the whole body; disk writes happen on a thread. Raises `too_large`, `DiskFull`."""
        async for piece in body:
            self._size_bytes += len(piece)
            if self._size_bytes > self._limit_bytes:
                raise self._too_large
            self._memory += piece
            if len(self._memory) >= (PIECE_BYTES if self._file else MEMORY_LIMIT_BYTES):
                await run(self._write)
        if self._file is not None:
            await run(self._write)

    def content(self) -> BytesIn:
        """What was taken in, to be read once."""
        chunks = iter((bytes(self._memory),)) if self._file is None else self._read()
        return BytesIn(chunks=chunks, size_bytes=self._size_bytes)

    def _write(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115 - closed on exit
            self._file.write(self._memory)
            self._file.flush()
        except OSError as error:
            raise DiskFull("upload", why=error.strerror) from error
        self._memory.clear()

    def _read(self) -> Iterator[bytes]:
        assert self._file is not None
        self._file.seek(0)
        while piece := self._file.read(PIECE_BYTES):
            yield piece
