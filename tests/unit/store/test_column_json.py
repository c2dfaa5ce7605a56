"""JSON as columns keep it, whichever encoder makes it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_core.model.ids import Id
from mairust_core.store.facts import to_json

_SCALARS = st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | st.text()
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)


@given(_VALUES)
def test_the_text_is_that_of_the_standard_library(value: object) -> None:
    """Compact, and letters as they are: rows written before and after look alike."""
    assert to_json(value) == json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def test_rows_of_ids_and_names_are_lists() -> None:
    """Tuples and ids, which rows are made of, need no preparation."""
    assert to_json(((Id(7), "INBOX"), ["é"])) == '[[7,"INBOX"],["é"]]'


@pytest.mark.parametrize(
    ("value", "text"), [("a\ud800b", '"a?b"'), (1 << 80, str(1 << 80)), ({1: "x"}, '{"1":"x"}')]
)
def test_rule_c4_what_is_no_common_json_is_written_all_the_same(value: object, text: str) -> None:
    """A lone surrogate becomes a question mark; nothing here keeps a mail from being stored."""
    assert to_json(value) == text
