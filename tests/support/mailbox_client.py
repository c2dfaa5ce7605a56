"""A blocking SMTP and LMTP client that knows exactly what it was told: for tests of what a 250 means.

`Dialogue` is one connection. It sends what it is given to the octet, and raises `Lost` when the connection
ends before an answer: then nobody knows whether the mail was stored.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

TIMEOUT_S = 90.0
"""A connection that says nothing for that long hangs: an error of the server."""

Endpoint = tuple[str, int] | Path
"""A TCP address, or the private socket of `deliver`, which takes content by BDAT."""


class Lost(Exception):
    """The connection ended before the answer came; `heard` has the answers that did come, by recipient."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.heard: dict[str, Answer] = {}


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply: its code and the text of its lines."""

    code: int
    text: str

    @property
    def stored_id(self) -> str:
        """The message id of `250 2.0.0 stored ID`."""
        return self.text.rpartition("stored ")[2]


class Dialogue:
    """One connection that has said EHLO or LHLO; closed at the end of the block. Raises `Lost`."""

    def __init__(self, endpoint: Endpoint, *, lmtp: bool = False, timeout_s: float = TIMEOUT_S) -> None:
        self._by_chunks = isinstance(endpoint, Path)
        self._lmtp = lmtp or self._by_chunks
        self._read = b""
        try:
            self._socket = _connect(endpoint, timeout_s)
        except OSError as error:
            raise Lost(f"no connection to {endpoint}: {error}") from error
        try:
            self.answer()
            self.command(b"LHLO proof.example" if self._lmtp else b"EHLO proof.example")
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Dialogue:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up without a word."""
        self._socket.close()

    def command(self, line: bytes) -> Answer:
        """One command line and its answer."""
        self._write(line + b"\r\n")
        return self.answer()

    def send(self, mail_from: str, recipients: Sequence[str], content: bytes) -> dict[str, Answer]:
        """One mail; the answer for each recipient: to its RCPT when that was refused, else to the content.

        A refused MAIL answers for all. Over SMTP the recipients that were taken share one answer.
        """
        answers, taken = self.envelope(mail_from, recipients)
        if not taken:
            self.command(b"RSET")
            return answers
        groups = [[one] for one in taken] if self._lmtp else [taken]
        try:
            refusal = self.content(content)
            if refusal:
                self.command(b"RSET")
            for group in groups:
                answers |= dict.fromkeys(group, refusal or self.answer())
        except Lost as lost:
            lost.heard = answers
            raise
        return answers

    def envelope(self, mail_from: str, recipients: Sequence[str]) -> tuple[dict[str, Answer], list[str]]:
        """MAIL and RCPT; the answers of those refused, and the recipients taken."""
        answer = self.command(b"MAIL FROM:<%s>" % mail_from.encode())
        if answer.code != 250:
            return dict.fromkeys(recipients, answer), []
        answers = {one: self.command(b"RCPT TO:<%s>" % one.encode()) for one in recipients}
        taken = [one for one, answer in answers.items() if answer.code == 250]
        return {one: answer for one, answer in answers.items() if answer.code != 250}, taken

    def content(self, content: bytes) -> Answer | None:
        """Send the content by DATA or BDAT, and read no answer to it; a refusal of DATA is returned."""
        if self._by_chunks:
            self._write(b"BDAT %d LAST\r\n" % len(content) + content)
            return None
        answer = self.command(b"DATA")
        if answer.code == 354:
            self._write(dot_stuffed(content))
        return None if answer.code == 354 else answer

    def _write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise Lost(f"while writing: {error}") from error

    def answer(self) -> Answer:
        """The next answer."""
        lines = [self._line()]
        while lines[-1][3:4] == b"-":
            lines.append(self._line())
        text = "\n".join(line[4:].decode(errors="replace") for line in lines)
        return Answer(int(lines[0][:3]), text)

    def _line(self) -> bytes:
        while b"\r\n" not in self._read:
            try:
                more = self._socket.recv(65536)
            except TimeoutError:
                raise AssertionError("the server neither answers nor hangs up") from None
            except OSError as error:
                raise Lost(f"while reading: {error}") from error
            if not more:
                raise Lost("the server hung up")
            self._read += more
        line, _, self._read = self._read.partition(b"\r\n")
        return line


def dot_stuffed(content: bytes) -> bytes:
    """The content as DATA carries it, final dot included (RFC 5321 §4.5.2)."""
    ended = content if content.endswith(b"\r\n") else content + b"\r\n"
    stuffed = ended.replace(b"\r\n.", b"\r\n..")
    return (b"." if ended.startswith(b".") else b"") + stuffed + b".\r\n"


def _connect(endpoint: Endpoint, timeout_s: float) -> socket.socket:
    if isinstance(endpoint, Path):
        return _connect_unix(endpoint, timeout_s)
    return socket.create_connection(endpoint, timeout_s)


def _connect_unix(path: Path, timeout_s: float) -> socket.socket:
    from mairust_core.private_socket import reachable

    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout_s)
    try:
        with reachable(path) as short:
            connection.connect(str(short))
    except OSError:
        connection.close()
        raise
    return connection
