"""What hooks did, as `mairust trace` tells it."""

from __future__ import annotations

from typing import Any

import pytest

from mairust_cli.hook_events import told


@pytest.mark.parametrize(
    ("lang", "wanted"),
    [
        ("en", "h on ann: deliver after 1 ms; tags a, b … (60 in all); move_to Trash; moved to Trash"),
        ("ja", "ann に対する h: 1 ミリ秒で deliver; tags a, b …（全 60 件）; move_to Trash; 移動先: Trash"),
    ],
)
def test_what_was_changed_is_told_with_what_is_left_of_it(lang: str, wanted: str) -> None:
    """How long a list was, and where the mail is."""
    event: dict[str, Any] = {
        "kind": "hook", "hook": "h", "account": "ann", "action": "deliver", "ms": 1.0,
        "effect": {"tags": ["a", "b"], "move_to": "Trash"}, "shortened": {"tags": 60}, "moved_to": "Trash",
    }  # fmt: skip
    assert told(event, lang) == wanted
    event |= {"effect": {"metadata": {}}, "shortened": {"metadata": 3}}
    assert "metadata {} …" in told(event, lang)
