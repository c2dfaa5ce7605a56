"""`mairust deliver`: one message from a pipe, by the running server or, without one, by itself (rule D4).

A mail server in front bounces when it hears anything but “try again”: so every fault that is ours is 75.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING

from mairust_core.config import Settings
from mairust_core.errors import Temporary
from mairust_core.model.blob import Content
from mairust_core.model.envelope import Connection, Envelope, Recipient, Road
from mairust_core.model.reply import Reply
from mairust_core.private_socket import deliver_path, reachable

if TYPE_CHECKING:
    from mairust_core.receive.road import MailRoad

EX_OK, EX_DATAERR, EX_NOUSER, EX_TEMPFAIL = 0, 65, 67, 75  # sysexits.h
CHUNK_BYTES = 1 << 20
TIMEOUT_S = 300.0
MAX_REPLY_BYTES = 4096
_NOBODY_LISTENS = {errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one recipient's delivery came to; `unknown` when it was refused before the content."""

    reply: Reply
    unknown: bool = False


def deliver(settings: Settings, recipients: Sequence[str], message: IO[bytes], sender: str = "") -> int:
    """Deliver one message to `recipients`; the exit code (contract §1).

    0 when all are stored, 67 when all are unknown, 65 when the message itself is refused, else 75. What was
    stored before is not stored twice when the same message is delivered again within a day (rule C4).
    Raises the errors of `open_site` when no server runs; they are 75 too.
    """
    with _spooled(message, settings.smtp.max_size) as content:
        if content is None:
            return EX_DATAERR
        server = _connect(settings)
        if server is None:
            return exit_code(_deliver_here(settings, recipients, content, sender))
        with server:
            return exit_code(_Client(server).deliver(recipients, content, sender))


def exit_code(answers: Sequence[Answer]) -> int:
    """What the front server hears of one answer per recipient."""
    if answers and all(answer.reply.accepted for answer in answers):
        return EX_OK
    permanent = answers and all(500 <= answer.reply.code < 600 for answer in answers)
    if permanent and all(answer.unknown for answer in answers):
        return EX_NOUSER
    if permanent and not any(answer.unknown for answer in answers):
        return EX_DATAERR
    return EX_TEMPFAIL


@contextmanager
def _spooled(message: IO[bytes], limit_bytes: int) -> Iterator[IO[bytes] | None]:
    """The whole stream in a temporary file, at its start; None when it is over the limit."""
    with SpooledTemporaryFile(max_size=CHUNK_BYTES) as spool:
        left_bytes = limit_bytes
        while chunk := message.read(CHUNK_BYTES):
            left_bytes -= len(chunk)
            if left_bytes < 0:
                yield None
                return
            spool.write(chunk)
        spool.seek(0)
        yield spool


def _connect(settings: Settings) -> socket.socket | None:
    """A connection to the running server; None when none runs. Raises `OSError` for anything else."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.settimeout(TIMEOUT_S)
    try:
        with reachable(deliver_path(settings.data_dir)) as path:
            server.connect(str(path))
    except OSError as error:
        server.close()
        if error.errno in _NOBODY_LISTENS:
            return None
        raise
    return server


class _Client:
    """LMTP with BDAT (RFC 2033, RFC 3030), so that every byte arrives as it is."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server
        self._lines = server.makefile("rb")

    def deliver(self, recipients: Sequence[str], content: IO[bytes], sender: str) -> list[Answer]:
        self._expect(self._reply())
        self._expect(self._say(f"LHLO {socket.gethostname()}"))
        utf8 = "" if all(one.isascii() for one in (*recipients, sender)) else " SMTPUTF8"
        self._expect(self._say(f"MAIL FROM:<{sender}>{utf8}"))
        asked = [self._say(f"RCPT TO:<{one}>") for one in recipients]
        told = self._send(content) if any(reply.accepted for reply in asked) else iter(())
        answers = [
            Answer(reply=next(told)) if reply.accepted else Answer(reply=reply, unknown=reply.code >= 500)
            for reply in asked
        ]
        self._server.sendall(b"QUIT\r\n")
        return answers

    def _send(self, content: IO[bytes]) -> Iterator[Reply]:
        chunk = content.read(CHUNK_BYTES)
        while True:
            following = content.read(CHUNK_BYTES)
            self._server.sendall(b"BDAT %d%s\r\n" % (len(chunk), b"" if following else b" LAST"))
            self._server.sendall(chunk)
            if not following:
                break
            self._reply()  # a refused chunk is refused again by its last one, once per recipient
            chunk = following
        while True:
            yield self._reply()

    def _say(self, line: str) -> Reply:
        if "\r" in line or "\n" in line:
            return Reply(553, "5.1.3", "Address holds a line end")
        self._server.sendall(line.encode("utf-8", "surrogateescape") + b"\r\n")
        return self._reply()

    def _expect(self, reply: Reply) -> None:
        if not reply.accepted:
            raise Temporary("deliver", reply=reply)

    def _reply(self) -> Reply:
        while True:
            line = self._lines.readline(MAX_REPLY_BYTES).decode("ascii", "replace").rstrip("\r\n")
            if len(line) < 3 or not line[:3].isdigit():
                raise Temporary("deliver", reply=line or "connection closed")
            if line[3:4] != "-":
                break
        enhanced, _, text = line[4:].partition(" ")
        return Reply(int(line[:3]), enhanced, text)


def _deliver_here(
    settings: Settings, recipients: Sequence[str], content: IO[bytes], sender: str
) -> list[Answer]:
    """Open the store and walk the same road that the server would."""
    import asyncio

    from mairust_core.app import opened
    from mairust_core.receive.road import open_road

    with opened(settings) as site:
        road = open_road(site)
        try:
            return asyncio.run(_walk(road, recipients, content, sender))
        finally:
            road.close()


async def _walk(road: MailRoad, recipients: Sequence[str], content: IO[bytes], sender: str) -> list[Answer]:
    connection = Connection(road=Road.DELIVER, helo=socket.gethostname())
    found = [await road.recipient(one, connection) for one in recipients]
    known = tuple(one for one in found if isinstance(one, Recipient))
    refusal = road.ready()
    if refusal is not None or not known:
        told = iter([refusal or Temporary.reply] * len(known))
    else:
        envelope = Envelope(
            mail_from=sender, recipients=known, connection=connection, received_at=datetime.now(UTC)
        )
        told = iter(await road.receive(envelope, _collected(road, content)))
    return [
        Answer(reply=next(told)) if isinstance(one, Recipient) else Answer(reply=one, unknown=one.code >= 500)
        for one in found
    ]


def _collected(road: MailRoad, content: IO[bytes]) -> Content:
    collector = road.collect()
    try:
        while chunk := content.read(CHUNK_BYTES):
            collector.write(chunk)
        return collector.finish()
    finally:
        collector.discard()
