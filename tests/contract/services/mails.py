"""Mail that comes in by the real road, for tests of what is known of it afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from mairust_core.app import Site
from mairust_core.model.blob import Bytes
from mairust_core.model.envelope import Connection, Envelope, Recipient, Road
from mairust_core.model.reply import Reply
from mairust_core.receive.refusals import Refusals
from mairust_core.receive.road import open_road

CLIENT = Connection(road=Road.SMTP, ip="192.0.2.7", helo="mx.elsewhere.example", session_id="s1")


def receive(
    site: Site,
    recipients: Sequence[str],
    data: bytes,
    *,
    sender: str = "eve@elsewhere.example",
    connection: Connection = CLIENT,
) -> list[Reply]:
    """Take one mail in, as a listener would; the replies."""

    async def come() -> list[Reply]:
        refusals = Refusals(site.storage, site.ids)
        road = open_road(site, refusals=refusals)
        try:
            envelope = Envelope(
                mail_from=sender, recipients=(), connection=connection, received_at=datetime.now(UTC)
            )
            found: list[Recipient] = []
            for address in recipients:
                answer = await road.recipient(address, connection)
                if isinstance(answer, Reply):
                    road.refused(envelope, address, answer)
                    return [answer]
                found.append(answer)
            given = Envelope(
                mail_from=sender,
                recipients=tuple(found),
                connection=connection,
                received_at=datetime.now(UTC),
            )
            return await road.receive(given, Bytes.of(data))
        finally:
            road.close()
            refusals.flush()

    return asyncio.run(come())


def mail(message_id: str, subject: str = "hello") -> bytes:
    """A small mail with that Message-ID."""
    head = f"From: Eve <eve@elsewhere.example>\r\nMessage-ID: {message_id}\r\nSubject: {subject}\r\n"
    return f"{head}\r\nHi.\r\n".encode()
