"""What a table says of a change: what was set, and from what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mairust_cli.commands.audit import details
from mairust_core.model.audit import Entry, EntryDetails
from mairust_core.model.ids import Id

ANN = "ann@example.org"
LINES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    (ANN, {"address": ANN, "quota_bytes": 5000}, {"quota_bytes": None}, "quota_bytes: null → 5000"),
    (ANN, {"address": ANN, "admin": False}, {"admin": True}, "admin: true → false"),
    (ANN, {"address": ANN, "admin": False, "quota_bytes": None}, {}, ""),
    (ANN, {"address": ANN, "quota_bytes": 0}, {}, "quota_bytes: 0"),
    (ANN, {"address": ANN}, {"enabled": True}, "enabled: true →"),
    (f"{ANN} Work", {"address": ANN, "name": "Work", "to": "Play"}, {}, "to: Play"),
    ("h", {"filter": {"size_gt": 9}, "mode": ""}, {"filter": ""}, 'filter: "" → {"size_gt":9}'),
    ("info@x", {"to": ["a@x", "b@x"], "tags": []}, {}, 'to: ["a@x","b@x"]'),
]


def entry(subject: str, found: EntryDetails | None) -> Entry:
    """An entry with these details."""
    at = datetime(2026, 1, 2, tzinfo=UTC)
    return Entry(id=Id(7), at=at, actor="local:x", operation="x.y", subject=subject, details=found)


@pytest.mark.parametrize(("subject", "asked", "before", "line"), LINES)
def test_a_line_says_what_was_set(
    subject: str, asked: dict[str, Any], before: dict[str, Any], line: str
) -> None:
    """What the subject says already is left out, and what was left out or is empty."""
    assert details(entry(subject, EntryDetails(asked=asked, before=before))) == line


def test_an_entry_without_details_has_none() -> None:
    """It is of an older version, or of an older server."""
    assert details(entry(ANN, None)) == ""
