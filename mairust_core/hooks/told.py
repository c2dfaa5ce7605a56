"""How much of what hooks said the trace keeps: it is a log that plugins write into, with no right to.

An event keeps what happened in any case: who was asked, what came of it, how long it took. What a plugin may
make as long as it likes goes first, and `cut` names what is gone (rule J3).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mairust_core.hooks import Event
from mairust_core.hooks.payload import to_json

EVENT_BYTES = 2 << 10
"""Of one event, as JSON."""
MAIL_BYTES = 256 << 10
"""Of all events of one mail on its way in; beyond it they are told without what plugins made long."""
MAX_EVENTS = 2000
"""As many as the trace keeps."""
_LONG = ("annotations", "log", "effect", "refused", "left_out", "error", "message")
"""In the order in which they go."""


def bounded(event: Event, most_bytes: int = EVENT_BYTES) -> Event:
    """The event, without some of what is long in it when it is larger than that."""
    return _sized(event, most_bytes)[0]


def _sized(event: Event, most_bytes: int) -> tuple[Event, int]:
    """The bounded event and its size."""
    size_bytes = len(to_json(event))
    if size_bytes <= most_bytes:
        return event, size_bytes
    kept: dict[str, Any] = dict(event)
    cut: list[str] = []
    for name in _LONG:
        if name in kept and size_bytes > most_bytes:
            size_bytes -= len(to_json({name: kept.pop(name)}))
            cut.append(name)
    kept["cut"] = cut
    return kept, len(to_json(kept))


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
