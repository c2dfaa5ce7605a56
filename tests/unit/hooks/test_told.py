"""What the trace keeps of hooks: who was asked and what came of it, and within bounds what plugins write."""

from __future__ import annotations

import json
from typing import Any

from mairust_core.hooks.told import EVENT_BYTES, MAIL_BYTES, MAX_EVENTS, bounded, bounded_together

BARE: dict[str, Any] = {"at": 1, "kind": "hook", "hook": "h", "plugin": "p", "ms": 1.0, "action": "reject"}


def _size(event: Any) -> int:
    return len(json.dumps(event, separators=(",", ":")))


def test_an_event_of_usual_size_is_kept_as_it_is() -> None:
    """Annotations and all."""
    event = {**BARE, "annotations": {"why": "x" * 1000}, "log": "y" * 500}
    assert bounded(event) is event


def test_what_is_long_goes_and_is_named() -> None:
    """The longest by its kind first; what happened stays."""
    event = {
        **BARE, "annotations": {"x": "y" * 16_000}, "log": "z" * 900, "message": "No",
        "effect": {"metadata": {"a": "b" * 9000}},
    }  # fmt: skip
    found = bounded(event)
    assert found == {**BARE, "message": "No", "cut": ["annotations", "log", "effect"]}
    small = bounded({**BARE, "annotations": {"x": "y" * 16_000}, "log": "z" * 900})
    assert (small["log"], small["cut"]) == ("z" * 900, ["annotations"])


def test_the_events_of_one_mail_are_bounded_together() -> None:
    """A thousand copies, each with as much as one may say: later ones keep what happened."""
    found = bounded_together({**BARE, "annotations": {"x": "y" * 1900}} for _ in range(1000))
    assert len(found) == 1000
    assert _size(found) < MAIL_BYTES + 1000 * _size({**BARE, "cut": ["annotations"]}) + EVENT_BYTES
    assert ("annotations" in found[0], found[-1]["cut"]) == (True, ["annotations"])
    assert len(bounded_together([BARE] * (MAX_EVENTS + 1))) == MAX_EVENTS
