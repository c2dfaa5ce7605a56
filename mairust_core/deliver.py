"""`mairust deliver`: one message from a pipe, by the running server or, without one, by itself (rule D4).

A mail server in front bounces when it hears anything but “try again”: so every fault that is ours is 75.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING

from mairust_core.config import Settings
from mairust_core.errors import DiskFull, MaiRustError, NotFound, Refused, Temporary, TooLarge, Usage
from mairust_core.model.blob import Content
from mairust_core.model.envelope import Connection, Envelope, Recipient, Road
from mairust_core.model.reply import Reply
from mairust_core.private_socket import deliver_path, reachable
from mairust_core.smtp.path import as_path
from mairust_core.smtp.replies import BAD_RECIPIENT

if TYPE_CHECKING:
    from mairust_core.app import Site
    from mairust_core.receive.road import MailRoad

EX_OK, EX_DATAERR, EX_NOUSER, EX_TEMPFAIL = 0, 65, 67, 75  # sysexits.h
CHUNK_BYTES = 1 << 20
TIMEOUT_S = 300.0
MAX_REPLY_BYTES = 4096
MAX_SHOWN = 5
"""Recipients named for each reply, and replies, in the line that tells of them."""
_NOBODY_LISTENS = {errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one recipient's delivery came to; `unknown` when it was refused before the content."""

    recipient: str
    reply: Reply
    unknown: bool = False


def reverse_path(sender: str) -> str | None:
    """The sender as an envelope takes it, empty for `<>`; None when it is no address at all.

    Mail must not stand in a queue for ever because of what its sender looks like: use `<>` then.
    """
    return "" if sender.strip() in ("", "<>") else as_path(sender)


def deliver(
    settings: Settings, recipients: Sequence[str], message: IO[bytes], sender: str = ""
) -> list[Answer]:
    """Deliver one message to `recipients`, whose answers come in their order; `sender` is a reverse path.

    The running server does it, or this process when none runs, by the same rules. What was stored before is
    not stored twice when the same message is delivered again within a day (rule C4).
    Raises the errors of `open_site` when no server runs, `Temporary`, `Forbidden`; all are 75 (contract §1).
    """
    paths = [as_path(one) for one in recipients]
    with _spooled(message, settings.smtp.max_size) as content:
        if content is None:
            return [Answer(recipient=one, reply=TooLarge.reply) for one in recipients]
        told = iter(_ask(settings, [path for path in paths if path is not None], content, sender))
    return [
        Answer(recipient=one, reply=BAD_RECIPIENT, unknown=True)
        if path is None
        else replace(next(told), recipient=one)
        for one, path in zip(recipients, paths, strict=True)
    ]


def exit_code(answers: Sequence[Answer]) -> int:
    """What the front server hears of one answer per recipient.

    0 when all are stored, 67 when all are unknown, 65 when the message itself is refused, else 75.
    """
    if answers and all(answer.reply.accepted for answer in answers):
        return EX_OK
    permanent = answers and all(500 <= answer.reply.code < 600 for answer in answers)
    if permanent and all(answer.unknown for answer in answers):
        return EX_NOUSER
    if permanent and not any(answer.unknown for answer in answers):
        return EX_DATAERR
    return EX_TEMPFAIL


def failure(answers: Sequence[Answer]) -> MaiRustError | None:
    """What to tell of the recipients who do not have the message; None when all have it."""
    code, why = exit_code(answers), _told(answers)
    if code == EX_OK:
        return None
    if code == EX_NOUSER:
        return NotFound("recipients", why=why)
    return Refused("delivery", why=why) if code == EX_DATAERR else Temporary("recipients", why=why)


def for_sender(answers: Sequence[Answer]) -> str:
    """`550 5.1.1 <a@x.example>: No such user here; …`: what a front server may pass on in its bounce."""
    return "; ".join(
        f"{str(reply).removesuffix(reply.text)}{_few([f'<{name}>' for name in names])}: {reply.text}"
        for reply, names in _refused(answers)
    )


def _told(answers: Sequence[Answer]) -> str:
    """`a@x.example, b@x.example: 550 …; c@x.example: 452 …`, the first few recipients of each reply."""
    return "; ".join(f"{_few(names)}: {reply}" for reply, names in _refused(answers))


def _refused(answers: Sequence[Answer]) -> list[tuple[Reply, list[str]]]:
    """The first few replies to those who do not have the message, and whose each is."""
    by_reply: dict[Reply, list[str]] = {}
    for answer in answers:
        if not answer.reply.accepted:
            by_reply.setdefault(answer.reply, []).append(answer.recipient.strip("<>"))
    return list(by_reply.items())[:MAX_SHOWN]


def _few(names: Sequence[str]) -> str:
    more = f" (+{len(names) - MAX_SHOWN})" if len(names) > MAX_SHOWN else ""
    return ", ".join(names[:MAX_SHOWN]) + more


def _ask(settings: Settings, recipients: Sequence[str], content: IO[bytes], sender: str) -> list[Answer]:
    if not recipients:
        return []
    server = _connect(settings)
    if server is None:
        return _deliver_here(settings, recipients, content, sender)
    with server:
        try:
            return _Client(server).deliver(recipients, content, sender)
        except OSError as error:
            raise Temporary("deliver", reply=error.strerror or error) from error


@contextmanager
def _spooled(message: IO[bytes], limit_bytes: int) -> Iterator[IO[bytes] | None]:
    """The whole stream in a temporary file, at its start; None when it is over the limit."""
    with SpooledTemporaryFile(max_size=CHUNK_BYTES) as spool:
        left_bytes = limit_bytes
        while chunk := _read(message):
            left_bytes -= len(chunk)
            if left_bytes < 0:
                yield None
                return
            try:
                spool.write(chunk)
            except OSError as error:
                raise DiskFull("upload", why=error.strerror) from error
        spool.seek(0)
        yield spool


def _read(message: IO[bytes]) -> bytes:
    try:
        return message.read(CHUNK_BYTES)
    except OSError as error:
        raise Usage("unreadable_file", path="stdin", why=error.strerror) from error


def _connect(settings: Settings) -> socket.socket | None:
    """A connection to the running server; None when none runs. Raises `Temporary`, `Forbidden`."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.settimeout(TIMEOUT_S)
    path = deliver_path(settings.data_dir)
    try:
        with reachable(path) as short:
            server.connect(str(short))
    except OSError as error:
        server.close()
        if error.errno in _NOBODY_LISTENS:
            return None
        if isinstance(error, PermissionError):
            _require_owner(settings)
        raise Temporary("private_socket", path=path, why=error.strerror or error) from error
    return server


def _require_owner(settings: Settings) -> None:
    """Raise `Forbidden` saying whose the site is; returns when it is ours."""
    from mairust_core.app import become_owner

    become_owner(settings)


class _Client:
    """LMTP with BDAT (RFC 2033, RFC 3030), so that every byte arrives as it is."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server
        self._lines = server.makefile("rb")

    def deliver(self, recipients: Sequence[str], content: IO[bytes], sender: str) -> list[Answer]:
        self._expect(self._reply())
        self._expect(self._say(f"LHLO {socket.gethostname()}"))
        utf8 = "" if _all_ascii(recipients, sender) else " SMTPUTF8"
        self._expect(self._say(f"MAIL FROM:<{sender}>{utf8}"))
        asked = [self._say(f"RCPT TO:<{one}>") for one in recipients]
        told = self._send(content) if any(reply.accepted for reply in asked) else iter(())
        answers = [
            Answer(recipient=one, reply=next(told))
            if reply.accepted
            else Answer(recipient=one, reply=reply, unknown=reply.code >= 500)
            for one, reply in zip(recipients, asked, strict=True)
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
        self._server.sendall(line.encode() + b"\r\n")
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

    with opened(settings) as site:
        return asyncio.run(_deliver(site, recipients, content, sender))


async def _deliver(site: Site, recipients: Sequence[str], content: IO[bytes], sender: str) -> list[Answer]:
    from mairust_core.receive.road import open_road

    chain = site.open_chain()
    road = open_road(site, hooks=chain)
    try:
        await chain.poll()
        return await _walk(road, recipients, content, sender)
    finally:
        await chain.close()
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
            mail_from=sender,
            recipients=known,
            connection=connection,
            received_at=datetime.now(UTC),
            smtputf8=not _all_ascii(recipients, sender),
        )
        told = iter(await road.receive(envelope, _collected(road, content)))
    return [
        Answer(recipient=given, reply=next(told))
        if isinstance(one, Recipient)
        else Answer(recipient=given, reply=one, unknown=one.code >= 500)
        for given, one in zip(recipients, found, strict=True)
    ]


def _all_ascii(recipients: Sequence[str], sender: str) -> bool:
    return all(one.isascii() for one in (*recipients, sender))


def _collected(road: MailRoad, content: IO[bytes]) -> Content:
    collector = road.collect()
    try:
        while chunk := content.read(CHUNK_BYTES):
            collector.write(chunk)
        return collector.finish()
    finally:
        collector.discard()
