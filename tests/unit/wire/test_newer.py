"""Answers with words that this version does not know yet."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

import pytest

from mairust_core import wire
from mairust_core.errors import Invalid
from mairust_core.model.forms import Page
from mairust_core.model.job import Job, Priority, State
from mairust_core.operations import BytesOut, items_of
from mairust_core.services.registry import SERVICES
from mairust_core.wire.newer import member

TIME = "2027-01-01T00:00:00.000Z"
JOB: dict[str, Any] = {
    "id": "1", "kind": "k", "subject": "s", "state": "paused", "priority": 55, "attempts": 1,
    "max_attempts": 2, "run_at": TIME, "created_at": TIME, "finished_at": None, "leased_until": None,
    "worker": None, "last_error": None,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An answer with words in every place."""

    one: State
    some: tuple[State, ...]
    maybe: State | None
    by_name: dict[str, State]
    plain: Literal["a", "b"]


def test_a_new_word_is_kept() -> None:
    """It is of its kind, is none of those that are known, and goes out as it came in."""
    page = wire.decode(Page[Job], json.dumps({"items": [JOB], "next_cursor": None}))
    (job,) = page.items
    assert (type(job.state), job.state, str(job.state), job.state.name) == (
        State,
        "paused",
        "paused",
        "paused",
    )
    assert job.state not in list(State)
    assert (type(job.priority), job.priority) == (Priority, 55)
    assert json.loads(wire.dumps(page))["items"] == [JOB]


def test_known_words_are_what_they_are() -> None:
    """In lists, beside nothing, and in objects by name."""
    given = {"one": "dead", "some": ["new", "held"], "maybe": None, "by_name": {"x": "newer"}, "plain": "c"}
    found = wire.decode(Told, json.dumps(given))
    assert found.one is State.DEAD
    assert found.some[1] is State.HELD
    assert json.loads(wire.dumps(found)) == given


@pytest.mark.parametrize("wrong", [5, None, True, ["dead"], {}])
def test_what_is_no_word_is_refused(wrong: object) -> None:
    """It names the field."""
    with pytest.raises(Invalid, match=r"^state: "):
        wire.decode(Job, json.dumps({**JOB, "state": wrong}))


def test_a_request_has_none() -> None:
    """There, and in the enumeration itself, nothing has changed."""
    with pytest.raises(Invalid, match=r"^state: "):
        wire.decode_request(Job, json.dumps({**copy.deepcopy(JOB), "priority": 10}).encode())
    member(State, "paused")
    assert "paused" not in {one.value for one in State}
    with pytest.raises(ValueError, match="paused"):
        State("paused")


def test_only_words_and_numbers_grow() -> None:
    """Of an enumeration of anything else an unknown value is wrong."""

    class Odd(Enum):
        ONE = (1, 2)

    with pytest.raises(ValueError, match="is not a valid"):
        member(Odd, (3, 4))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(op.answers, id=op.id)
        for kind in SERVICES
        for op in kind.operations.values()
        if op.returns is not BytesOut and items_of(op.returns) is None
    ],
)
def test_every_answer_can_be_read_so(answer: Any) -> None:
    """Each has a validator; what is no object at all is refused."""
    with pytest.raises(Invalid):
        wire.decode(answer, "7")
