"""The benign mail by which a failing hook is told from mails that make it fail (rule E5).

It looks like the mail that failed last, so that a plugin cannot answer the one and fail on the other: it is
for the same recipient from the same client, with the same tags and a callback as that one had, though its
token opens nothing; only what a sender writes is ours.
"""

from __future__ import annotations

import json
import random
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

from mairust_core.hooks.book import Registered
from mairust_core.hooks.payload import Asking, Callback, MessagePart, request
from mairust_core.hooks.transport import Call
from mairust_core.model.envelope import Connection, Road
from mairust_core.model.hook import HookType

READ_BYTES = 1 << 20
"""Of larger requests nothing is taken over: they would have to be read to their end."""
NEAR = 1 << 22
"""Ids that lie as far from each other as those of two mails within a second."""
_NAMES = ("anna", "ben", "carla", "david", "emma", "felix", "hana", "ken", "lena", "maria", "paul", "yuki")
_HOUSES = ("birch", "bright", "clear", "field", "harbour", "lake", "maple", "north", "river", "stone", "west")
_WORDS = (
    "about", "agenda", "again", "call", "draft", "for", "friday", "from", "last", "lunch", "meeting",
    "minutes", "monday", "next", "notes", "office", "order", "our", "plan", "please", "question", "report",
    "schedule", "thanks", "the", "ticket", "trip", "update", "visit", "week", "with", "your",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Sender:
    name: str
    domain: str

    @property
    def address(self) -> str:
        return f"{self.name}@{self.domain}"


def probe_of(registered: Registered, failed: Call) -> tuple[str, bytes]:
    """The delivery id and the request of a probe after a call that failed, within the permissions."""
    told = _told(failed.body)
    recipient = str(told.get("recipient") or "postmaster@localhost")
    sender = _sender()
    permissions = registered.plugin.permissions
    name, number = _near(failed.delivery_id)
    asking = Asking(
        hook=registered.hook.type,
        delivery_id=name,
        plugin=registered.plugin.id,
        attempt=1,
        recipient=recipient,
        mail_from=sender.address,
        rcpt_to=(recipient,),
        connection=_connection(told.get("connection"), sender.domain),
        tags=told.get("tags", ()),
        message_id=number if registered.hook.type is HookType.POST_RECEIVE else None,
        callback=_callback(told.get("callback"), (failed.delivery_id, name), number),
    )
    mail = _mail(sender, recipient)
    return name, request(asking, permissions, MessagePart(mail, datetime.now(UTC)).of(permissions))


def _told(body: bytes) -> dict[str, Any]:
    """What the plugin was told of the mail that failed; it is ours, so it is well formed."""
    found: dict[str, Any] = json.loads(body) if len(body) <= READ_BYTES else {}
    return found


def _near(delivery_id: str) -> tuple[str, str]:
    """A delivery id of a mail that might have come just now, and the number in it."""
    number, rest = re.fullmatch(r"([0-9]*)(.*)", delivery_id, re.DOTALL).groups()  # type: ignore[union-attr]
    found = str(int(number or 0) + 1 + secrets.randbelow(NEAR))
    return f"{found}{rest}", found


def _connection(told: Any, helo: str) -> Connection | None:
    if not isinstance(told, dict):
        return None
    return Connection(road=Road.SMTP, ip=told["ip"], helo=helo, tls="TLSv1.3" if told["tls"] else "")


def _callback(told: Any, names: tuple[str, str], message_id: str) -> Callback | None:
    """One like that of the call that failed; `names` are its delivery id and the probe's."""
    if not isinstance(told, dict):
        return None
    was, name = names
    return Callback(
        url=told["url"].removesuffix(quote(was, safe="")) + quote(name, safe=""),
        token=_token(told["token"], name, message_id),
        expires_at=datetime.fromisoformat(told["expires_at"]),
    )


def _token(like: str, name: str, message_id: str) -> str:
    """A token that says what a real one would, under a signature that nobody made (RFC 7515 §3.1)."""
    head, claims, signature = like.split(".")
    said = json.loads(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    said |= {"jti": name, "message": message_id}
    made = json.dumps(said, separators=(",", ":")).encode()
    signed = secrets.token_bytes(len(signature) * 3 // 4)
    return ".".join([head, *(urlsafe_b64encode(one).decode().rstrip("=") for one in (made, signed))])


def _sender() -> _Sender:
    pick = random.SystemRandom().choice
    return _Sender(pick(_NAMES), f"{pick(_HOUSES)}{pick(_HOUSES)}.org")


def _mail(sender: _Sender, recipient: str) -> bytes:
    sentences = "\r\n".join(f"{_some(6).capitalize()}." for _ in range(3))
    lines = (
        f"From: {sender.name.capitalize()} <{sender.address}>",
        f"To: <{recipient}>",
        f"Subject: {_some(3).capitalize()}",
        f"Date: {format_datetime(datetime.now(UTC))}",
        f"Message-ID: <{secrets.token_hex(12)}@{sender.domain}>",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "",
        f"{sentences}\r\n",
    )
    return "\r\n".join(lines).encode("utf-8", "replace")


def _some(count: int) -> str:
    return " ".join(random.SystemRandom().sample(_WORDS, count))
