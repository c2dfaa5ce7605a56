"""Parameters that take one of some words."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import pytest

from mairust_core import wire
from mairust_core.errors import Invalid
from mairust_core.model.job import Priority, State
from mairust_core.wire.words import chosen, enum_of


@pytest.mark.parametrize(
    ("kind", "enum"),
    [
        (State, State),
        (State | None, State),
        (str, None),
        (str | None, None),
        (Priority, None),
        (State | int, None),
        (datetime | None, None),
        (tuple[State, ...], None),
    ],
    ids=str,
)
def test_what_takes_words(kind: Any, enum: type[StrEnum] | None) -> None:
    """An enumeration of words, alone or beside nothing."""
    assert enum_of(kind) is enum


@pytest.mark.parametrize("read", [chosen, wire.decode_text])
def test_a_word_is_its_member(read: Any) -> None:
    """Nothing, and an empty word, are none where none may be."""
    assert read(State | None, "state", "dead") is State.DEAD
    assert read(State | None, "state", "") is None
    assert chosen(State | None, "state", State.HELD) is State.HELD
    assert chosen(State | None, "state", None) is None


@pytest.mark.parametrize("read", [chosen, wire.decode_text])
@pytest.mark.parametrize(("kind", "text"), [(State | None, "Dead"), (State | None, " "), (State, "")])
def test_another_word_is_refused_with_those_there_are(read: Any, kind: Any, text: str) -> None:
    """By the name of the parameter."""
    with pytest.raises(Invalid, match=r"^state: .* Choose of ready, running, done, dead, held\.$"):
        read(kind, "state", text)
