"""What some bytes say: where their parts lie, and the facts in them; never raises, linear, bounded."""

from __future__ import annotations

import re

from mairust_core.mime.addresses import correspondents
from mairust_core.mime.bodies import attachment, charset_of, is_attachment, sort_parts
from mairust_core.mime.bodystructure import bodystructure
from mairust_core.mime.dates import parse_date
from mairust_core.mime.encoded_words import decode_header
from mairust_core.mime.envelope import address_fields, envelope
from mairust_core.mime.fields import Fields
from mairust_core.mime.line_ends import Buffer, count, crlf_form, eol_of
from mairust_core.mime.preview import NOTHING, WHOLE, Extent, Preview, read_preview, unread
from mairust_core.mime.subjects import MAX_SUBJECT_CHARACTERS, base_subject
from mairust_core.mime.tree import scan
from mairust_core.model.content import MAX_ID_OCTETS, Eol, Facts

MAX_REFERENCES = 100
"""Of more references the first and the last ones are kept: the root of the thread and its nearest."""
LIGHT_BYTES = 16 << 10
"""Of headers and parts: as many as nearly all mail has, and half a megabyte in memory at the worst."""

_MSG_ID = re.compile(r"<[^<>]++>")
_SUBJECT_BYTES = 8 * MAX_SUBJECT_CHARACTERS


def describe(content: Buffer, *, crlf_proved: bool = False, extent: Extent = WHOLE) -> Facts:
    """Return the facts of a content (RFC 5322, 2045–2047, 9051), whatever bytes it is; never raises.

    `crlf_proved`: the caller knows that there is no bare LF (rule B3 refuses it over SMTP); saves a tenth.
    `extent`: how much of the preview is wanted.
    """
    size = len(content)
    crlf_size, crlf_count = (size, 0) if crlf_proved else _counted(content)
    outline = Outline(content if crlf_size == size else crlf_form(content))
    return outline.facts(outline.preview(extent), size, eol_of(size, crlf_size, crlf_count))


class Outline:
    """Where the parts of a content without bare LF lie, which takes a third of the time of all facts."""

    def __init__(self, content: Buffer) -> None:
        """Look through it; never raises, whatever it is."""
        self._content = content
        self._root = scan(content)
        self._bodies = sort_parts(self._root)
        self.header_size_bytes = self._root.body
        self.text = unread(self._bodies)
        """Where the preview begins, for `read_preview`."""
        self.is_light = self._root.weight_bytes <= LIGHT_BYTES
        """Whether it holds little: that may be 28 times what its headers are."""

    @property
    def received_count(self) -> int:
        """How many `Received` fields its header has."""
        return self._root.fields.count(b"received")

    def preview(self, extent: Extent) -> Preview:
        """Return the beginning of the text."""
        return read_preview(self._content, self.text, extent)

    def facts(self, shown: Preview = NOTHING, size_bytes: int | None = None, eol: Eol = "crlf") -> Facts:
        """Return all facts; `shown` is the preview, size and line ends are of the bytes as they came."""
        content, root, bodies = self._content, self._root, self._bodies
        fields = root.fields
        addresses = address_fields(fields)
        charset = charset_of((bodies.plain or bodies.html or [root])[0])
        subject = _subject(fields, charset)
        base, marked = base_subject(subject)
        return Facts(
            size_bytes=len(content) if size_bytes is None else size_bytes,
            crlf_size_bytes=len(content),
            eol=eol,
            header_size_bytes=root.body,
            received_count=self.received_count,
            subject=subject,
            base_subject=base,
            is_reply_or_forward=marked,
            from_=correspondents(addresses.from_, charset),
            sender=correspondents(addresses.sender, charset),
            reply_to=correspondents(addresses.reply_to, charset),
            to=correspondents(addresses.to, charset),
            cc=correspondents(addresses.cc, charset),
            bcc=correspondents(addresses.bcc, charset),
            date=parse_date(_text(fields, b"date")),
            message_id=_message_id(_text(fields, b"message-id")),
            in_reply_to=_message_ids(_text(fields, b"in-reply-to")),
            references=_message_ids(_text(fields, b"references")),
            preview=shown.text,
            preview_source=shown.source,
            preview_truncated=shown.truncated,
            has_html=bool(bodies.html),
            attachments=tuple([attachment(content, part) for part in bodies.attached]),
            has_attachments=root.cut or any(map(is_attachment, bodies.attached)),
            envelope=envelope(fields, addresses),
            bodystructure=bodystructure(content, root),
        )


def _counted(content: Buffer) -> tuple[int, int]:
    """The size of the CRLF form, and how many CRLF there are."""
    size = len(content)
    crlf_count = count(content, b"\r\n", 0, size)
    return size + count(content, b"\n", 0, size) - crlf_count, crlf_count


def _subject(fields: Fields, charset: str) -> str:
    raw = (fields.get(b"subject") or b"")[:_SUBJECT_BYTES]
    return decode_header(raw, charset)[:MAX_SUBJECT_CHARACTERS]


def _text(fields: Fields, name: bytes) -> str:
    value = fields.get(name)
    return decode_header(value) if value else ""


def _message_id(text: str) -> str:
    """Return the first msg-id, or what stands there instead of one."""
    found = _MSG_ID.search(text)
    chosen = "".join(found.group().split()) if found else text
    return chosen if _fits(chosen) else ""


def _fits(id_: str) -> bool:
    return len(id_) <= MAX_ID_OCTETS and (id_.isascii() or len(id_.encode()) <= MAX_ID_OCTETS)


def _message_ids(text: str) -> tuple[str, ...]:
    """Return the distinct msg-ids in order (RFC 5322 §3.6.4)."""
    if not text:
        return ()
    found = dict.fromkeys("".join(one.split()) for one in _MSG_ID.findall(text))
    ids = [one for one in found if _fits(one)]
    return tuple(ids if len(ids) <= MAX_REFERENCES else [ids[0], *ids[1 - MAX_REFERENCES :]])
