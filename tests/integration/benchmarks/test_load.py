"""The load generator: one write where PIPELINING is offered, lock-step otherwise, every reply checked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.corpus import Message, cut, save_messages
from tests.benchmarks.servers import CHECKOUT, clean_environment, python

REFUSED = b"nobody@example.org"


class Recorder:
    """A small SMTP server that keeps contents and notes which commands came together."""

    def __init__(self, pipelining: bool) -> None:
        self._ehlo = b"250-here\r\n250 PIPELINING\r\n" if pipelining else b"250 here\r\n"
        self.contents: list[bytes] = []
        self.writes: list[list[bytes]] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Greet, then answer whole writes until QUIT."""
        writer.write(b"220 here\r\n")
        verbs: list[bytes] = []
        while verbs != [b"QUIT"] and (read := await reader.read(65536)):
            commands = read.splitlines()
            verbs = [command[:4] for command in commands]
            self.writes.append(verbs)
            writer.write(b"".join(self._reply(command, commands) for command in commands))
            if verbs[-1] == b"DATA" and not self._refused(commands):
                self.contents.append(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(b"250 kept\r\n")
        writer.close()

    def _reply(self, command: bytes, together: list[bytes]) -> bytes:
        if command[:4] == b"EHLO":
            return self._ehlo
        if command[:4] == b"DATA":
            return b"554 nobody\r\n" if self._refused(together) else b"354 go on\r\n"
        return b"550 nobody\r\n" if REFUSED in command else b"250 ok\r\n"

    @staticmethod
    def _refused(commands: list[bytes]) -> bool:
        return any(REFUSED in command for command in commands)


@asynccontextmanager
async def recording(pipelining: bool) -> AsyncIterator[tuple[Recorder, int]]:
    """A recorder on a free loopback port."""
    recorder = Recorder(pipelining)
    async with await asyncio.start_server(recorder.talk, "127.0.0.1", 0, limit=2**26) as server:
        yield recorder, server.sockets[0].getsockname()[1]


async def load(port: int, messages: Path, count: int, *recipients: str) -> dict[str, Any]:
    """Run the load generator on two connections and read its line."""
    much = ("--connections", 2, "--count", count, "--messages", messages)
    child = await asyncio.create_subprocess_exec(
        *python("tests.benchmarks.load", "--port", port, *much, "--rcpt", *recipients),
        stdout=asyncio.subprocess.PIPE,
        cwd=CHECKOUT,
        env=clean_environment(),
    )
    out, _ = await child.communicate()
    document: dict[str, Any] = json.loads(out)
    return document


@pytest.fixture
def messages(tmp_path: Path) -> Path:
    """One small message."""
    save_messages([cut(b"Message-ID: <x@y>\r\n\r\n.dot\r\n")], tmp_path / "messages")
    return tmp_path / "messages"


async def test_the_envelope_goes_in_one_write_where_pipelining_is_offered(messages: Path) -> None:
    """MAIL, RCPT and DATA come together (RFC 2920); the result says so."""
    async with recording(pipelining=True) as (recorder, port):
        result = await load(port, messages, 10, "a@example.org")
    assert (result["accepted"], result["pipelining"]) == (10, True)
    assert recorder.writes.count([b"MAIL", b"RCPT", b"DATA"]) == 10
    assert len(set(recorder.contents)) == 10
    assert all(content.endswith(b"\r\n..dot\r\n.\r\n") for content in recorder.contents)


async def test_each_command_waits_for_its_reply_where_it_is_not(messages: Path) -> None:
    """Without the offer no two commands come together."""
    async with recording(pipelining=False) as (recorder, port):
        result = await load(port, messages, 10, "a@example.org")
    assert (result["accepted"], result["pipelining"]) == (10, False)
    assert {len(write) for write in recorder.writes} == {1}


@pytest.mark.parametrize("pipelining", [True, False])
async def test_a_refused_recipient_counts_as_refused_and_the_rest_goes_on(
    messages: Path, pipelining: bool
) -> None:
    """Half of the recipients are unknown: half of the transactions are accepted, none is lost."""
    async with recording(pipelining) as (recorder, port):
        result = await load(port, messages, 10, REFUSED.decode(), "a@example.org")
    assert (result["accepted"], result["refused"]) == (5, {"550": 5})
    assert len(recorder.contents) == 5


async def test_a_big_message_arrives_whole(tmp_path: Path) -> None:
    """One that is sent in parts is the same on the wire."""
    body = b"x" * 76 + b"\r\n"
    big = Message(b"Message-ID: <", b"x@y>\r\n\r\n" + body * 30_000)
    save_messages([big], tmp_path / "messages")
    async with recording(pipelining=True) as (recorder, port):
        result = await load(port, tmp_path / "messages", 2, "a@example.org")
    assert result["accepted"] == 2
    assert all(content.partition(b"\r\n\r\n")[2] == body * 30_000 + b".\r\n" for content in recorder.contents)


async def test_a_lost_connection_counts(messages: Path) -> None:
    """A server that hangs up in the middle is not mistaken for one that accepted."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        await reader.readline()
        writer.write(b"250 here\r\n")
        await reader.readline()
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        result = await load(server.sockets[0].getsockname()[1], messages, 10, "a@example.org")
    assert (result["accepted"], result["refused"]) == (0, {"lost": 2})
