"""What a plugin is told of a mail: one JSON document, as much of it as its permissions allow (rule F1).

The part about the message is made once for each mail and set of reading rights, as JSON already; a request
puts it between what differs from call to call.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from mairust_core.mime.bodies import attachment, part_text, sort_parts
from mairust_core.mime.html_text import html_to_text
from mairust_core.mime.preview import WHOLE, read, unread
from mairust_core.mime.rendering import Ranges, headers, render
from mairust_core.mime.transfer_encodings import decode
from mairust_core.mime.tree import Part, scan
from mairust_core.model.blob import Buffer
from mairust_core.model.content import Unread
from mairust_core.model.envelope import Connection
from mairust_core.model.hook import HookType
from mairust_core.model.plugin import Attachments, Body, Permissions
from mairust_core.wire import encode_time

PROTOCOL = 1

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
Rights = tuple[bool, Body, Attachments]


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """Where a plugin may change its mind later, once (rule F3)."""

    url: str
    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What differs between two calls about one mail."""

    hook: HookType
    delivery_id: str
    plugin: str
    attempt: int
    recipient: str
    mail_from: str = ""
    rcpt_to: Sequence[str] = ()
    connection: Connection | None = None
    tags: Sequence[str] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    message_id: str | None = None
    callback: Callback | None = None


class MessagePart:
    """The part of requests that is about the message; belongs to one mail.

    `hidden` are byte ranges that no plugin sees (rule B2); `text` is where its text begins, if that is known.
    Reads `content` only inside `of`.
    """

    def __init__(
        self, content: Buffer, received_at: datetime, hidden: Ranges = (), text: Unread | None = None
    ) -> None:
        self._content = content
        self._text = text
        self._received_at = received_at
        self._hidden = hidden
        self._made: dict[Rights, bytes] = {}
        self._root: Part | None = None

    def of(self, permissions: Permissions) -> bytes:
        """Members of the object `message` without its id, JSON in UTF-8, for whoever has these rights."""
        rights = (permissions.read_headers, permissions.read_body, permissions.read_attachments)
        if rights not in self._made:
            self._made[rights] = to_json(self._members(*rights))[1:-1]
        return self._made[rights]

    def _members(self, read_headers: bool, body: Body, attachments: Attachments) -> dict[str, Any]:
        found: dict[str, Any] = {
            "size": len(self._content) - sum(end - start for start, end in self._hidden),
            "received_at": encode_time(self._received_at),
        }
        if read_headers:
            found["headers"] = headers(self._content, self._hidden)
        if body is not Body.NONE:
            found["body"] = self._body(body, read_headers, attachments)
        if attachments is not Attachments.NONE:
            found["attachments"] = self._attachments(attachments)
        return found

    def _tree(self) -> Part:
        if self._root is None:
            self._root = scan(self._content)
        return self._root

    def _body(self, body: Body, read_headers: bool, attachments: Attachments) -> dict[str, Any]:
        begins = self._text or unread(sort_parts(self._tree()))
        shown = read(self._content, begins, WHOLE)
        found: dict[str, Any] = {"source": shown.source or "plain", "has_html": begins.html is not None}
        if body is Body.PREVIEW:
            return {"preview": shown.text, "truncated": shown.truncated, **found}
        bodies = sort_parts(self._tree())
        html = "\n".join(part_text(self._content, part) for part in bodies.html)
        text = "\n".join(part_text(self._content, part) for part in bodies.plain)
        if not text.strip() and html:
            text = html_to_text(html)
        left_out = self._left_out(bodies.attached, read_headers, attachments)
        raw = render(b"", self._content, left_out)
        return {**found, "text": text, "html": html, "raw_base64": _base64(raw)}

    def _left_out(self, attached: Sequence[Part], read_headers: bool, attachments: Attachments) -> Ranges:
        """What of the raw bytes is not theirs to read: the header, and attached parts."""
        root = self._tree()
        ranges = list(self._hidden) if read_headers else [(0, root.body)]
        if attachments is not Attachments.FULL:
            whole = attachments is Attachments.NONE
            ranges += [
                (part.start if whole and part is not root else part.body, part.end) for part in attached
            ]
        return tuple(sorted(ranges))

    def _attachments(self, extent: Attachments) -> list[dict[str, Any]]:
        found = []
        for part in sort_parts(self._tree()).attached:
            fact = attachment(self._content, part)
            one: dict[str, Any] = {
                "filename": fact.filename,
                "content_type": fact.content_type,
                "size": fact.size_bytes,
            }
            if extent is Attachments.FULL:
                data = decode(self._content[part.body : part.end], part.encoding)
                one |= {"size": len(data), "content_base64": _base64(data)}
            found.append(one)
        return found


def request(asking: Asking, permissions: Permissions, message: bytes) -> bytes:
    """The request as one line of JSON without its newline; `message` comes from `MessagePart.of`."""
    head = {
        "protocol": PROTOCOL,
        "hook": asking.hook.value,
        "delivery_id": asking.delivery_id,
        "plugin": asking.plugin,
        "attempt": asking.attempt,
    }
    tail: dict[str, Any] = {}
    if permissions.read_headers:
        tail["envelope"] = {"mail_from": asking.mail_from, "rcpt_to": list(asking.rcpt_to)}
        tail["connection"] = _connection(asking.connection)
        tail["tags"] = list(asking.tags)
    tail["recipient"] = asking.recipient
    tail["metadata"] = dict(asking.metadata)
    tail["callback"] = _callback(asking.callback)
    message_id = to_json(asking.message_id)
    return b'%b,"message":{"id":%b,%b},%b' % (to_json(head)[:-1], message_id, message, to_json(tail)[1:])


def _connection(known: Connection | None) -> dict[str, Any] | None:
    if known is None:
        return None
    return {"ip": known.ip, "helo": known.helo, "tls": bool(known.tls), "auth": None}


def _callback(callback: Callback | None) -> dict[str, str] | None:
    if callback is None:
        return None
    return {"url": callback.url, "token": callback.token, "expires_at": encode_time(callback.expires_at)}


def to_json(value: object) -> bytes:
    """One line of JSON in UTF-8; what is no character becomes a question mark."""
    try:
        return orjson.dumps(value)
    except TypeError:  # lone surrogates, numbers beyond 64 bits
        return _encode(value).encode("utf-8", "replace")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
