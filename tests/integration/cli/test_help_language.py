"""The help in the reader's language, chosen as for all other output."""

from __future__ import annotations

import re

import pytest

from mairust_cli.outline import outline
from mairust_cli.text import width
from tests.support.command_line import Run

COMMANDS = {one.path: one for one in outline().walk()}
SUMMARY = "メールドメインを追加する。"


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_is_there_in_japanese(
    run: Run, monkeypatch: pytest.MonkeyPatch, path: tuple[str, ...]
) -> None:
    """Within the screen but for examples, which are the same as in English; no mark begins a line."""
    for columns in (52, 80):
        monkeypatch.setenv("COLUMNS", str(columns))
        told = run("--lang", "ja", *path, "--help")
        assert (told.code, told.stderr) == (0, "")
        text, _, examples = told.out.partition("\n例:\n")
        assert text.startswith(f"使い方: {' '.join(('mairust', *path))}")
        assert max(map(width, text.splitlines())) <= columns
        assert not re.search(r"^ *[。、）」]", text, re.MULTILINE)
        assert tuple(line.strip() for line in examples.splitlines()) == COMMANDS[path].text.examples


@pytest.mark.parametrize(
    ("call", "env", "japanese"),
    [
        (("--lang", "ja", "domain", "add", "--help"), {}, True),
        (("domain", "--lang=ja", "add", "-h"), {}, True),
        (("domain", "add", "--help", "--lang", "ja"), {}, True),
        (("domain", "add", "--help", "--", "--lang", "ja"), {}, False),
        (("domain", "add", "--help"), {"LANG": "ja_JP.UTF-8"}, True),
        (("domain", "add", "--help"), {"MAIRUST_LANG": "ja"}, True),
        (("domain", "add", "--help"), {"LANG": "ja_JP.UTF-8", "MAIRUST_LANG": "en"}, False),
        (("--lang", "en", "domain", "add", "--help"), {"LANG": "ja_JP.UTF-8"}, False),
        (("domain", "add", "--help"), {"LANG": "de_DE.UTF-8"}, False),
    ],
)
def test_the_language_of_the_help_is_that_of_other_output(
    run: Run, monkeypatch: pytest.MonkeyPatch, call: tuple[str, ...], env: dict[str, str], japanese: bool
) -> None:
    """By option, wherever it stands, then MAIRUST_LANG, then LANG; English is the same by whichever way."""
    english = run("domain", "add", "--help").stdout
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    told = run(*call)
    assert told.code == 0
    assert (SUMMARY in told.out.splitlines()[2]) == japanese
    assert (told.stdout == english) == (not japanese)


def test_a_call_without_a_command_shows_the_help_in_the_readers_language(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On stderr, as in English."""
    monkeypatch.setenv("LANG", "ja_JP.UTF-8")
    told = run()
    assert (told.code, told.stdout) == (2, b"")
    assert told.stderr.startswith("使い方: mairust [GLOBAL OPTIONS] COMMAND …\n")


def test_help_in_a_language_there_is_none_in_is_refused(run: Run) -> None:
    """As every other command in it: what was asked for by name is not silently something else."""
    told = run("--lang", "xx", "domain", "add", "--help")
    assert (told.code, told.stdout) == (2, b"")
    assert "language xx" in told.stderr
