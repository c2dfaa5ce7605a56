"""One connection to a plugin: a request goes out as bytes, one answer is read, bounded in all it may be.

The bytes are read by llhttp, which takes what RFC 9112 allows and nothing else. A connection is used again
only when its answer came to the end that it named, with nothing behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import cast

import httptools

from mairust_core.hooks.transport import MAX_ANSWER_BYTES, CallFailed

MAX_INFORMATIONAL = 8
"""Responses before the answer that only say that one will come (RFC 9110 §15.2)."""
HEAD_BYTES = 64 << 10
"""Of all that comes before the body."""
MOST_BYTES = HEAD_BYTES + 8 * MAX_ANSWER_BYTES
"""Of all that comes: chunks of one octet are six times as long as what is in them."""
TOGETHER_BYTES = 64 << 10
"""A smaller body is written in one piece with its head."""
TOO_LARGE = f"the answer is larger than {MAX_ANSWER_BYTES} bytes"
NOT_COMPLETE = "its answer is not complete"
CLOSED = "it closed the connection before it answered"

Judge = Callable[[int, Mapping[str, str]], bool]
"""Told the status and the fields of an answer, names in lower case: whether its body is wanted.

Raises `CallFailed` when it is no answer.
"""


class Lost(CallFailed):
    """The connection ended before anything of an answer came."""

    def __init__(self) -> None:
        super().__init__(CLOSED)


class AnswerReader:
    """Reads one answer, whatever the pieces in which it comes; without input and output."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._fields: dict[str, str] = {}
        self._informational = 0
        self._judged = False
        self._fault: CallFailed | None = None
        self._size_bytes = 0
        self._until_end = False
        self.body = bytearray()
        self.done = False
        """Whether the answer is there."""
        self.is_last = True
        """Whether nothing can follow it on its connection."""

    def feed(self, data: bytes) -> None:
        """Read on; raises `CallFailed`."""
        self._size_bytes += len(data)
        parser = self._parser
        if parser is None:
            self.is_last = True
            return
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.is_last = True
            if self._fault is None and not self.done:
                raise CallFailed("its answer is not HTTP") from None
        if self._fault is not None:
            raise self._fault
        if not self._judged and self._size_bytes > HEAD_BYTES:
            raise CallFailed(f"what comes before its answer is larger than {HEAD_BYTES} bytes")
        if self._size_bytes > MOST_BYTES:
            raise CallFailed(TOO_LARGE)
        if self.done:
            self._parser = None  # it refers to this, and would wait for the collector of cycles

    def at_end(self, *, broken: bool) -> bytes:
        """The body, where the end of the connection is that of the answer (RFC 9112 §6.3).

        Raises `CallFailed`, `Lost` when nothing of an answer came; `broken`: it was no orderly end.
        """
        if not self._size_bytes:
            raise Lost
        if not self._until_end or broken:
            raise CallFailed(NOT_COMPLETE if self._judged else CLOSED)
        return bytes(self.body)

    # What the parser calls; what it raised would be lost there

    def on_message_begin(self) -> None:
        """One more answer than was asked for cannot be told from the next one."""
        if self.done:
            self.is_last = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field; those after a body are not heeded."""
        if not self._judged:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            self._fields[key] = f"{self._fields[key]}, {text}" if key in self._fields else text

    def on_headers_complete(self) -> None:
        """Judge the answer, or pass over what only comes before it."""
        parser = self._parser
        if parser is None or self._judged or self._fault is not None:
            return
        status = parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self._pass_over()
            return
        self._judged = True
        self.is_last = not parser.should_keep_alive()
        self._until_end = not self._fields.keys() & {"content-length", "transfer-encoding"}
        try:
            if not self._judge(status, self._fields):
                self.done = self.is_last = True
            elif int(self._fields.get("content-length", 0)) > MAX_ANSWER_BYTES:
                self._fault = CallFailed(TOO_LARGE)
        except CallFailed as error:
            self._fault = error

    def _pass_over(self) -> None:
        self._fields = {}
        self._informational += 1
        if self._informational > MAX_INFORMATIONAL:
            self._fault = CallFailed(f"more than {MAX_INFORMATIONAL} informational responses came first")

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        if self.done or self._fault is not None:
            return
        self.body += data
        if len(self.body) > MAX_ANSWER_BYTES:
            self._fault = CallFailed(TOO_LARGE)

    def on_message_complete(self) -> None:
        """The end of the answer, or of what came before it."""
        self.done = self._judged


class Exchange(asyncio.Protocol):
    """A connection that is asked one question at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._reader: AnswerReader | None = None
        self._waiting: asyncio.Future[bytes] | None = None
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the connection is closed."""

    @property
    def is_open(self) -> bool:
        """Whether it can still be asked."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_free(self) -> bool:
        """Whether it can be asked again."""
        transport, reader = self._transport, self._reader
        return (
            transport is not None
            and not transport.is_closing()
            and (reader is None or (reader.done and not reader.is_last))
            and not transport.get_write_buffer_size()
        )

    async def ask(self, head: bytes, body: bytes, judge: Judge) -> bytes:
        """The body of the answer; raises `CallFailed`. Whoever is cancelled closes the connection."""
        transport = self._transport
        if transport is None or transport.is_closing():
            raise Lost
        self._reader = AnswerReader(judge)
        self._waiting = asyncio.get_running_loop().create_future()
        if len(body) <= TOGETHER_BYTES:
            transport.write(head + body)
        else:
            transport.write(head)
            transport.write(body)
        try:
            return await self._waiting
        finally:
            self._waiting = None

    def close(self) -> None:
        """Close it at once; what is asked fails."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It can be asked."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Part of an answer; who speaks unasked is not asked again."""
        waiting, reader = self._waiting, self._reader
        if waiting is None or waiting.done() or reader is None:
            self.close()
            return
        try:
            reader.feed(data)
        except CallFailed as error:
            waiting.set_exception(error)
        else:
            if reader.done:
                waiting.set_result(bytes(reader.body))

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of it, and perhaps of an answer."""
        self._transport = None
        if not self.gone.done():
            self.gone.set_result(None)
        waiting, reader = self._waiting, self._reader
        if waiting is None or waiting.done() or reader is None:
            return
        try:
            waiting.set_result(reader.at_end(broken=exc is not None))
        except CallFailed as error:
            waiting.set_exception(error)
