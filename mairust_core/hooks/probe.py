"""The benign mail by which a failing hook is told from mails that make it fail (rule E5)."""

from __future__ import annotations

from datetime import UTC, datetime

from mairust_core.hooks.book import Registered
from mairust_core.hooks.payload import Asking, MessagePart, request

PROBE = (
    b"From: postmaster@localhost\r\nTo: postmaster@localhost\r\nSubject: Is this hook alive?\r\n"
    b"Message-ID: <probe@localhost>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"\r\nAny answer will do.\r\n"
)
PROBE_DELIVERY = "probe"
"""Its `delivery_id`, so that a plugin can leave it out of what it counts."""


def probe_request(registered: Registered) -> bytes:
    """The request about the probe, within the plugin's permissions."""
    permissions = registered.plugin.permissions
    asking = Asking(
        hook=registered.hook.type,
        delivery_id=PROBE_DELIVERY,
        plugin=registered.plugin.id,
        attempt=1,
        recipient="postmaster@localhost",
        mail_from="postmaster@localhost",
        rcpt_to=("postmaster@localhost",),
    )
    return request(asking, permissions, MessagePart(PROBE, datetime.now(UTC)).of(permissions))
