"""A client that sends exactly the bytes it is told to, and dialogues as data."""

from __future__ import annotations

import asyncio
import ssl
from fnmatch import fnmatchcase
from types import TracebackType
from typing import Self

PATIENCE_S = 20.0
"""Longer than anything here takes; a reply that does not come fails the test instead of hanging it."""


class RawClient:
    """One connection; `async with await connect(address)`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.transport.abort()

    async def send(self, data: bytes) -> None:
        """Send these bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def send_apart(self, data: bytes) -> None:
        """Send byte by byte, each in a segment of its own as far as the loop allows."""
        for position in range(len(data)):
            await self.send(data[position : position + 1])
            await asyncio.sleep(0)

    async def reply(self) -> str:
        """The next reply, all its lines; empty when the server closed."""
        lines = []
        while True:
            line = await asyncio.wait_for(self.reader.readline(), PATIENCE_S)
            lines.append(line.decode("ascii"))
            if line[3:4] != b"-":
                return "".join(lines).rstrip("\r\n")

    async def replies(self, count: int) -> list[str]:
        """The next replies."""
        return [await self.reply() for _ in range(count)]

    async def ask(self, command: str) -> str:
        """Send one command line and read its reply."""
        await self.send(command.encode() + b"\r\n")
        return await self.reply()

    async def greet(self, hello: str = "EHLO client.example.net") -> str:
        """Read the greeting and say hello; returns the reply to it."""
        assert (await self.reply()).startswith("220 ")
        answer = await self.ask(hello)
        assert answer.startswith("250")
        return answer

    async def rest(self) -> str:
        """Everything until the server closes."""
        return (await asyncio.wait_for(self.reader.read(-1), PATIENCE_S)).decode("ascii")

    async def open_data(self, *recipients: str, sender: str = "bob@example.net") -> None:
        """MAIL, RCPT and DATA up to the 354."""
        assert (await self.ask(f"MAIL FROM:<{sender}>")).startswith("250")
        for recipient in recipients or ("ann@example.org",):
            assert (await self.ask(f"RCPT TO:<{recipient}>")).startswith("250")
        assert (await self.ask("DATA")).startswith("354")

    async def mail(self, content: bytes, *recipients: str) -> str:
        """One whole mail; `content` is sent as it is, then the final dot."""
        await self.open_data(*recipients)
        await self.send(content + b".\r\n")
        return await self.reply()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Do the TLS handshake."""
        await self.writer.start_tls(context, server_hostname="localhost")


async def connect(address: str, source: str | None = None) -> RawClient:
    """Connect to what `Listener.start` returned."""
    if address.startswith("unix:"):
        return RawClient(*await asyncio.open_unix_connection(address.removeprefix("unix:"), limit=1 << 20))
    host, _, port = address.rpartition(":")
    local = (source, 0) if source else None
    return RawClient(*await asyncio.open_connection(host, int(port), limit=1 << 20, local_addr=local))


async def play(address: str, transcript: str) -> None:
    """Hold a dialogue: `C: ` lines are sent, `S: ` lines are patterns of whole replies."""
    async with await connect(address) as client:
        for number, line in enumerate(transcript.strip().splitlines(), 1):
            who, text = line.strip()[:2], line.strip()[3:]
            if who == "C:":
                await client.send(text.encode() + b"\r\n")
            else:
                answer = await client.reply()
                assert fnmatchcase(answer, text), f"line {number}: {answer!r} is not {text!r}"
