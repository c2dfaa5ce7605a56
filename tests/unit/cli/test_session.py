"""What a command works with."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from mairust_cli.options import Options
from mairust_cli.output import Output
from mairust_cli.session import Session, language, secret_line
from mairust_core.errors import Unauthenticated, Usage
from mairust_core.services.domains import Domains


class Terminal(io.StringIO):
    """Somebody who answers."""

    def isatty(self) -> bool:
        return True


def session(
    options: Options | None = None, env: dict[str, str] | None = None, stdin: io.StringIO | None = None
) -> Session:
    """A session that talks into memory."""
    out = Output(stdout=io.StringIO(), stderr=io.StringIO(), env={})
    return Session(options or Options(), env or {}, stdin or io.StringIO(), out)


def told(one: Session) -> str:
    """What it said on stderr."""
    assert isinstance(one.output.stderr, io.StringIO)
    return one.output.stderr.getvalue()


@pytest.mark.parametrize(
    ("lang", "env", "expected"),
    [
        (None, {}, "en"),
        (None, {"LANG": "ja_JP.UTF-8"}, "ja"),
        (None, {"LANG": "C.UTF-8"}, "en"),
        (None, {"LANG": "ja_JP.UTF-8", "MAIRUST_LANG": "en"}, "en"),
        ("ja", {"MAIRUST_LANG": "en"}, "ja"),
        (None, {"MAIRUST_LANG": "xx"}, "en"),
    ],
)
def test_the_language_is_the_option_then_mairust_lang_then_lang(
    lang: str | None, env: dict[str, str], expected: str
) -> None:
    """English where none of them names a language there is."""
    assert language(Options(lang=lang), env) == expected


def test_an_unknown_language_by_option_is_refused() -> None:
    """What was asked for by name is not silently something else."""
    with pytest.raises(Usage, match="language xx"):
        language(Options(lang="xx"), {})


def test_a_local_command_refuses_an_explicit_server() -> None:
    """Contract §1: exit 2."""
    with pytest.raises(Usage, match="this machine only") as refused:
        session(Options(server="https://mx.example")).stay_local("db check")
    assert refused.value.exit_code == 2


def test_a_local_command_ignores_the_servers_variable_with_a_note() -> None:
    """Contract §1; `--quiet` takes the note away."""
    one = session(env={"MAIRUST_SERVER": "https://mx.example"})
    one.stay_local("db check")
    assert "MAIRUST_SERVER is ignored" in told(one)


@pytest.mark.parametrize("answer", ["y\n", "YES\n"])
def test_a_person_who_agrees_is_obeyed(answer: str) -> None:
    """The question stands on stderr."""
    one = session(stdin=Terminal(answer))
    one.confirm("remove_domain", yes=False, name="example.org")
    assert "Remove the domain example.org? [y/N]" in told(one)


def test_what_destroys_nothing_is_asked_only_where_somebody_answers() -> None:
    """A restore in a script needs no `--yes` (contract §8); on a terminal an answer decides."""
    silent = session()
    silent.agree("restore_mail", yes=False, snapshot="1")
    session(Options(json=True), stdin=Terminal("n\n")).agree("restore_mail", yes=False, snapshot="1")
    asked = session(stdin=Terminal("y\n"))
    asked.agree("restore_mail", yes=False, snapshot="1")
    assert (told(silent), "[y/N]" in told(asked)) == ("", True)
    with pytest.raises(SystemExit):
        session(stdin=Terminal("n\n")).agree("restore_mail", yes=False, snapshot="1")


@pytest.mark.parametrize("answer", ["", "\n", "n\n", "maybe\n"])
def test_anything_but_yes_changes_nothing(answer: str) -> None:
    """Also the end of input."""
    with pytest.raises(SystemExit) as ended:
        session(stdin=Terminal(answer)).confirm("remove_domain", yes=False, name="example.org")
    assert ended.value.code == 1


def test_where_nobody_can_be_asked_yes_must_be_given() -> None:
    """Exit 2, telling so; with `--yes` nothing is asked."""
    with pytest.raises(Usage, match="--yes"):
        session().confirm("remove_domain", yes=False, name="example.org")
    one = session()
    one.confirm("remove_domain", yes=True, name="example.org")
    assert told(one) == ""


def test_a_server_needs_a_key() -> None:
    """Exit 77 before anything is sent."""
    with pytest.raises(Unauthenticated, match="MAIRUST_TOKEN") as refused:
        session(Options(server="http://127.0.0.1:9")).operations(Domains)
    assert refused.value.exit_code == 77


def test_an_address_that_is_none_needs_no_key() -> None:
    """Who is asked for a key first looks for it in vain: exit 2 names the address."""
    with pytest.raises(Usage, match="is not the address of a server"):
        session(Options(server="127.0.0.1:8025")).operations(Domains)


def test_the_key_comes_from_a_file_or_the_environment(tmp_path: Path) -> None:
    """The option is stronger; only the first line counts."""
    file = tmp_path / "key"
    file.write_text("mk_file_x\nmore\n")
    env = {"MAIRUST_TOKEN": "mk_env_x "}
    assert session(Options(token_file=str(file)), env)._token() == "mk_file_x"
    assert session(Options(), env)._token() == "mk_env_x"


def test_a_missing_key_file_is_told_with_its_path(tmp_path: Path) -> None:
    """And so is one that is no text."""
    with pytest.raises(Usage, match="nothing-here"):
        session(Options(token_file=str(tmp_path / "nothing-here")))._token()
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(Usage, match="it is not text"):
        session(Options(token_file=str(tmp_path / "binary")))._token()


def test_a_password_is_one_line_of_stdin() -> None:
    """Without its line end, with all else that is in it."""
    assert secret_line(io.StringIO("correct horse \r\nsecond\n"), "") == "correct horse "
    assert secret_line(io.StringIO(""), "") == ""


@pytest.mark.parametrize(
    "token", ["mk_a_secret1\r\nX: y", "mk_a_secret1\nmore", "mk_a_secret1é", "mk_a secret1"]
)
def test_trap_a3_a_key_that_is_none_is_told_without_showing_it(token: str) -> None:
    """Before a request is made of it, whose error would print the header."""
    with pytest.raises(Unauthenticated, match="so it is none") as refused:
        session(Options(server="http://127.0.0.1:9"), {"MAIRUST_TOKEN": token}).operations(Domains)
    assert "secret1" not in str(refused.value)


def test_an_empty_key_file_is_told_with_its_path(tmp_path: Path) -> None:
    """Nothing is asked of the server without a key."""
    (tmp_path / "empty").write_text("\nmk_in_the_second_line\n")
    with pytest.raises(Unauthenticated, match="empty holds no API key in its first line"):
        session(Options(token_file=str(tmp_path / "empty")))._token()
