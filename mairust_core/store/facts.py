"""Facts of a content as the store keeps them, and as its row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import orjson

from mairust_core.ids import to_ms
from mairust_core.model.content import SNIPPET_CHARACTERS, Correspondent, Facts, KeptFacts
from mairust_core.model.delivery import Delivery
from mairust_core.model.message import Attachment, Party
from mairust_core.store.thread_keys import own_keys, parent_keys, parties_folded

_PARTIES = ("from_", "sender", "reply_to", "to", "cc", "bcc")
MAX_PARTIES = 100
MAX_PARTIES_CHARACTERS = 8 << 10
MAX_FILENAME_CHARACTERS = 255
"""What a list shows of one field, and of one name: a page of mail is bounded, whatever senders write."""
_COLUMNS = KeptFacts._fields.index("own_keys")
"""How many values of `KeptFacts` are columns."""


def content_row(delivery: Delivery) -> tuple[Any, ...]:
    """The row of table `content` in its column order; the least there is when nothing could be described."""
    content, kept = delivery.content, delivery.kept
    if kept is None:
        kept = KeptFacts(content.size_bytes, 0, "mixed", False, None, "", "", "", False, "{}", b"", b"")
    return (content.sha256, delivery.tenant_id, content.size_bytes, *kept[:_COLUMNS])


def kept_facts(facts: Facts) -> KeptFacts:
    """Facts as the store keeps them: text cleaned, ids of its thread hashed."""
    return KeptFacts(
        facts.crlf_size_bytes,
        facts.header_size_bytes,
        facts.eol,
        True,
        None if facts.date is None else to_ms(facts.date),
        cleaned(facts.subject),
        cleaned(facts.message_id),
        as_snippet(facts.preview),
        facts.has_attachments,
        _dump(facts),
        facts.envelope,
        facts.bodystructure,
        own_keys(facts),
        parent_keys(facts),
        facts.base_subject.casefold(),
        facts.is_reply_or_forward,
        *parties_folded(facts),
    )


def as_snippet(preview: str) -> str:
    """The beginning of a preview, as long as it is kept."""
    return cleaned(preview[:SNIPPET_CHARACTERS])


def _dump(facts: Facts) -> str:
    found: dict[str, Any] = {name: _shown(parties) for name in _PARTIES if (parties := getattr(facts, name))}
    if facts.in_reply_to:
        found["in_reply_to"] = facts.in_reply_to
    if facts.references:
        found["references"] = facts.references
    if facts.attachments:
        found["attachments"] = [
            (
                a.part,
                a.filename[:MAX_FILENAME_CHARACTERS],
                a.content_type,
                a.size_bytes,
                a.disposition,
                a.content_id,
            )
            for a in facts.attachments
        ]
    return to_json(found)


def _shown(parties: Sequence[Correspondent]) -> list[tuple[str, str]]:
    """The first parties of a field; the header itself has them all."""
    kept: list[tuple[str, str]] = []
    room = MAX_PARTIES_CHARACTERS
    for one in parties[:MAX_PARTIES]:
        room -= len(one.name) + len(one.address)
        if room < 0 and kept:
            break
        kept.append((one.name, one.address))
    return kept


def cleaned(text: str) -> str:
    """Text that any database takes: without NUL and lone surrogates (rule C4)."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


# An encoder made once: `json.dumps` with any option of its own makes one for every call.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def to_json(value: object) -> str:
    """The JSON text of a value as columns keep it: compact, and text that any database takes."""
    try:
        return orjson.dumps(value).decode()  # the same text in a sixth of the time
    except TypeError:  # lone surrogates, numbers beyond 64 bits, keys that are no text
        return cleaned(_encode(value))


def parties(found: dict[str, Any], name: str) -> tuple[Party, ...]:
    """The parties of one header field in loaded facts."""
    return tuple(Party(name=one[0], address=one[1]) for one in found.get(name, ()))


def attachments(found: dict[str, Any]) -> tuple[Attachment, ...]:
    """The attachments in loaded facts, numbered from 1."""
    return tuple(
        Attachment(number=number, part=a[0], filename=a[1], content_type=a[2], size=a[3])
        for number, a in enumerate(found.get("attachments", ()), 1)
    )
