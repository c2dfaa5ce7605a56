"""Flags and tags as words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_core.errors import Invalid
from mairust_core.model.flags import (
    FLAGS,
    changed,
    fitting_keyword,
    joined,
    parse_copied,
    parse_flag,
    parse_flags,
    parse_tag,
    parse_tags,
    require_removable,
    split,
)

SETTABLE = st.sampled_from([flag for flag in FLAGS if flag != "\\Deleted"])
KEYWORDS = st.text("!#$&'+,./09:;<=>?@AZ[^_`az|}~-", min_size=1, max_size=20)


@given(st.text(max_size=70))
def test_any_text_is_a_flag_that_imap_can_carry_or_refused(text: str) -> None:
    """A keyword is an atom of RFC 9051: printable ASCII without specials."""
    try:
        flag = parse_flag(text)
    except Invalid:
        return
    specials = set('(){ %*"]')
    assert flag in FLAGS or (flag.isascii() and flag.isprintable() and not specials & set(flag))
    assert flag.startswith("\\") == (flag in FLAGS)
    assert parse_flag(flag) == flag


@given(st.lists(SETTABLE | KEYWORDS, max_size=10))
def test_flags_survive_their_stored_form(flags: list[str]) -> None:
    """Bits and keywords, and back: nothing lost, nothing twice in any case."""
    once = parse_flags(flags)
    bits, keywords = split(once)
    assert set(joined(bits, keywords)) == set(once)
    folded = [flag.casefold() for flag in once]
    assert len(set(folded)) == len(folded)
    assert {flag.casefold() for flag in flags} == set(folded)


@given(st.lists(KEYWORDS, max_size=6), st.lists(KEYWORDS, max_size=3), st.lists(KEYWORDS, max_size=3))
def test_what_is_added_is_there_and_what_is_removed_is_not(
    old: list[str], add: list[str], remove: list[str]
) -> None:
    """Added wins where both are asked for; the rest keeps its order."""
    new = [flag.casefold() for flag in changed(old, add, remove)]
    assert {flag.casefold() for flag in add} <= set(new)
    gone = {flag.casefold() for flag in remove} - {flag.casefold() for flag in add}
    assert not gone & set(new)
    assert set(new) <= {flag.casefold() for flag in (*old, *add)}


@given(st.text(max_size=200))
def test_a_keyword_from_elsewhere_becomes_one_that_is_accepted(text: str) -> None:
    """Whatever it was; one that is a keyword stays itself, and what was fitted is not fitted again."""
    kept = fitting_keyword(text)
    assert parse_flag(kept) == kept == fitting_keyword(kept)
    assert parse_copied([kept]) == (kept,)
    assert (kept == text) is _is_refused_never(text)


def _is_refused_never(text: str) -> bool:
    try:
        return not parse_flag(text).startswith("\\")
    except Invalid:
        return False


def test_keywords_that_look_alike_stay_apart() -> None:
    """A part of the SHA-256 says which it was."""
    assert len({fitting_keyword(one) for one in ("日本語", "日本酒", "___", "a" * 80, "a" * 81)}) == 5


@pytest.mark.parametrize("text", ["日本語(x)", "50%off", "a(b)", "k" * 80])
def test_a_keyword_imap_cannot_carry_is_refused_when_sent_and_removed_when_held(text: str) -> None:
    """Nobody can set it; of a message that has it, it can be taken away."""
    for parse in (parse_flags, parse_copied):
        with pytest.raises(Invalid, match="is no keyword"):
            parse([text])
    require_removable([text, "\\Deleted"], [text, "\\deleted", "other"])
    for absent in (text, "\\Deleted", "\\Odd", ""):
        with pytest.raises(Invalid):
            require_removable(["other"], [absent])


def test_a_copy_brings_what_only_imap_sets_and_no_more_keywords_than_fit() -> None:
    """`\\Deleted` comes along, `\\Recent` does not; 65 keywords are refused."""
    assert parse_copied(["\\deleted", "\\recent", "a", "A"]) == ("\\Deleted", "a")
    with pytest.raises(Invalid, match="more than 64"):
        parse_copied([f"k{n}" for n in range(65)])


def test_a_flag_keeps_the_case_it_was_first_given_in() -> None:
    """Keywords meet in any case."""
    assert parse_flags(["$Junk", "$JUNK", "\\SEEN", "\\seen"]) == ("$Junk", "\\Seen")
    assert changed(("$Junk", "a"), ("$JUNK",), ("A",)) == ("$Junk",)


@given(st.text(max_size=70))
def test_any_text_is_a_tag_or_refused(text: str) -> None:
    """A tag is one printable line in composed form; parsing it again changes nothing."""
    try:
        tag = parse_tag(text)
    except Invalid:
        return
    assert tag.isprintable()
    assert tag.strip() == tag
    assert 1 <= len(tag) <= 64
    assert parse_tag(tag) == tag


def test_too_many_tags_are_refused() -> None:
    """64 are possible, the same one several times is one."""
    assert len(parse_tags([str(number % 64) for number in range(200)])) == 64
    with pytest.raises(Invalid, match="more than 64"):
        parse_tags([str(number) for number in range(65)])
