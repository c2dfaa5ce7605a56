"""Where objects are: found by a part of their id, told apart by the rest."""

from __future__ import annotations

import sys
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_core.errors import Damaged
from mairust_core.transfer.repository.index import Index, Places
from mairust_core.transfer.repository.packs import Directory

HEADS = st.sampled_from([b"\0" * 8, b"\xff" * 8, b"abcdefgh"])
ALIKE = st.builds(lambda head, tail: head + tail, HEADS, st.binary(min_size=24, max_size=24))
"""Ids of which many begin alike."""
PACKS = st.lists(st.lists(ALIKE | st.binary(min_size=32, max_size=32), max_size=8), max_size=6)


def directory(ids: list[bytes]) -> Directory:
    """A pack of small mails."""
    lengths = array("Q", [3]) * len(ids)
    return Directory(kinds="m" * len(ids), ids=b"".join(ids), stored_bytes=lengths, size_bytes=lengths)


@given(PACKS, st.binary(min_size=32, max_size=32) | ALIKE | st.binary(max_size=40))
def test_an_object_is_found_in_the_first_pack_that_has_it(packs: list[list[bytes]], other: bytes) -> None:
    """Also when ids begin alike, and beside packs in which nothing is; what is in none is not found."""
    index, expected = Index(), dict[bytes, tuple[str, int]]()
    for which, ids in enumerate(packs):
        index.add(f"pack {which}", directory(ids))
        for number, id_ in enumerate(ids):
            expected.setdefault(id_, (f"pack {which}", number))
    for id_, place in expected.items():
        assert index.place(id_) == place
        assert index.find(id_)[1].id == id_
    if other not in expected:
        with pytest.raises(Damaged):
            index.place(other)


def test_what_is_added_and_dropped_is_seen_at_once() -> None:
    """The places are made anew."""
    one, two = b"1" * 32, b"2" * 32
    index = Index()
    index.add("a", directory([one]))
    assert index.place(one) == ("a", 0)
    index.add("b", directory([two, one]))
    assert index.place(two) == ("b", 0)
    index.drop("a")
    assert index.place(one) == ("b", 1)


def test_trap_m4_an_object_takes_no_object_of_its_own() -> None:
    """A dictionary of ids took two hundred and fifty bytes for each."""
    ids = [number.to_bytes(32, "little") for number in range(10_000)]
    places = Places({"a": directory(ids)})
    assert sum(map(sys.getsizeof, vars(places).values())) < 14 * len(ids)
