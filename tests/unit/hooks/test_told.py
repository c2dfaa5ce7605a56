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
        **BARE, "annotations": {"x": "y" * 16_000}, "log": "z" * 900, "message": "No", "error": "e" * 4000,
    }  # fmt: skip
    found = bounded(event)
    assert found == {**BARE, "message": "No", "cut": ["annotations", "log", "error"]}
    small = bounded({**BARE, "annotations": {"x": "y" * 16_000}, "log": "z" * 900})
    assert (small["log"], small["cut"]) == ("z" * 900, ["annotations"])


TAGS = [f"t{number:02}{'x' * 50}" for number in range(60)]


def test_what_was_changed_stays_however_much_is_said_of_it() -> None:
    """Of long lists the first entries and their number; where it was moved to, and what is short, whole."""
    short = {"remove_tags": ["a"], "flags": ["\\Seen"], "move_to": "Trash"}
    metadata = {f"m{number}": "v" * 100 for number in range(30)}
    found = bounded({**BARE, "effect": {"tags": TAGS, "metadata": metadata, **short}, "refused": ["code"]})
    effect = found["effect"]
    assert {name: effect[name] for name in short} == short
    assert effect["tags"] == TAGS[: len(effect["tags"])]
    assert (*effect["metadata"],) == (*metadata,)[: len(effect["metadata"])]
    assert all(effect.values())
    assert (found["shortened"], "cut" in found, found["refused"]) == (
        {"tags": 60, "metadata": 30}, False, ["code"],
    )  # fmt: skip
    assert _size(found) <= EVENT_BYTES
    again = bounded({**found, "annotations": {"x": "y" * 16_000}, "log": "z" * 5000, "moved_to": "Trash"})
    assert again == {**found, "moved_to": "Trash", "cut": ["annotations", "log"]}


def test_every_list_of_an_effect_can_be_shortened() -> None:
    """And what was cut before stays named."""
    effect = {"tags": TAGS, "remove_tags": TAGS, "flags": TAGS, "move_to": "m" * 900}
    found = bounded({**BARE, "effect": effect, "cut": ["log"], "message": "No"})
    assert (found["shortened"], found["effect"]["move_to"]) == (
        dict.fromkeys(("tags", "remove_tags", "flags"), 60), "m" * 900,
    )  # fmt: skip
    assert (_size(found) <= EVENT_BYTES, found["cut"]) == (True, ["log"])


def test_where_there_is_no_room_any_more_the_move_is_told() -> None:
    """And how much else was changed."""
    found = bounded_together({**BARE, "effect": {"tags": TAGS, "move_to": "Trash"}} for _ in range(1000))
    assert (found[-1]["effect"], found[-1]["shortened"]) == ({"tags": [], "move_to": "Trash"}, {"tags": 60})
    assert _size(found) < MAIL_BYTES + 1000 * _size(found[-1]) + EVENT_BYTES


def test_the_events_of_one_mail_are_bounded_together() -> None:
    """A thousand copies, each with as much as one may say: later ones keep what happened."""
    found = bounded_together({**BARE, "annotations": {"x": "y" * 1900}} for _ in range(1000))
    assert len(found) == 1000
    assert _size(found) < MAIL_BYTES + 1000 * _size({**BARE, "cut": ["annotations"]}) + EVENT_BYTES
    assert ("annotations" in found[0], found[-1]["cut"]) == (True, ["annotations"])
    assert len(bounded_together([BARE] * (MAX_EVENTS + 1))) == MAX_EVENTS
