"""Every finding has its texts in every language, with the values it needs, and names what mends it."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from mairust_core.doctor.findings import LEVELS, Found, explained
from mairust_core.i18n import LANGUAGES, findings
from mairust_core.model.finding import Level
from tests.support.docs import CHECKOUT, fault, mairust_calls

DOCTOR = CHECKOUT / "mairust_core" / "doctor"
_CODE = re.compile(r"`(mairust [^`]+)`|^(mairust .+)$")


def placeholders(texts: list[str]) -> set[str]:
    """The values that texts need."""
    return set(re.findall(r"{(?:shell_)?(\w+)}", " ".join(texts)))


@cache
def made() -> list[tuple[str, str, set[str], bool]]:
    """Where findings are made: place, id, the values given, and whether more come by `**`."""
    seen = []
    for path in sorted(DOCTOR.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Found":
                names = [keyword.arg for keyword in node.keywords]
                for id_ in _ids(node.args[0]):
                    seen.append((f"{path.name}:{node.lineno}", id_, {n for n in names if n}, None in names))
    return seen


def _ids(argument: ast.expr) -> list[str]:
    """The ids that an argument may be: a text, `f"postgresql.{name}"`, or a name given just before."""
    if isinstance(argument, ast.Constant):
        return [str(argument.value)]
    if isinstance(argument, ast.JoinedStr):
        return ["postgresql.fsync", "postgresql.full_page_writes"]
    return ["database.old_schema", "database.newer_schema"]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_finding_has_its_three_texts(lang: str) -> None:
    """What, why, and how to mend it, in one line each, with the same values in all languages."""
    assert list(findings(lang)) == list(LEVELS)
    for id_, texts in findings(lang).items():
        assert len(texts) == 3, id_
        assert all(text.strip() and "\n" not in text for text in texts), id_
        assert placeholders(texts) == placeholders(findings("en")[id_]), id_


def test_every_finding_brings_the_values_of_its_texts() -> None:
    """Nothing stays unfilled."""
    needed = ((where, placeholders(findings("en")[id_]) - given, more) for where, id_, given, more in made())
    assert [(where, missing) for where, missing, more in needed if missing and not more] == []


def test_every_finding_can_be_found() -> None:
    """None is in the catalogue that no check makes, and the other way round."""
    assert {id_ for _, id_, _, _ in made()} == set(LEVELS)


def test_the_commands_that_mend_it_exist() -> None:
    """Each `mairust …` in the texts is a command of the program."""
    calls = [
        (id_, call)
        for id_ in LEVELS
        for text in findings("en")[id_]
        for found in _CODE.finditer(re.sub(r"{\w+}", "x", text))
        for call in mairust_calls((found[1] or found[2]).partition(",")[0])
    ]
    assert len(calls) > 20
    assert [(id_, call) for id_, call in calls if fault(call) is not None] == []


def test_the_worst_comes_first() -> None:
    """Errors, warnings, hints; within a level in the order of the checks."""
    given = [
        Found("postmaster.fallback", domains="a", first="a"),
        Found("domain.none"),
        Found("site.missing", path=Path("/x")),
        Found("account.none"),
    ]
    told = explained(given, "ja")
    assert [one.id for one in told.findings] == [
        "site.missing",
        "domain.none",
        "account.none",
        "postmaster.fallback",
    ]
    assert [one.level for one in told.findings] == [Level.ERROR, Level.WARNING, Level.WARNING, Level.INFO]
    assert told.is_bad
    assert not explained(given[:2], "en").is_bad
