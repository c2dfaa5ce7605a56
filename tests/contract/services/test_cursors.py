"""Cursors: each goes on where its page ended, in its own list with its own filters, and nowhere else."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from mairust_core.errors import Invalid
from mairust_core.model.moment import Moment
from mairust_core.operations import Operation, Service
from mairust_core.operations.cursors import BESIDE, Listing
from mairust_core.services.registry import SERVICES
from tests.contract.services.conftest import Served, serving
from tests.contract.services.lists import LISTS, Values, ask, fill
from tests.contract.services.words import Ops


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A site of their own: its jobs, hooks and traces are in nobody's way."""
    with serving(request, tmp_path_factory.mktemp("cursors")) as found:
        yield found


@pytest.fixture(scope="module")
def values(served: Served) -> Iterator[Values]:
    """Two of everything that can be listed, and by what path parameters its lists are had."""
    with TemporaryDirectory() as directory:
        yield fill(served, Path(directory))


def first_cursor(service: Service, op: Operation, values: Values) -> str:
    """That of the first page."""
    found = ask(service, op, values, "").next_cursor
    assert found, f"{op.id} has one page only: it proves nothing"
    return found


def refused(service: Service, op: Operation, values: Values, cursor: str, **asked: Any) -> None:
    """The list names the cursor, and says what to do."""
    with pytest.raises(Invalid, match="next_cursor") as caught:
        ask(service, op, values, cursor, **asked)
    assert str(caught.value).startswith("cursor: ")


@pytest.mark.parametrize(("kind", "op"), LISTS)
def test_a_cursor_goes_on_where_its_page_ended(
    ops: Ops, served: Served, values: Values, kind: type[Service], op: Operation
) -> None:
    """Also when it was given here and is taken there, or the other way round."""
    first = ask(ops(kind), op, values, "")
    assert first.next_cursor
    here, there = (ask(one(kind), op, values, first.next_cursor) for one in (served.here, served.there))
    assert (len(here.items), here.items) == (1, there.items)
    assert here.items != first.items
    assert here.next_cursor == there.next_cursor != first.next_cursor


@pytest.mark.parametrize(("kind", "op"), LISTS)
def test_a_cursor_that_none_gave_is_refused(
    ops: Ops, values: Values, kind: type[Service], op: Operation
) -> None:
    """A word, a released server's, one that is cut, longer, changed anywhere, or made of nonsense."""
    good = first_cursor(ops(kind), op, values)
    changed = [good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1 :] for at in (1, 6, len(good) - 2)]
    nonsense = "." + urlsafe_b64encode(b"\0" * 9 + b"1").decode().rstrip("=")
    old = [values["address"], "1-1", "1", "zz", "INBOX", "é", "9" * 60]
    for cursor in [good[1:], good[:-1], good + "A", good + "=", f" {good}", ".", *changed, nonsense, *old]:
        refused(ops(kind), op, values, cursor)


@pytest.mark.parametrize(("kind", "op"), LISTS)
def test_a_cursor_is_of_one_list(
    ops: Ops, served: Served, values: Values, kind: type[Service], op: Operation
) -> None:
    """No other list takes it, whatever is listed there."""
    cursor = first_cursor(served.here(kind), op, values)
    for other_kind in SERVICES:
        for other in other_kind.operations.values():
            if other.is_continued and other is not op:
                refused(ops(other_kind), other, values, cursor)


@pytest.mark.parametrize(("kind", "op"), LISTS)
def test_a_cursor_is_of_one_filter(ops: Ops, values: Values, kind: type[Service], op: Operation) -> None:
    """Every parameter counts, those of the path too, but the size of the page and bounds in time."""
    cursor = first_cursor(ops(kind), op, values)
    told = {"refused": True, "deleted": True, "outcome": "failed", "state": "ready"}
    words = {"unflag": "\\Seen", "flag": "\\Seen", "after": "1", "q": "other", "account": "x@y.example"}
    members = [one.name for one in op.query] if not op.body else ["account"]
    for name in (*op.path_params, *members):
        if name not in BESIDE:
            refused(ops(kind), op, values, cursor, **{name: {**told, **words}.get(name, "other")})


@pytest.mark.parametrize(("kind", "op"), LISTS)
def test_a_bound_in_time_may_move(ops: Ops, values: Values, kind: type[Service], op: Operation) -> None:
    """Seven days ago is another time on the next page; where the list goes on is the same."""
    cursor = first_cursor(ops(kind), op, values)
    names = {one.name for one in op.query} | ({"since"} if op.body else set())
    asked = {"since": Moment("7d")} if "since" in names else {}
    assert ask(ops(kind), op, values, cursor, **asked) == ask(ops(kind), op, values, cursor)


@pytest.mark.parametrize(("kind", "op"), LISTS)
def test_trap_a5_a_forged_position_is_data(
    ops: Ops, values: Values, kind: type[Service], op: Operation
) -> None:
    """The sum is no secret: whoever makes one up gets a page or a refusal, and no more."""
    asked = {"q": "cursor", "account": values["address"]} if op.id == "search.find" else {}
    asked |= {"account": values["address"]} if op.body else {}
    of = {"id": values["plugin"] if op.path.startswith("/plugins") else values["message"], **values}
    listing = Listing(op.id, {**{name: of[name] for name in op.path_params}, **asked})
    assert listing.open(first_cursor(ops(kind), op, values))
    for position in ("' OR 1=1 --", "zz", "-1", "9" * 60, "𝕏" * 300, "1-" + "9" * 30, "a\0b", "\ud83d"):
        found = told_of(ops(kind), op, values, listing.seal(position))
        assert found.startswith(("a page", "cursor: ")), (position, found)


def told_of(service: Service, op: Operation, values: Values, cursor: str) -> str:
    """What came of asking."""
    try:
        return f"a page: {ask(service, op, values, cursor)}"
    except Invalid as error:
        return str(error)


def test_there_are_lists() -> None:
    """An empty table would prove nothing; one of them takes its cursor in a body."""
    ids = {str(one.id) for one in LISTS}
    assert len(ids) >= 20
    assert "hooks.replay" in ids
