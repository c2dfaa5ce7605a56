"""`mairust search` and `mairust index` as a person and a script meet them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mairust_core.app import opened
from mairust_core.config import load_settings
from mairust_core.search.indexing import index_some
from tests.support.command_line import Run

AT = ("--account", "ann@example.org")


@pytest.fixture
def mails(run: Run, site: Path, tmp_path: Path) -> list[str]:
    """Ids of three mails of ann's."""
    ids = []
    for number in range(3):
        file = tmp_path / f"{number}.eml"
        file.write_bytes(
            b"From: Bob <bob@x.example>\r\nSubject: mail %d\r\n\r\nneedle %d\r\n" % (number, number)
        )
        ids.append(run("message", "append", str(file), *AT, "--json").json["id"])
    return ids


def test_a_search_prints_what_the_api_returns(run: Run, mails: list[str]) -> None:
    """One document with the items, the cursor and whether that is all."""
    found = run("search", "needle -subject:1", *AT, "--json")
    assert found.code == 0
    assert [item["id"] for item in found.json["items"]] == [mails[2], mails[0]]
    assert found.json["items"][0]["from"] == [{"name": "Bob", "address": "bob@x.example"}]
    rest = {key: value for key, value in found.json.items() if key != "items"}
    assert rest == {"next_cursor": None, "complete": True, "unsearched": 0}


def test_a_search_prints_lines_for_people(run: Run, mails: list[str]) -> None:
    """As `message list` does; finding nothing is no fault."""
    found = run("search", '"needle 1"', *AT)
    assert (found.code, found.stderr) == (0, "")
    assert mails[1] in found.out
    assert len(found.out.splitlines()) == 2
    nothing = run("search", "nowhere", *AT)
    assert (nothing.code, nothing.out) == (0, "")


def test_damaged_mails_are_told_in_one_form_and_once_with_a_count(
    run: Run, mails: list[str], site: Path
) -> None:
    """As every warning of a command; in the language of the command."""
    for segment in (site / "blobs" / "segments").iterdir():
        segment.write_bytes(bytes(segment.stat().st_size))
    for lang, more in (("en", "2 more of this kind: "), ("ja", "ほかに 2 件あります")):
        found = run("search", "needle", *AT, "--json", "--lang", lang)
        lines = found.stderr.splitlines()
        first, second = (line for line in lines if "The blob" in line)
        assert (found.code, found.json["unsearched"]) == (0, 3)
        assert first.startswith("mairust: searches know the heading of a message only: The blob ")
        assert all(line.startswith("mairust: ") for line in lines)
        assert more in second


def test_pages_and_all_of_them(run: Run, mails: list[str]) -> None:
    """--limit, --cursor and --all, as every list."""
    first = run("search", "needle", *AT, "--limit", "2", "--json").json
    assert [item["id"] for item in first["items"]] == mails[:0:-1]
    rest = run("search", "needle", *AT, "--cursor", first["next_cursor"], "--json").json
    assert [item["id"] for item in rest["items"]] == mails[:1]
    every = run("search", "needle", *AT, "--limit", "1", "--all", "--json").json
    assert [item["id"] for item in every["items"]] == mails[::-1]
    assert (every["next_cursor"], every["complete"]) == (None, True)
    assert "--cursor" in run("search", "needle", *AT, "--limit", "2").stderr


def test_a_list_is_searched_beside_its_filters(run: Run, mails: list[str]) -> None:
    """`--query` with the other options of `message list`, its pages and all of them."""
    assert run("message", "flag", mails[1], "--add", r"\Seen").code == 0
    unseen = ("message", "list", *AT, "--query", "need*", "--unseen")
    assert [item["id"] for item in run(*unseen, "--json").json["items"]] == [mails[2], mails[0]]
    assert mails[1] not in run(*unseen).out
    first = run(*unseen, "--limit", "1", "--json").json
    assert [item["id"] for item in first["items"]] == [mails[2]]
    rest = run(*unseen, "--cursor", first["next_cursor"], "--json").json
    assert [item["id"] for item in rest["items"]] == [mails[0]]
    every = run(*unseen, "--limit", "1", "--all", "--json").json
    assert len(every["items"]) == 2
    assert every["complete"] is True
    assert "complete" not in run("message", "list", *AT, "--json").json


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(("--query", ""), "The search is empty"), (("--query", "a", "--deleted"), "trash cannot be searched"),
     (("--query", "*a"), "only the end of a word")],
)  # fmt: skip
def test_a_list_that_cannot_be_searched_is_told(
    run: Run, site: Path, arguments: tuple[str, ...], told: str
) -> None:
    """With the exit status of a bad value."""
    found = run("message", "list", *AT, *arguments)
    assert (found.code, found.out) == (2, "")
    assert told in found.stderr


def test_what_is_not_complete_is_noted(run: Run, site: Path, mails: list[str]) -> None:
    """On stderr, with the reason; the document on stdout says so too."""
    with opened(load_settings(data_dir=site, env={})) as here, here.storage.write() as tx:
        here.storage.execute_many(
            tx, "UPDATE blob SET location = (SELECT max(location) FROM blob) WHERE location <> ?", [("",)]
        )
    found = run("search", "needle", *AT)
    assert found.code == 0
    assert "not complete: 2 messages might match too" in found.stderr
    assert "完全ではありません: ほかに 2 通" in run("search", "needle", *AT, "--lang", "ja").stderr
    assert "not complete: 2" in run("message", "list", *AT, "--query", "needle").stderr
    assert run("search", "needle", *AT, "--json").json["complete"] is False
    assert run("search", "needle", *AT, "--all", "--json").json["unsearched"] == 2


@pytest.mark.parametrize(
    ("query", "code", "told"),
    [
        ('"open', 2, "character 1 of the search"),
        ("colour:red", 2, "There is no colour:"),
        ("mailbox:Gone", 4, "no mailbox Gone"),
    ],
)
def test_faults_name_place_and_mend(run: Run, site: Path, query: str, code: int, told: str) -> None:
    """And exit as every command does."""
    found = run("search", query, *AT)
    assert (found.code, found.out) == (code, "")
    assert told in found.stderr


def test_faults_in_japanese(run: Run, site: Path) -> None:
    """The same in the reader's language."""
    assert "検索文の 1 文字目の引用符" in run("search", '"open', *AT, "--lang", "ja").stderr


def test_the_index_is_shown_made_anew_and_dropped(run: Run, site: Path, mails: list[str]) -> None:
    """From the command line; dropping asks."""
    with opened(load_settings(data_dir=site, env={})) as here:
        index_some(here, rest=lambda _: None)
    assert run("index", "status", "--json").json["documents"] == 3
    assert "Messages indexed:" in run("index", "status").out
    begun = run("index", "rebuild", "--account", "ann@example.org")
    assert begun.code == 0
    assert "index status" in begun.stderr
    assert run("index", "drop").code == 2
    assert run("index", "drop", "--yes", "--json").json["mode"] == "off"
    assert run("index", "rebuild", "--account", "ann@example.org").code == 5
    assert len(run("search", "needle", *AT, "--json").json["items"]) == 3
    assert run("index", "rebuild", "--json").json["mode"] == "filling"
