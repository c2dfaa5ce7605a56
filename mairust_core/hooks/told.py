"""How much of what hooks said the trace keeps: it is a log that plugins write into, with no right to.

An event keeps what happened in any case: who was asked, what came of it, how long it took, and what it
changed: of long lists the first entries and, in `shortened`, how many there were. What a plugin may make as
long as it likes goes first, and `cut` names what is gone (rule J3).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, islice
from typing import Any

from mairust_core.hooks import Event
from mairust_core.hooks.payload import to_json

EVENT_BYTES = 2 << 10
"""Of one event, as JSON."""
MAIL_BYTES = 256 << 10
"""Of all events of one mail on its way in; beyond it they are told without what plugins made long."""
MAX_EVENTS = 2000
"""As many as the trace keeps."""
_REMARKS = ("annotations", "log")
_LISTS = ("tags", "metadata", "remove_tags", "flags")
"""Of an effect; where a mail was moved to is never left out."""
_WORDS = ("refused", "left_out", "error", "message")
"""In the order in which they go, or are shortened."""
_SHARE = 8
"""What a shortened list may take is this part of an event."""


def bounded(event: Event, most_bytes: int = EVENT_BYTES) -> Event:
    """The event, without some of what is long in it when it is larger than that."""
    return _sized(event, most_bytes)[0]


def _sized(event: Event, most_bytes: int) -> tuple[Event, int]:
    """The bounded event and its size."""
    size_bytes = len(to_json(event))
    if size_bytes <= most_bytes:
        return event, size_bytes
    kept: dict[str, Any] = dict(event)
    size_bytes -= _cut(kept, _REMARKS, size_bytes - most_bytes)
    size_bytes -= _shorten(kept, size_bytes - most_bytes, most_bytes // _SHARE)
    _cut(kept, _WORDS, size_bytes - most_bytes)
    return kept, len(to_json(kept))


def _cut(event: dict[str, Any], names: Iterable[str], excess_bytes: int) -> int:
    """Leave out what is too much; how many bytes that were."""
    saved_bytes = 0
    cut = [*event.get("cut", ())]
    for name in names:
        if name in event and excess_bytes > saved_bytes:
            saved_bytes += len(to_json({name: event.pop(name)}))
            cut.append(name)
    if cut:
        event["cut"] = cut
    return saved_bytes


def _shorten(event: dict[str, Any], excess_bytes: int, most_bytes: int) -> int:
    """Keep of what an effect lists the first entries, so many bytes of each; how many that saved."""
    effect, counts = dict(event.get("effect", {})), dict(event.get("shortened", {}))
    saved_bytes = 0
    for name in _LISTS:
        given = effect.get(name, ())
        first = _first(given, most_bytes)
        if excess_bytes > saved_bytes and len(first) < len(given):
            counts.setdefault(name, len(given))
            effect[name] = first
            saved_bytes += len(to_json(given)) - len(to_json(first))
    if saved_bytes:
        event |= {"effect": effect, "shortened": counts}
    return saved_bytes


def _first(given: Sequence[str] | dict[str, Any], most_bytes: int) -> list[str] | dict[str, Any]:
    """The first entries, as many as fit."""
    sizes = accumulate(len(to_json({one: given[one]} if isinstance(given, dict) else one)) for one in given)
    count = sum(1 for size in sizes if size <= most_bytes)
    return dict(islice(given.items(), count)) if isinstance(given, dict) else [*given[:count]]


def bounded_together(events: Iterable[Event]) -> list[Event]:
    """Events of one mail, each bounded, and all of them."""
    found: list[Event] = []
    left_bytes = MAIL_BYTES
    for event in events:
        if len(found) == MAX_EVENTS:
            break
        one, size_bytes = _sized(event, min(EVENT_BYTES, max(left_bytes, 0)))
        left_bytes -= size_bytes
        found.append(one)
    return found
