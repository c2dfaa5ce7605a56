"""What `--help` says, in every language: all of it, nothing else, and about the same commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from mairust_cli.help_page import HelpPage
from mairust_cli.tree import Group, root
from mairust_core.i18n import LANGUAGES, help_texts

OTHERS = [lang for lang in LANGUAGES if lang != "en"]
TYPED = re.compile(
    r"`[^`]*`"  # commands, settings
    r"|--[a-z][a-z-]*"
    r"|\b[A-Z][A-Z_]+(?=s?\b)"  # values of options, variables, abbreviations
    r"|\b[a-z]+(?:_[a-z]+)+\b"  # fields, hooks
    r"|\b\w+\.(?:toml|json|eml|pub|flags|token)\b"
    r"|\d+\w*",
    re.ASCII,
)
"""What is typed or read as it stands, whatever the language."""
ADDED = re.compile(r"[0-9]+|ID|manifest\.json")
"""What a translation may have beyond that: ‘one’ is a figure in Japanese, an id is an ID."""
CODE = re.compile(r"(?:^|; )([0-9]+) ")


def pages(command: Any, ctx: Any) -> Iterator[tuple[Any, Any]]:
    """A command and all below it, each with the context that its help is written in."""
    yield command, ctx
    if isinstance(command, Group):
        for name in command.list_commands(ctx):
            below: Any = command.get_command(ctx, name)
            yield from pages(below, below.make_context(name, [], parent=ctx, resilient_parsing=True))


def asked_for() -> dict[str, str]:
    """Every text that a page of help asks the catalogue for, and the command that did first."""
    asked: dict[str, str] = {}
    top = root()
    for command, ctx in pages(top, top.make_context("mairust", [], resilient_parsing=True)):

        def say(text: str, path: str = ctx.command_path) -> str:
            asked.setdefault(text, path)
            return text

        command.format_help(ctx, HelpPage("none", 78, say))
    return asked


ASKED = asked_for()


@pytest.mark.parametrize("lang", OTHERS)
def test_every_text_of_the_help_is_translated(lang: str) -> None:
    """Write what is missing into i18n/help.LANG.json, by its English."""
    assert len(ASKED) > 500
    assert [(path, text) for text, path in ASKED.items() if not help_texts(lang).get(text)] == []


@pytest.mark.parametrize("lang", OTHERS)
def test_no_translation_is_left_of_a_text_that_is_gone(lang: str) -> None:
    """The same texts in the order of the commands, so that what belongs together stands together."""
    assert [text for text in help_texts(lang) if text not in ASKED] == []
    assert list(help_texts(lang)) == list(ASKED)


def test_english_needs_no_catalogue() -> None:
    """The docstrings are it."""
    assert help_texts("en") == {}


def test_japanese_is_japanese() -> None:
    """Each text has letters of it, and no English sentence."""
    for text in help_texts("ja").values():
        assert re.search("[ぁ-んァ-ヶ\u4e00-\u9fff]", text), text
        assert not re.search(r"[A-Za-z]{2,} [a-z]+ [a-z]{2,}", re.sub("`.*?`", "", text)), text


@pytest.mark.parametrize("lang", OTHERS)
def test_a_translation_has_what_is_typed_as_it_is_typed(lang: str) -> None:
    """Options, values, settings and figures are those of the English, and none is made up."""
    for english, text in help_texts(lang).items():
        wanted, there = set(TYPED.findall(english)), set(TYPED.findall(text))
        assert wanted <= there, text
        assert [one for one in there - wanted if not ADDED.fullmatch(one)] == [], text


@pytest.mark.parametrize("lang", OTHERS)
def test_a_translation_has_the_same_exit_codes(lang: str) -> None:
    """In the same order: a script is written by them."""
    codes = {english: CODE.findall(english) for english in help_texts(lang) if english.startswith("0 ")}
    assert len(codes) > 100
    for english, expected in codes.items():
        assert CODE.findall(help_texts(lang)[english]) == expected, english
