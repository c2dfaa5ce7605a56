"""How mail comes in: resolve → describe → hooks → group commit → 250.

`Receiver` is what the listeners in `smtp/` talk to; `road.py` is the implementation.
"""

from __future__ import annotations

from typing import Protocol

from mairust_core.blobs import Collector as Collector
from mairust_core.model.blob import Content
from mairust_core.model.envelope import Connection, Envelope, Recipient
from mairust_core.model.reply import Reply


class Receiver(Protocol):
    """The road of one node, as a listener sees it."""

    max_size_bytes: int

    async def recipient(self, address: str, connection: Connection) -> Recipient | Reply:
        """The accounts behind one RCPT TO, or the reply that refuses it (550 5.1.1, 451 4.3.0 …)."""
        ...

    def ready(self) -> Reply | None:
        """None when a mail may come; 451 while the database is known to be down, 452 below the reserve."""
        ...

    def collect(self) -> Collector:
        """A collector for one mail; raises `TooMany` when the bytes in flight are used up."""
        ...

    async def receive(self, envelope: Envelope, content: Content) -> list[Reply]:
        """Store the mail, then say so. Takes over `content` and closes it.

        One reply for SMTP; for LMTP and deliver one per recipient, in order (RFC 2033 §4.2).
        Never raises: what goes wrong is a 4xx.
        """
        ...

    def refused(self, envelope: Envelope, rcpt_to: str, reply: Reply) -> None:
        """Note a refusal at MAIL, RCPT or DATA for the trace; never blocks, may be dropped (rule J3)."""
        ...
