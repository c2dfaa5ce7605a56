"""Every error has its text, in every language, with the values it needs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from mairust_core.errors import BY_CODE, BadQuery, Invalid
from mairust_core.i18n import LANGUAGES, QUESTION, catalogue, explain, findings
from mairust_core.wire import misfits

CHECKOUT = Path(__file__).parents[3]
CLASSES = {cls.__name__: cls for cls in BY_CODE.values()}
ASKING = re.compile(r"\.(?:confirm|agree)\b")
CALLED = re.compile(rf"\b(?:{'|'.join(CLASSES)})\(")


class Raised(NamedTuple):
    """An error made in the code with a literal detail."""

    where: str
    key: str
    values: frozenset[str]
    open_ended: bool
    """True when further values come by `**`."""


@cache
def made() -> list[tuple[Path, ast.Call]]:
    """Where the product makes an error."""
    return list(_made())


def _made() -> Iterator[tuple[Path, ast.Call]]:
    for room in ("mairust_core", "mairust_cli"):
        for path in sorted((CHECKOUT / room).rglob("*.py")):
            text = path.read_text("utf-8")
            for node in ast.walk(ast.parse(text)) if CALLED.search(text) else ():
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLASSES:
                    yield path.relative_to(CHECKOUT), node


def raised() -> Iterator[Raised]:
    """Every one that says what it is about."""
    for path, node in made():
        assert isinstance(node.func, ast.Name)
        yield from _error(node, CLASSES[node.func.id].code, path)


def _error(node: ast.Call, code: str, path: Path) -> Iterator[Raised]:
    place = 1 if code == Invalid.code else 0  # there the field comes first
    detail = node.args[place] if len(node.args) > place else None
    if isinstance(detail, ast.Constant) and isinstance(detail.value, str) and detail.value != "remote":
        names = [keyword.arg for keyword in node.keywords]
        where = f"{path}:{node.lineno}"
        values = frozenset(name for name in names if name) | ({"field"} if code == Invalid.code else set())
        yield Raised(where, f"{code}.{detail.value}", values, None in names)


def untranslated() -> Iterator[str]:
    """Where a bad value is explained in words of the code, which only English readers understand."""
    for path, node in made():
        assert isinstance(node.func, ast.Name)
        if node.func.id == Invalid.__name__ and (len(node.args) > 2 or _is_text(node.args[1])):
            yield f"{path}:{node.lineno}"


def _is_text(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return not re.fullmatch(r"[a-z_]+", str(node.value))
    return isinstance(node, ast.JoinedStr)


def placeholders(lang: str, key: str) -> set[str]:
    """The values a text needs."""
    return set(re.findall(r"{(?:shell_)?(\w+)}", " ".join(catalogue(lang)[key])))


def test_every_error_raised_has_a_text_and_its_values() -> None:
    """In the English catalogue, and nothing in it stays unfilled."""
    found = list(raised())
    assert len(found) > 50  # else the scan no longer sees them
    untold = [f"{one.where}: {one.key}" for one in found if one.key not in catalogue("en")]
    assert untold == [], "write texts for them into i18n/en.json and ja.json"
    for error in found:
        missing = placeholders("en", error.key) - error.values
        assert error.open_ended or not missing, f"{error.where}: {error.key} needs {missing}"


def test_bad_values_are_explained_by_the_catalogues() -> None:
    """`Invalid(field, detail, **values)` with a text invalid.DETAIL in both, so that Japanese is Japanese."""
    assert list(untranslated()) == []


def test_questions_are_asked_by_the_catalogues() -> None:
    """`session.confirm("remove_account", …)`: each has its text."""
    asked = set()
    for path in (CHECKOUT / "mairust_cli").rglob("*.py"):
        text = path.read_text("utf-8")
        for node in ast.walk(ast.parse(text)) if ASKING.search(text) else ():
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in {"confirm", "agree"}
            ):
                asked.add(ast.unparse(node.args[0]).strip("'"))
    assert {f"{QUESTION}.{one}" for one in asked} == {k for k in catalogue("en") if k.startswith(QUESTION)}


def test_what_the_validator_finds_has_texts() -> None:
    """Of every kind that is told apart."""
    assert {f"invalid.{detail}" for detail in misfits._DETAILS.values()} <= set(catalogue("en"))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_all_languages_have_the_same_texts(lang: str) -> None:
    """The same keys, and in each text the same values."""
    assert set(catalogue(lang)) == set(catalogue("en"))
    for key in catalogue("en"):
        assert placeholders(lang, key) == placeholders("en", key), key


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_text_says_what_and_how_to_mend_it(lang: str) -> None:
    """Two sentences in one line each; an empty hint only where the error brings its own."""
    for key, texts in catalogue(lang).items():
        what, hint = texts
        assert what, key
        assert hint, key
        assert what.rstrip("。.?").strip(), key
        assert "\n" not in what + hint, key
        assert key.split(".")[0] in {*BY_CODE, QUESTION}, key


def test_a_hint_begins_as_its_language_does() -> None:
    """With a capital in English; in Japanese what is to be typed stays as it is typed."""
    empty = BadQuery("empty")
    assert explain(empty, "ja")[1].startswith("invoice from:ann")
    assert explain(Invalid("name", "value", why="no", hint="write it"), "en")[1] == "Write it"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_commands_to_be_pasted_quote_what_may_hold_a_space(lang: str) -> None:
    """A shell takes a path for one word, whatever is in it."""
    bare = re.compile(r"\b(?:chown|chmod|mkdir|mairust [a-z]+)\b[^.;`]*{(?:path|directory|note|repository)}")
    texts = (*catalogue(lang).items(), *findings(lang).items())
    assert [key for key, parts in texts if any(map(bare.search, parts))] == []
