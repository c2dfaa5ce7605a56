"""What a plugin is told of a mail: one JSON document, as much of it as its permissions allow (rule F1).

The part about the message is made once for each mail and set of reading rights, as JSON already; a request
puts it between what differs from call to call.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from typing import Any

import orjson

from mairust_core.hooks.shown import bodies_of, left_out
from mairust_core.mime.bodies import Bodies, attachment, text_at, text_in
from mairust_core.mime.html_text import html_to_text
from mairust_core.mime.preview import WHOLE, preview, read_preview, unread
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
TEXT_BYTES = 2 << 20
"""Of all text and of all HTML so much is decoded for `full`, counted as it was sent; the bytes are whole."""
WHOLE_BYTES = 64 << 20
"""Bytes of larger mail are shown to nobody."""
SLICE_BYTES = 3 << 18
"""So much is encoded and copied at a time: it holds the interpreter. A multiple of three."""
HEADER_BYTES = 1 << 20
_ESCAPED = 6
"""Octets of JSON that one octet of text may become."""
_BASE64 = 1.37
_LEAST_BYTES = 32 << 10
EVERYTHING = Permissions(read_headers=True, read_body=Body.FULL, read_attachments=Attachments.FULL)
"""No request is larger than with these."""

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
        self._told_text = text
        self._received_at = received_at
        self._hidden = hidden
        self._made: dict[Rights, bytes] = {}
        self._root: Part | None = None
        self.preview: str | None = None
        """The beginning of the text, once somebody was shown it."""

    @property
    def size_bytes(self) -> int:
        """Of the whole message."""
        return len(self._content)

    def of(self, permissions: Permissions) -> bytes:
        """Members of the object `message` without its id, JSON in UTF-8, for whoever has these rights."""
        rights = rights_of(permissions)
        if rights not in self._made:
            self._made[rights] = _together(self._pieces(*rights))
        return self._made[rights]

    def _pieces(self, read_headers: bool, body: Body, attachments: Attachments) -> Iterator[bytes]:
        found: dict[str, Any] = {
            "size": len(self._content) - sum(end - start for start, end in self._hidden),
            "received_at": encode_time(self._received_at),
        }
        if read_headers:
            found["headers"] = headers(self._content, self._hidden)
        if body is Body.PREVIEW:
            found["body"] = self._preview()
        if attachments is Attachments.METADATA:
            found["attachments"] = [self._fact(part) for part in self._bodies().attached]
        if attachments is not Attachments.NONE and self._tree().cut:
            found["truncated"] = True
        yield to_json(found)[1:-1]
        if body is Body.FULL:
            yield from self._whole_body(read_headers, attachments)
        if attachments is Attachments.FULL:
            yield from self._whole_attachments()

    def _tree(self) -> Part:
        if self._root is None:
            self._root = scan(self._content)
        return self._root

    def _bodies(self) -> Bodies:
        return bodies_of(self._tree())

    def _begins(self) -> Unread:
        return self._told_text if self._told_text and not self._told_text.cut else unread(self._bodies())

    def _preview(self) -> dict[str, Any]:
        begins = self._begins()
        shown = read_preview(self._content, begins, WHOLE)
        if begins is self._told_text:
            self.preview = shown.text
        found = {"source": shown.source or "plain", "has_html": begins.html is not None}
        return {"preview": shown.text, "truncated": shown.truncated, **found}

    def _whole_body(self, read_headers: bool, attachments: Attachments) -> Iterator[bytes]:
        bodies = self._bodies()
        html, all_html = self._shown_text(bodies.html)
        text, all_text = self._shown_text(bodies.plain)
        if not text.strip() and html:
            text = html_to_text(html)
        source = preview(self._content, bodies, WHOLE).source or "plain"
        found: dict[str, Any] = {"source": source, "has_html": bool(bodies.html), "text": text, "html": html}
        is_shown = len(self._content) <= WHOLE_BYTES
        if not (all_html and all_text and is_shown):
            found["truncated"] = True
        if not is_shown:
            yield b',"body":%b' % to_json(found | {"raw_base64": None})
            return
        without = left_out(self._content, self._tree(), self._hidden, read_headers, attachments)
        yield b',"body":%b,"raw_base64":"' % to_json(found)[:-1]
        yield from _base64(render(b"", self._content, without))
        yield b'"}'

    def _shown_text(self, parts: Sequence[Part]) -> tuple[str, bool]:
        """The text of parts, as much of it as is shown, and whether that is all."""
        left_bytes, found, whole = TEXT_BYTES, [], True
        for part in parts:
            text, all_of_it = text_in(self._content, text_at(part), max(left_bytes, 0))
            left_bytes -= part.end - part.body
            found.append(text)
            whole &= all_of_it
        return "\n".join(found), whole

    def _fact(self, part: Part) -> dict[str, Any]:
        fact = attachment(self._content, part)
        return {"filename": fact.filename, "content_type": fact.content_type, "size": fact.size_bytes}

    def _whole_attachments(self) -> Iterator[bytes]:
        yield b',"attachments":['
        for index, part in enumerate(self._bodies().attached):
            fact = self._fact(part)
            comma = b"," if index else b""
            if len(self._content) > WHOLE_BYTES:
                yield comma + to_json(fact | {"content_base64": None})
                continue
            data = decode(self._content[part.body : part.end], part.encoding)
            yield comma + to_json(fact | {"size": len(data)})[:-1] + b',"content_base64":"'
            yield from _base64(data)
            yield b'"}'
        yield b"]"


def rights_of(permissions: Permissions) -> Rights:
    """What decides about the part of a request that is about the message."""
    return permissions.read_headers, permissions.read_body, permissions.read_attachments


def most_bytes(size_bytes: int, header_size_bytes: int | None, permissions: Permissions) -> int:
    """What the part about a mail of that size comes to at the most, to be known before it is made."""
    header_bytes = size_bytes if header_size_bytes is None else header_size_bytes
    whole_bytes = int(_BASE64 * size_bytes) if size_bytes <= WHOLE_BYTES else 0
    found = _LEAST_BYTES
    if permissions.read_headers:
        found += _ESCAPED * min(header_bytes, HEADER_BYTES)
    if permissions.read_body is Body.FULL:
        found += whole_bytes + 2 * _ESCAPED * min(size_bytes, TEXT_BYTES)
    if permissions.read_attachments is Attachments.FULL:
        found += whole_bytes
    return found


def inline_bytes(permissions: Permissions) -> int:
    """Of larger mail the request is made on a thread, so that the loop is never held for milliseconds."""
    whole = Body.FULL is permissions.read_body or Attachments.FULL is permissions.read_attachments
    return 16 << 10 if whole else 256 << 10


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
    before = b'%b,"message":{"id":%b,' % (to_json(head)[:-1], message_id)
    after = b"},%b" % to_json(tail)[1:]
    if len(message) <= SLICE_BYTES:
        return before + message + after
    return _together([before, *_slices(message), after])


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


def _base64(data: bytes) -> Iterator[bytes]:
    yield from map(base64.b64encode, _slices(data))


def _slices(data: bytes) -> Iterator[memoryview]:
    view = memoryview(data)
    return (view[at : at + SLICE_BYTES] for at in range(0, len(view), SLICE_BYTES))


def _together(pieces: Iterable[bytes | memoryview]) -> bytes:
    """All pieces as one, copied one by one: other threads have their turn between them."""
    whole = BytesIO()
    for piece in pieces:
        whole.write(piece)
    return whole.getvalue()
