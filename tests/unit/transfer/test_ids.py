"""Ids and rows of very many messages: found as a dictionary would find them, in less memory."""

from __future__ import annotations

import sys
from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st

from mairust_core.transfer.repository.ids import Ids
from mairust_core.transfer.repository.parking import Parked

IDS = st.integers(-(2**63), 2**63 - 1)


@given(st.lists(IDS, unique=True, max_size=60), st.lists(IDS, max_size=10))
def test_each_id_is_found_where_it_was_added(added: list[int], others: list[int]) -> None:
    """In whatever order they came; others are not there."""
    ids = Ids()
    for one in added:
        ids.add(one)
    assert len(ids) == len(added)
    assert [ids.find(one) for one in added] == list(range(len(added)))
    for one in set(others) - set(added):
        assert one not in ids


@given(st.dictionaries(IDS, st.tuples(st.text(), st.none() | st.integers()), max_size=30))
def test_parked_rows_come_back(rows: dict[int, tuple[str, int | None]]) -> None:
    """Of two tables in one file, with other columns in every third row, whatever is in the texts."""
    file = BytesIO()
    one, other = Parked(file), Parked(file)
    for number, (id_, (text, value)) in enumerate(rows.items()):
        one.add(id_, ["text", "value"] if number % 3 else ["title", "size"], [text, value])
        other.add(id_, ["n"], [number])
    for number, (id_, (text, value)) in enumerate(rows.items()):
        names = ("text", "value") if number % 3 else ("title", "size")
        assert one.get(id_) == dict(zip(names, (text, value), strict=True))
        assert other.get(id_) == {"n": number}
    assert Parked(file).get(1) is None


def test_trap_m4_an_id_takes_no_object_of_its_own() -> None:
    """A dictionary takes more than a hundred bytes for each."""
    ids = Ids()
    for one in range(10_000):
        ids.add(2**40 + one)
    held = vars(ids).values()
    assert sum(map(sys.getsizeof, held)) < 10 * 10_000
