"""Titles of columns and fields, said in English in the code, in every other language."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from mairust_core.i18n import LANGUAGES, label, labels
from tests.support.docs import CHECKOUT


def titles() -> Iterator[str]:
    """Every title that the command line gives a column, and every noun of which something is removed."""
    for path in sorted((CHECKOUT / "mairust_cli").rglob("*.py")):
        text = path.read_text("utf-8")
        for node in ast.walk(ast.parse(text)) if "Column(" in text or ".removed(" in text else ():
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                at = 0 if called == "Column" else 1 if called.endswith("output.removed") else None
                sense = "".join(
                    f" ({key.value.value!s})"
                    for key in node.keywords
                    if key.arg == "sense" and isinstance(key.value, ast.Constant)
                )
                if at is not None and isinstance(said := node.args[at], ast.Constant):
                    yield f"{said.value!s}{sense}"


@pytest.mark.parametrize("lang", [lang for lang in LANGUAGES if lang != "en"])
def test_every_title_has_a_word_in_every_language(lang: str) -> None:
    """And no word is left over."""
    named = set(titles())
    assert {"Subject", "domain"} <= named
    assert named == set(labels(lang))
    assert all(labels(lang).values())


def test_a_title_that_is_no_english_one_stays() -> None:
    """Some are said in the reader's language from the beginning."""
    assert label("日時", "ja") == "日時"
    assert (label("Subject", "en", "job"), label("Subject", "ja")) == ("Subject", "件名")
    assert label("Subject", "ja", "job") == "対象"
