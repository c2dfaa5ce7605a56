"""Times in the past: one form in every list that is bounded by them, here and over the API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import get_type_hints

import pytest

from mairust_core.errors import Invalid
from mairust_core.i18n import explain
from mairust_core.model.moment import Moment
from mairust_core.operations import Operation, Service
from mairust_core.services.registry import SERVICES
from tests.contract.services.conftest import Served, serving
from tests.contract.services.lists import Values, ask, fill
from tests.contract.services.words import Ops

NAMES = {"since", "before", "until"}
FORMS = [
    "2020-01-31T10:00:00Z", "2020-01-31t10:00:00.123z", "2020-01-31T10:00:00+09:00", "2020-01-31T10:00:00",
    "2020-01-31 10:00", "2020-01-31", "999s", "90m", "24h", "7d", "2w", "",
]  # fmt: skip
WRONG = ["soon", "7", "7y", "-7d", "2020-02-31", "999999w", "٧d", "1577836800"]


def bounds(op: Operation) -> list[str]:
    """The parameters and members of the body that bound it in time."""
    members = [one.name for one in fields(op.body_type)] if is_dataclass(op.body_type) else []
    return [name for name in (*members, *(one.name for one in op.query)) if name in NAMES]


BOUNDED = [
    pytest.param(kind, op, name, id=f"{op.id} {name}")
    for kind in SERVICES
    for op in kind.operations.values()
    for name in bounds(op)
]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A site of their own."""
    with serving(request, tmp_path_factory.mktemp("moments")) as found:
        yield found


@pytest.fixture(scope="module")
def values(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Values:
    """Two of everything, made now."""
    return fill(served, tmp_path_factory.mktemp("plugins"))


def test_all_of_them_are_of_one_type() -> None:
    """So that the document says the same of all."""
    assert len(BOUNDED) >= 7
    for one in BOUNDED:
        _, op, name = one.values
        assert isinstance(op, Operation)
        hints = get_type_hints(op.body_type) if op.body else op.types
        assert hints[str(name)] in (Moment, Moment | None), one.id


@pytest.mark.parametrize(("kind", "op", "name"), BOUNDED)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_taken(
    ops: Ops, values: Values, kind: type[Service], op: Operation, name: str, form: str
) -> None:
    """What was made now came since then, and not before."""
    assert bool(ask(ops(kind), op, values, "", **{name: Moment(form)}).items) is (name == "since" or not form)


@pytest.mark.parametrize(("kind", "op", "name"), BOUNDED)
@pytest.mark.parametrize("form", WRONG)
def test_what_is_none_is_named(
    ops: Ops, values: Values, kind: type[Service], op: Operation, name: str, form: str
) -> None:
    """With the forms there are."""
    with pytest.raises(Invalid) as refused:
        ask(ops(kind), op, values, "", **{name: Moment(form)})
    what, hint = explain(refused.value)
    assert what.startswith(f"{name}: ")
    assert "7d" in hint


@pytest.mark.parametrize(("kind", "op", "name"), BOUNDED)
def test_nothing_came_since_tomorrow(
    ops: Ops, values: Values, kind: type[Service], op: Operation, name: str
) -> None:
    """A bound is heeded."""
    found = ask(ops(kind), op, values, "", **{name: Moment("2999-01-01")}).items
    assert bool(found) is (name == "before")
