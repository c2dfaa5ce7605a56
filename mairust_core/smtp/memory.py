"""A `Receiver` that keeps mail in memory, for tests of whatever talks to one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from mairust_core.errors import MaiRustError, NotFound
from mairust_core.model.blob import Bytes, Content
from mairust_core.model.envelope import Connection, Envelope, Recipient, Road
from mairust_core.model.reply import Reply

STORED = Reply(250, "2.0.0", "stored 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """One mail as it was handed over."""

    envelope: Envelope
    data: bytes


class MemoryCollector:
    """Keeps the pieces; `fail_after_bytes` makes it raise `failure` once more than so much came."""

    def __init__(self, failure: MaiRustError | None = None, fail_after_bytes: int = 0) -> None:
        self._pieces: list[bytes] = []
        self._size_bytes = 0
        self._failure, self._fail_after_bytes = failure, fail_after_bytes
        self.discarded = self.finished = False

    def write(self, chunk: bytes) -> None:
        """Add bytes, or fail as asked for."""
        self._size_bytes += len(chunk)
        if self._failure is not None and self._size_bytes > self._fail_after_bytes:
            raise self._failure
        self._pieces.append(chunk)

    def finish(self) -> Content:
        """Everything written."""
        self.finished = True
        return Bytes.of(b"".join(self._pieces))

    def discard(self) -> None:
        """Forget everything."""
        self._pieces.clear()
        self.discarded = True


class MemoryReceiver:
    """Knows a few addresses and remembers what came; replies, failures and pauses can be set.

    `replies` maps a folded address to the reply LMTP gives for it; `gate` holds `receive` back until set.
    """

    def __init__(
        self, addresses: Iterable[str] = ("ann@example.org",), *, max_size_bytes: int = 50 << 20
    ) -> None:
        self.max_size_bytes = max_size_bytes
        self.addresses = {address.casefold() for address in addresses}
        self.replies: dict[str, Reply] = {}
        self.not_ready: Reply | None = None
        self.no_collector: MaiRustError | None = None
        self.failure: MaiRustError | None = None
        self.fail_after_bytes = 0
        self.gate: asyncio.Event | None = None
        self.arrived: list[Arrived] = []
        self.refusals: list[tuple[str, str, Reply]] = []
        self.collectors: list[MemoryCollector] = []
        self.asked: list[Connection] = []

    async def recipient(self, address: str, connection: Connection) -> Recipient | Reply:
        """The recipient when it is known."""
        self.asked.append(connection)
        if address.casefold() not in self.addresses:
            return NotFound.reply
        return Recipient(address=address, accounts=(1,))

    def ready(self) -> Reply | None:
        """What `not_ready` says."""
        return self.not_ready

    def collect(self) -> MemoryCollector:
        """A new collector, or the failure asked for."""
        if self.no_collector is not None:
            raise self.no_collector
        collector = MemoryCollector(self.failure, self.fail_after_bytes)
        self.collectors.append(collector)
        return collector

    async def receive(self, envelope: Envelope, content: Content) -> list[Reply]:
        """Keep the mail."""
        if self.gate is not None:
            await self.gate.wait()
        data = content.view()[:]
        content.close()
        self.arrived.append(Arrived(envelope=envelope, data=data))
        answers = [self.replies.get(to.address.casefold(), STORED) for to in envelope.recipients]
        return answers[:1] if envelope.connection.road is Road.SMTP else answers

    def refused(self, envelope: Envelope, rcpt_to: str, reply: Reply) -> None:
        """Remember the refusal."""
        self.refusals.append((envelope.mail_from, rcpt_to, reply))
