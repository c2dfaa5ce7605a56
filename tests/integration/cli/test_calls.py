"""How a call is understood: global options anywhere, errors in one form, the exit table of contract §1."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mairust_cli.outline import outline
from tests.support.command_line import Run

COMMANDS = [one.path for one in outline().walk()]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_is_there_for_every_command(run: Run, path: tuple[str, ...]) -> None:
    """By either name, on stdout, exit 0, within 80 columns but for examples."""
    long, short = run(*path, "--help"), run(*path, "-h")
    assert (long.code, short.code) == (0, 0)
    assert long.stdout == short.stdout
    text = long.out.partition("\nExamples:\n")[0]
    assert text.startswith(f"Usage: {' '.join(('mairust', *path))}")
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    "call",
    [
        ["--json", "domain", "list"],
        ["domain", "--json", "list"],
        ["domain", "list", "--json"],
    ],
    ids=" ".join,
)
def test_global_options_are_taken_before_and_after_the_command(run: Run, site: Path, call: list[str]) -> None:
    """Also between the noun and its verb."""
    assert site.exists()
    assert [item["name"] for item in run(*call).json["items"]] == ["example.org"]


def test_of_a_global_option_given_twice_the_later_wins(run: Run, site: Path, tmp_path: Path) -> None:
    """As with any option."""
    assert run("--data-dir", str(tmp_path / "no"), "domain", "list", "--data-dir", str(site)).code == 0
    assert run("--data-dir", str(site), "domain", "list", "--data-dir", str(tmp_path / "no")).code == 78


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (["domain", "add"], "NAME"),
        (["domain", "add", "a.example", "b.example"], "b.example"),
        (["domain", "list", "--nonsense"], "--nonsense"),
        (["domain", "list", "--limit", "many"], "--limit"),
        (["domain", "list", "--limit"], "--limit"),
        (["domain"], "needs a command"),
        (["domain", "frobnicate"], "frobnicate"),
        (["frobnicate"], "frobnicate"),
        (["domain", "list", "--lang", "xx"], "xx"),
        (["alias", "add", "a@example.org"], "--to"),
        (["domain", "add", "not a domain"], "not a domain"),
        (["completion", "tcsh"], "tcsh"),
    ],
)
def test_bad_usage_is_exit_2_in_words_and_in_json(run: Run, site: Path, call: list[str], word: str) -> None:
    """One line on stderr that names what is wrong; with `--json` one document on stdout and nothing else."""
    assert site.exists()
    told = run(*call)
    assert (told.code, told.stdout) == (2, b"")
    assert told.stderr.startswith("mairust: error: ")
    assert word in told.stderr
    assert told.stderr.count("\n") == 1
    document = run("--json", *call)
    assert (document.code, document.stderr) == (2, "")
    error = document.json["error"]
    assert set(error) == {"code", "message", "hint"}
    assert word in error["message"] or word in error["hint"] or word == "needs a command"


@pytest.mark.parametrize(
    "call",
    [
        [],
        ["domain"],
        ["domain", "add"],
        ["domain", "add", "a.example", "b.example"],
        ["domain", "list", "--nonsense"],
        ["domain", "list", "--limit", "many"],
        ["domain", "list", "--limit"],
        ["domain", "list", "--json=x"],
        ["alias", "add", "a@example.org"],
        ["domain", "add", "not a domain"],
        ["domain", "remove", "example.org"],
        ["account", "add", "a+b@example.org"],
        ["account", "add", "a@example.org", "--quota", "much"],
        ["token", "create", "--name", "x", "--scope", "fly"],
        ["token", "create", "--name", "x", "--scope", "read", "--expires", "soon"],
        ["domain", "list", "--limit", "501"],
        ["message", "list", "--account", "ann@example.org", "--cursor", "x"],
        ["message", "show", "x"],
        ["alias", "add", "a@example.org", "--to", "b@elsewhere.example"],
    ],
    ids=" ".join,
)
def test_a_bad_call_is_told_in_japanese(run: Run, site: Path, call: list[str]) -> None:
    """Two whole sentences: what is wrong and how to mend it; no English word is left but names and values."""
    assert site.exists()
    error = run(*call, "--lang", "ja", "--json").json["error"]
    for text in (error["message"], error["hint"]):
        assert re.search("[ぁ-ん]", text), text
        assert not re.search(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}", re.sub("`.*?`|not a domain", "", text)), text


def test_a_typing_error_is_answered_with_the_nearest_command(run: Run) -> None:
    """At each level."""
    assert "`mairust domain`" in run("domian").stderr
    assert "`mairust account disable`" in run("account", "disabel", "x").stderr


def test_no_command_at_all_shows_the_help(run: Run) -> None:
    """On stderr, exit 2."""
    nothing = run()
    assert (nothing.code, nothing.stdout) == (2, b"")
    assert nothing.stderr.startswith("Usage: mairust")


def test_no_site_is_exit_78_naming_the_place(run: Run, tmp_path: Path) -> None:
    """Rule D3: nothing but `init`, `serve` and `restore` creates one."""
    place = tmp_path / "nothing"
    for command in (["domain", "list"], ["domain", "add", "a.example"], ["db", "check"]):
        told = run(*command, "--data-dir", str(place))
        assert told.code == 78
        assert str(place) in told.stderr
    assert not place.exists()


def test_a_missing_configuration_is_exit_78(run: Run, tmp_path: Path) -> None:
    """The one that was named."""
    told = run("domain", "list", "--config", str(tmp_path / "no.toml"), "--json")
    assert told.code == 78
    assert str(tmp_path / "no.toml") in told.json["error"]["message"]


def test_a_server_that_does_not_answer_is_exit_75(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same call may work later."""
    monkeypatch.setenv("MAIRUST_TOKEN", "mk_0000000000000000_x")
    told = run("domain", "list", "--server", "http://127.0.0.1:1")
    assert told.code == 75
    assert "127.0.0.1:1" in told.stderr


@pytest.mark.parametrize("url", ["http://192.0.2.1:1", "http://example.com", "http://[2001:db8::1]:80"])
def test_rule_g4_a_key_is_refused_over_http_to_another_machine(
    run: Run, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """Before any connection is tried; exit 77."""
    monkeypatch.setenv("MAIRUST_TOKEN", "mk_0000000000000000_x")
    told = run("domain", "list", "--server", url)
    assert told.code == 77
    assert "https" in told.stderr


@pytest.mark.parametrize("url", ["ftp://x", "mx.example.org", "http://", ""])
def test_a_server_must_be_an_address(run: Run, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Exit 2; an empty one is none at all."""
    monkeypatch.setenv("MAIRUST_TOKEN", "mk_0000000000000000_x")
    told = run("domain", "list", "--server", url)
    assert told.code == (2 if url else 78)


@pytest.mark.parametrize(
    "call",
    [
        ["init"], ["serve"], ["db", "check"], ["db", "upgrade"], ["config", "check"],
        ["completion", "bash"], ["deliver", "ann@example.org"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_command_for_this_machine_refuses_a_server(run: Run, site: Path, call: list[str]) -> None:
    """Contract §1: exit 2 (what `deliver` makes of it, its own process decides)."""
    assert site.exists()
    assert run(*call, "--server", "https://mx.example.org").code == 2


def test_errors_speak_japanese_when_asked(run: Run, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By option and by environment."""
    assert site.exists()
    assert "ありません" in run("domain", "show", "nope.example", "--lang", "ja").stderr
    monkeypatch.setenv("LANG", "ja_JP.UTF-8")
    assert "ありません" in run("domain", "show", "nope.example").stderr


def test_a_traceback_is_shown_only_when_asked_for(run: Run, site: Path) -> None:
    """And the line for people comes all the same."""
    assert site.exists()
    assert "Traceback" not in run("domain", "show", "nope.example").stderr
    verbose = run("domain", "show", "nope.example", "--verbose").stderr
    assert "Traceback" in verbose
    assert verbose.splitlines()[-1].startswith("mairust: error: ")


def test_quiet_changes_say_nothing(run: Run, site: Path) -> None:
    """On either stream."""
    assert site.exists()
    done = run("domain", "add", "quiet.example", "--quiet")
    assert (done.code, done.stdout, done.stderr) == (0, b"", "")
    gone = run("domain", "remove", "quiet.example", "--quiet", "--yes")
    assert (gone.code, gone.stdout, gone.stderr) == (0, b"", "")


def test_words_after_two_dashes_are_no_options(run: Run, site: Path) -> None:
    """So that anything can be an argument."""
    assert site.exists()
    told = run("domain", "show", "--", "--json")
    assert (told.code, told.stdout) == (2, b"")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--workers", "0"),
        ("--workers", "x"),
        ("--smtp", "127.0.0.1"),
        ("--http", "unix:/" + "x" * 200),
        ("--data-dir", "a\nb"),
    ],
)
def test_a_wrong_value_of_an_option_is_exit_2_in_words_of_the_shell(
    run: Run, option: str, value: str
) -> None:
    """Not the words of a configuration file, with its quotes and its [sections]."""
    told = run("serve", option, value)
    assert (told.code, told.stdout) == (2, b"")
    assert told.stderr.startswith(f"mairust: error: {option}: ")
    assert "quotes" not in told.stderr
    assert "node." not in told.stderr


@pytest.mark.parametrize("url", ["mysql://u:hidden1@h/x", "postgresql://u:hidden1@h:abc/x"])
def test_a_wrong_database_on_the_command_line_is_exit_2_and_not_repeated(run: Run, url: str) -> None:
    """It may hold a password."""
    told = run("init", "--database", url)
    assert (told.code, told.stdout) == (2, b"")
    assert "postgresql://USER@HOST:PORT/NAME" in told.stderr
    assert "hidden1" not in told.stderr


def test_bytes_and_a_document_are_not_to_be_had_together(run: Run, site: Path) -> None:
    """`--json` is one document, and the bytes of a message are none."""
    assert site.exists()
    for option in ("--raw", "--original", "--text", "--html", "--headers", "--attachment=1", "--part=1"):
        told = run("message", "show", "1", option, "--json")
        assert told.code == 2
        assert option.partition("=")[0] in told.json["error"]["message"]
