"""The search benchmark itself, small: it asks what it says, and measures what it says."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.benchmarks import search
from tests.benchmarks.contenders import Engine
from tests.benchmarks.notmuch import Notmuch, is_installed
from tests.benchmarks.search import classes, content_of, measure, parse_arguments
from tests.benchmarks.wordy import mails


def test_every_query_of_a_class_finds_something() -> None:
    """Drawn from the mail itself: words, phrases that stand there, compounds of two characters."""
    made = mails(120, 5)
    texts = [content_of(mail).decode() for mail in made]
    for kind in classes(made, 20, random.Random(5)):
        assert len(kind.queries) == len(kind.patterns) == 20
        for query in kind.queries:
            word = query.strip('"')
            assert any(word in text.replace("、\r\n", "").replace("、\n", "") for text in texts), kind.name
        if "Japanese" in kind.name:
            assert all(len(query) == 2 for query in kind.queries)


def test_a_small_run_prints_its_table_and_goals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All hits complete, sizes and rates of the right order, each goal with its verdict."""
    options = parse_arguments(["--messages", "400", "--queries", "8", "--seed", "6"])
    measure(Engine(name="sqlite"), options, tmp_path, mails(options.messages, options.seed))
    printed = capsys.readouterr().out
    for name in ("rare word", "common word", "phrase", "Japanese, two characters"):
        assert f"{name}: p95:" in printed
    assert "index / text:" in printed
    assert printed.count("goal") == 4 + 2
    assert "beginnings of words" in printed
    assert search.PAGE == 50


def test_notmuch_finds_the_same_mail(tmp_path: Path) -> None:
    """Its Maildir holds the mail as it was made, and its queries are those of the benchmark."""
    if not is_installed():
        pytest.skip("notmuch is not installed")
    made = mails(60, 7)
    notmuch = Notmuch(directory=tmp_path)
    assert notmuch.build([content_of(mail) for mail in made], 300) > 0
    for kind in classes(made, 5, random.Random(7)):
        for query in kind.queries:
            _, hits = notmuch.ask(query, search.PAGE)
            assert hits > 0, (kind.name, query)
