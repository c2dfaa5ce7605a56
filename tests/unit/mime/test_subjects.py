"""Base subjects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_core.mime import describe
from mairust_core.mime.subjects import base_subject
from tests.unit.mime.messages import message


@pytest.mark.parametrize(
    ("subject", "base", "marked"),
    [
        ("figures", "figures", False),
        ("Re: figures", "figures", True),
        ("RE: Fw: fwd:  figures", "figures", True),
        ("Re[2]: figures", "figures", True),
        ("Re [x] : figures", "figures", True),
        ("[list] Re: figures", "figures", True),
        ("[list] figures", "figures", False),
        ("Re: [list] [b] figures", "figures", True),
        ("figures (fwd)", "figures", True),
        ("figures (fwd) (FWD) ", "figures", True),
        ("[Fwd: figures]", "figures", True),
        ("Re: [fwd: Re: figures (fwd)]", "figures", True),
        ("[list]", "[list]", False),
        ("Re: [list]", "[list]", True),
        ("  a \t b  ", "a b", False),
        ("Re:", "", True),
        ("Regarding: x", "Regarding: x", False),
        ("Re figures", "Re figures", False),
        ("返信: 会議", "会議", True),
        ("Re：会議", "会議", True),
        ("転送: Re: 会議", "会議", True),
        ("AW: WG: Treffen", "Treffen", True),
        ("回复：回复: x", "x", True),
        ("SV: møte", "møte", True),
        ("Re^2: x", "x", True),
        ("", "", False),
    ],
)
def test_rule_j4_marks_are_taken_off(subject: str, base: str, marked: bool) -> None:
    """The base subject is that of RFC 5256 §2.1, the usual marks of other languages included."""
    assert base_subject(subject) == (base, marked)


@pytest.mark.parametrize("piece", ["Re: ", "[a] ", "[", "(fwd)", "[fwd: ", "Re[", " "])
def test_hostile_subjects_are_cheap(piece: str) -> None:
    """A megabyte of marks is cut before it is worked on."""
    facts = describe(message("Subject: " + piece * 250_000))
    assert len(facts.subject) <= 2000
    assert len(facts.base_subject) <= 2000


@given(st.text())
def test_taking_marks_off_ends(subject: str) -> None:
    """Any text has a base that is no longer than itself and marks once only."""
    base, _ = base_subject(subject)
    assert len(base) <= len(subject)
    assert base_subject(base)[0] == base
