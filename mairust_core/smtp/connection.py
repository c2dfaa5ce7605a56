"""One connection: its bytes, its time and its end.

aiosmtpd's `SMTP` gives the protocol object. Its timer per command and its write per reply are replaced: they
cost much of its time. The task of a session is never cancelled while the server runs: a lost connection shows
as the end of its input, so a mail that is being stored is stored whatever the client does.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import weakref
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING

from aiosmtpd.smtp import SMTP

from mairust_core.smtp import replies
from mairust_core.smtp.inbox import Inbox
from mairust_core.smtp.transaction import Transaction
from mairust_core.smtp.trusted import Client

if TYPE_CHECKING:
    from mairust_core.model.reply import Reply
    from mairust_core.receive import Receiver
    from mairust_core.smtp.gate import Gate
    from mairust_core.smtp.settings import ListenerSettings

log = logging.getLogger("mairust.smtp")
# aiosmtpd says there, with warnings of its own for bad PROXY headers, what we say ourselves
logging.getLogger("mail.log").setLevel(logging.CRITICAL)
logging.getLogger("mail.debug").setLevel(logging.CRITICAL)

_process = secrets.token_hex(3)
_numbers = itertools.count(1)


class Phase(Enum):
    """What a session waits for."""

    BUSY = "us"
    COMMAND = "the next command"
    CONTENT = "the next block of content"
    HANDSHAKE = "a PROXY header"
    SENDING = "the client to read"


class ClientConnection(SMTP):
    """The part of a session that knows bytes and time but no command."""

    _paused: bool  # asyncio's: the client reads so slowly that nothing more should be written

    def __init__(
        self,
        settings: ListenerSettings,
        receiver: Receiver,
        gate: Gate,
        on_begin: Callable[[asyncio.Task[None]], None],
        on_end: Callable[[ClientConnection], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(None, hostname=settings.hostname, ident="MaiRust", loop=loop)
        self.inbox = Inbox(loop)
        self._strong_reader = self.inbox
        self._stream_reader_wr = weakref.ref(self.inbox)
        self.settings, self.limits, self.receiver = settings, settings.limits, receiver
        self.id = f"{_process}{next(_numbers):x}"
        self.client = Client()
        self.mail = Transaction()
        self.trusted = False
        self.tls = ""
        self.ended = False
        self._gate, self._on_begin, self._on_end = gate, on_begin, on_end
        self.counters = gate.counters
        self._refusal: Reply | None = None
        self._counted_ip = ""
        self._out: list[bytes] = []
        self._closing = self._stopping = self._failed = self._peer_done = False
        self._errors = self._junk = self._drained_bytes = 0
        self._phase = Phase.BUSY
        self._started = self._since = self._content_since = loop.time()
        self._closed_at: float | None = None

    # Life of the connection, called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the client in and begin to talk."""
        self._refusal = self._gate.enter()
        super().connection_made(transport)
        if self._handler_coroutine is not None:
            self._on_begin(self._handler_coroutine)

    def connection_lost(self, error: Exception | None) -> None:
        """Count the client out; the session's task sees the end of its input."""
        if self.ended:
            return
        self.ended = True
        if error is not None:
            log.debug("%s connection lost: %s", self.id, error)
        # Not aiosmtpd's: that cancels the task. None, because the reader shall see an end, not an exception.
        asyncio.StreamReaderProtocol.connection_lost(self, None)
        self.transport = None
        if self._refusal is None:
            self._gate.leave()
        if self._counted_ip:
            self._gate.leave_address(self._counted_ip)
        self._on_end(self)

    def data_received(self, data: bytes) -> None:
        """Keep what came; after our end it has no reader any more."""
        if self._closed_at is None:
            asyncio.StreamReaderProtocol.data_received(self, data)

    def eof_received(self) -> bool | None:
        """The client will send no more; what it sent is still answered."""
        self._peer_done = True
        if self._closed_at is not None:
            return False
        return asyncio.StreamReaderProtocol.eof_received(self)

    def _reset_timeout(self, duration: float | None = None) -> None:
        """No timer per command: the listener calls `check` for all sessions."""

    def _set_post_data_state(self) -> None:
        """Forget the transaction; aiosmtpd's hook for it."""
        if self.mail.intake is not None:
            self.mail.intake.abandon()
        self.mail = Transaction()

    # Time

    def check(self, now: float) -> None:
        """End the session when the client takes too long; called by the listener every now and then."""
        if self._closed_at is not None:
            if now - self._closed_at > self.limits.linger_s:
                self.abort()
        elif (reply := self._overdue(now)) is not None:
            log.info("%s waited for %s: %s", self.id, self._phase.value, reply)
            self.hang_up(reply)

    def _overdue(self, now: float) -> Reply | None:
        if self._phase is Phase.BUSY:
            return None
        limits, waited = self.limits, now - self._since
        if now - self._started > limits.session_s:
            return replies.SESSION_TOO_LONG
        if self._phase is Phase.CONTENT:
            lasted = now - self._content_since
            if lasted > limits.data_grace_s and self.content_bytes() < limits.data_bytes_per_s * lasted:
                return replies.TOO_SLOW
            return replies.IDLE if waited > limits.data_idle_s else None
        limit_s = limits.handshake_s if self._phase is Phase.HANDSHAKE else limits.idle_s
        return replies.IDLE if waited > limit_s else None

    def content_begins(self) -> None:
        """Measure from here how fast content comes."""
        self._content_since, self._drained_bytes = self.loop.time(), 0

    def content_bytes(self) -> int:
        """Bytes of the present content, taken, drained and waiting."""
        taken = self.mail.intake.size_bytes if self.mail.intake else 0
        return taken + self._drained_bytes + len(self.inbox.buffer)

    def drain(self, piece: bytes) -> None:
        """Count content that is refused, and forget it."""
        self._drained_bytes += len(piece)

    def shut(self) -> None:
        """End the session at the next moment at which no transaction is open."""
        self._stopping = True
        if self._phase is Phase.COMMAND and not self.in_transaction():
            self.hang_up(replies.SHUTTING_DOWN)

    def in_transaction(self) -> bool:
        """Whether MAIL was accepted and its mail is not answered yet."""
        return self.mail.mail_from is not None

    # Ends

    def hang_up(self, reply: Reply) -> None:
        """Say a last word and close; from outside of the session's task."""
        self.say(reply)
        self._close()

    def abort(self) -> None:
        """Cut the connection now."""
        if not self.ended:
            self._writer.transport.abort()

    def _close(self) -> None:
        """Send what is queued, then our end of stream.

        The socket itself closes when the client has closed, too: closed earlier, with bytes of the client
        unread, it would take our last reply back (TCP answers with a reset).
        """
        self._closing = True
        if self._closed_at is not None:
            return
        self._closed_at = self.loop.time()
        if not self.ended and not self._writer.is_closing():
            self._writer.write(b"".join(self._out))
            try:
                if self._peer_done or not self._writer.can_write_eof():
                    self._writer.close()
                else:
                    self._writer.write_eof()
            except OSError:  # the client has reset the connection
                self._writer.close()
        self._out.clear()
        self.inbox.end()

    # Bytes

    def say(self, reply: Reply) -> None:
        """Queue a reply; 421 ends the session (RFC 5321 §3.8)."""
        self._out.append(replies.wire(reply))
        self._failed |= reply.code >= 500
        if reply.code == 421:
            log.info("%s < %s", self.id, reply)
            self._closing = True

    async def more(self, phase: Phase, since: float) -> bool:
        """Send what is queued and wait for more bytes; False when none will come."""
        await self.flush()
        self._phase, self._since = phase, since
        try:
            return await self.inbox.more()
        finally:
            self._phase = Phase.BUSY

    async def more_content(self) -> bool:
        """`more`, in the middle of content."""
        return await self.more(Phase.CONTENT, self.loop.time())

    async def flush(self) -> None:
        """Send all queued replies in one write."""
        if not self._out or self._writer.is_closing():
            return
        self._writer.write(b"".join(self._out))
        self._out.clear()
        if not self._paused:  # the client reads: there is nothing to wait for
            return
        self._phase, self._since = Phase.SENDING, self.loop.time()
        try:
            await self._writer.drain()
        finally:
            self._phase = Phase.BUSY
