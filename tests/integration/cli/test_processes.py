"""What only a process of its own shows: exit codes, streams, signals, what is imported."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.command_line import TIMEOUT_S, environment, heed_interrupts, started
from tests.support.docs import CHECKOUT
from tests.support.users import NOBODY, let_others_in

HEAVY = {"rich", "pydantic", "sqlalchemy", "fastapi", "httpx", "boto3"}
WATCHED = HEAVY | {"alembic", "uvicorn", "psycopg", "starlette", "asyncio", "typer", "mairust_cli.help_page"}
_PRELUDE = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr));"


def imported(home: Path, *arguments: str, extra: dict[str, str] | None = None) -> set[str]:
    """The watched modules that a command has imported when it ends."""
    code = (
        f"{_PRELUDE} from mairust_cli.entry import main; sys.argv[1:] = {list(arguments)!r}; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(home, extra),
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    return WATCHED & set(done.stderr.splitlines()[-1].split())


def test_the_version_is_told_before_typer_is_imported(home: Path) -> None:
    """Three times a bare Python is all it may cost."""
    assert started(home, "--version").stdout == b"mairust 0.1.0\n"
    assert imported(home, "--version") == set()


def test_the_version_is_told_after_a_command_too(home: Path) -> None:
    """As every global option."""
    assert started(home, "domain", "--version").stdout == b"mairust 0.1.0\n"


def test_the_help_imports_nothing_heavy(home: Path) -> None:
    """Not even the commands it lists."""
    assert imported(home, "--help") == {"typer"}
    assert not HEAVY & imported(home, "domain", "--help")
    assert not HEAVY & imported(home, "import", "maildir", "--help")
    assert not HEAVY & imported(home, "export", "mbox", "--help")
    assert imported(home, "--lang", "ja", "--help") == {"typer", "mairust_cli.help_page"}


def test_a_local_command_imports_its_database_and_little_else(home: Path, site: Path) -> None:
    """No validation library, no table drawing off a terminal, no other database."""
    assert {"sqlalchemy"} == imported(home, "domain", "list", "--data-dir", str(site)) - {"typer", "asyncio"}


def test_a_remote_command_imports_no_database_and_no_web_framework(home: Path) -> None:
    """Its server has those."""
    extra = {"MAIRUST_TOKEN": "mk_0000000000000000_x", "MAIRUST_SERVER": "http://127.0.0.1:1"}
    (home / "cur").mkdir()
    for command in (
        ["domain", "list"],
        ["message", "list", "--account", "ann@example.org"],
        ["token", "list"],
        ["import", "maildir", str(home), "--account", "ann@example.org"],
        ["export", "mbox", "x", "--account", "ann@example.org"],
        ["trace", "4711"],
        ["audit", "list"],
        ["status"],
        ["doctor"],
        ["config", "show"],
        ["config", "export"],
    ):
        found = imported(home, *command, extra=extra)
        assert "httpx" in found
        assert not found & {"sqlalchemy", "alembic", "fastapi", "starlette", "uvicorn", "psycopg"}


def test_exit_codes_reach_the_shell(home: Path, site: Path) -> None:
    """Contract §1, one of each kind that needs no server."""
    at = ["--data-dir", str(site)]
    assert started(home, "domain", "list", *at).code == 0
    assert started(home, "domain", "add", *at).code == 2
    assert started(home, "domain", "show", "nope.example", *at).code == 4
    assert started(home, "domain", "add", "example.org", *at).code == 5
    assert started(home, "domain", "list").code == 78
    unreachable = {"MAIRUST_TOKEN": "mk_0000000000000000_x", "MAIRUST_SERVER": "http://127.0.0.1:1"}
    assert started(home, "domain", "list", extra=unreachable).code == 75
    assert started(home, "domain", "list", extra={"MAIRUST_SERVER": "http://127.0.0.1:1"}).code == 77


def test_an_unexpected_error_is_one_line(home: Path, site: Path) -> None:
    """Exit 1; the traceback comes with `--verbose` only."""
    at = ["--data-dir", str(site), "domain", "list"]
    code = (
        "import mairust_cli.session, sys\n"
        "class Broken(mairust_cli.session.Session):\n"
        "    def operations(self, kind): raise ZeroDivisionError('by hand')\n"
        "import mairust_cli.commands.domain as domain\n"
        "domain.Session = Broken\n"
        "from mairust_cli.entry import main\n"
        "sys.exit(main())\n"
    )
    for arguments, traceback in ((at, False), ([*at, "--verbose"], True)):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env=environment(home),
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        assert done.returncode == 1
        assert "ZeroDivisionError: by hand" in done.stderr.splitlines()[-1]
        assert ("Traceback" in done.stderr) is traceback


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_rule_d3_root_is_told_when_the_owner_cannot_read_what_runs(home: Path, site: Path) -> None:
    """One line in each language, although nothing more can be loaded by then."""
    installed = home / "shut"
    for package in ("mairust_core", "mairust_cli"):
        shutil.copytree(CHECKOUT / package, installed / package)
    installed.chmod(0o700)
    let_others_in(home)
    for path in (site, *site.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    for lang, word in (("en", "cannot read"), ("ja", "読めません")):
        words = ["domain", "list", "--data-dir", str(site), "--lang", lang]
        done = subprocess.run(
            [sys.executable, "-m", "mairust_cli.entry", *words],
            env=environment(home, {"PYTHONPATH": str(installed)}),
            cwd=installed, capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
        )  # fmt: skip
        assert done.returncode == 78, done.stderr
        assert word in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_passwords_are_read_from_stdin_and_never_shown(home: Path, site: Path) -> None:
    """Nor are they in the answer or in the database as they were."""
    secret = b"correct horse battery"
    added = started(
        home, "account", "add", "carol@example.org", "--password-stdin", "--json", "--data-dir", str(site),
        stdin=secret + b"\nsecond line\n",
    )  # fmt: skip
    assert added.code == 0
    assert secret not in added.stdout + added.stderr.encode()
    assert not any(secret in file.read_bytes() for file in site.rglob("*") if file.is_file())
    short = started(
        home, "account", "add", "dave@example.org", "--password-stdin", "--data-dir", str(site), stdin=b"x\n"
    )
    assert short.code == 2


def test_a_message_is_appended_from_stdin(home: Path, site: Path) -> None:
    """Any bytes, as they are: NUL, bare CR, no line end."""
    mail = b"Subject: x\n\n\x00\xff\rbare\n.\n" * 5000 + b"end"
    added = started(
        home, "message", "append", "-", "--account", "ann@example.org", "--json", "--data-dir", str(site),
        stdin=mail,
    )  # fmt: skip
    assert added.code == 0
    shown = started(home, "message", "show", added.json["id"], "--original", "--data-dir", str(site))
    assert shown.stdout == mail


@pytest.mark.parametrize("call", [["config", "show"], ["config", "show", "--json"], ["nonsense", "--json"]])
def test_a_reader_that_goes_away_ends_it_quietly(home: Path, site: Path, call: list[str]) -> None:
    """As `head` does: no traceback, no message, not even from the interpreter's end."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as stdout:
        done = subprocess.run(
            [sys.executable, "-m", "mairust_cli.entry", *call, "--data-dir", str(site)],
            env=environment(home),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            check=False,
            timeout=TIMEOUT_S,
        )
    assert done.returncode == 141
    assert done.stderr == b""


def test_an_interrupted_command_exits_130(home: Path, site: Path) -> None:
    """Without a traceback."""
    waiting = subprocess.Popen(
        [sys.executable, "-m", "mairust_cli.entry", "message", "append", "-", "--account", "ann@example.org",
         "--data-dir", str(site)],
        env=environment(home), cwd=home, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, preexec_fn=heed_interrupts,
    )  # fmt: skip
    try:
        assert waiting.stdin is not None
        waiting.stdin.write(b"x" * (1 << 20))  # more than a pipe holds: it is reading when this returns
        waiting.stdin.flush()
        waiting.send_signal(signal.SIGINT)
        _, stderr = waiting.communicate(timeout=TIMEOUT_S)
    finally:
        waiting.kill()
    assert waiting.returncode == 130
    assert b"Traceback" not in stderr


@pytest.mark.parametrize(
    "call",
    [
        ["deliver"],
        ["deliver", "--nonsense", "ann@example.org"],
        ["deliver", "ann@example.org"],
        ["--config", "/nowhere.toml", "deliver", "ann@example.org"],
        ["deliver", "ann@example.org", "--server", "https://mx.example.org"],
        ["--lang", "xx", "deliver", "ann@example.org"],
    ],
    ids=" ".join,
)
def test_deliver_never_lets_a_mail_server_bounce(home: Path, call: list[str]) -> None:
    """Bad usage, no site, bad configuration: 75, try again, and a line on stderr that says why."""
    told = started(home, *call, stdin=b"Subject: x\n\nhi\n")
    assert told.code == 75
    assert told.stderr.startswith("mairust: error: ")


def test_deliver_asks_to_try_again_when_it_cannot_even_start(home: Path, tmp_path: Path) -> None:
    """A broken installation is no reason to bounce."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/typer.py").write_text("raise ImportError('half an upgrade')\n")
    checkout = environment(home)["PYTHONPATH"]
    told = started(
        home, "deliver", "ann@example.org", extra={"PYTHONPATH": f"{tmp_path / 'broken'}:{checkout}"}
    )
    assert told.code == 75
    assert "half an upgrade" in told.stderr


def test_deliver_tells_stored_from_unknown(home: Path, site: Path) -> None:
    """0 when all are stored, 67 when all are unknown; without a running server it stores by itself."""
    at = ["--data-dir", str(site)]
    mail = b"From: x@example.net\nSubject: by pipe\n\nhi\n"
    assert started(home, "deliver", "ann@example.org", "bob@example.org", *at, stdin=mail).code == 0
    assert started(home, "deliver", "nobody@example.org", *at, stdin=mail).code == 67
    listed = started(home, "message", "list", "--account", "bob@example.org", "--json", *at).json["items"]
    assert [message["subject"] for message in listed] == ["by pipe"]


def test_deliver_that_is_told_to_end_asks_to_try_again(home: Path, site: Path) -> None:
    """A signal is no verdict on the mail."""
    waiting = subprocess.Popen(
        [sys.executable, "-m", "mairust_cli.entry", "deliver", "ann@example.org", "--data-dir", str(site)],
        env=environment(home), cwd=home, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert waiting.stdin is not None
        waiting.stdin.write(b"x" * (1 << 20))
        waiting.stdin.flush()
        waiting.send_signal(signal.SIGTERM)
        waiting.communicate(timeout=TIMEOUT_S)
    finally:
        waiting.kill()
    assert waiting.returncode == 75


def on_terminal(home: Path, *arguments: str, typed: bytes = b"", extra: dict[str, str] | None = None) -> str:
    """What a command writes to a terminal, whose exit code must be 0."""
    child, terminal = pty.openpty()
    shown = b""
    started = subprocess.Popen(
        [sys.executable, "-m", "mairust_cli.entry", *arguments],
        env=environment(home, {"TERM": "xterm-256color", "COLUMNS": "100", **(extra or {})}),
        cwd=home, stdin=terminal, stdout=terminal, stderr=terminal,
    )  # fmt: skip
    try:
        os.close(terminal)
        os.write(child, typed)
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline and select.select([child], [], [], TIMEOUT_S)[0]:
            try:
                chunk = os.read(child, 65536)
            except OSError:  # the other end is closed
                break
            shown += chunk
        assert started.wait(TIMEOUT_S) == 0, shown
    finally:
        started.kill()
        os.close(child)
    return shown.decode()


def test_a_person_sees_a_table_in_colour(home: Path, site: Path) -> None:
    """And without colour where NO_COLOR says so."""
    at = ["domain", "list", "--data-dir", str(site)]
    table = on_terminal(home, *at)
    assert "example.org" in table
    assert "─" in table
    assert "\x1b[" in table
    plain = on_terminal(home, *at, extra={"NO_COLOR": "1"})
    assert "example.org" in plain
    assert "\x1b[3" not in plain


def test_a_person_is_asked_before_something_is_destroyed(home: Path, site: Path) -> None:
    """And what was agreed to is done."""
    at = ["--data-dir", str(site)]
    shown = on_terminal(home, "account", "remove", "bob@example.org", *at, typed=b"y\n")
    assert "[y/N]" in shown
    assert started(home, "account", "show", "bob@example.org", *at).code == 4


@pytest.mark.parametrize(
    "call",
    [
        ["domain", "list", "--json"],
        ["domain", "list"],
        ["nonsense", "--json"],
        ["--help"],
        ["--version"],
        ["config", "show"],
    ],
    ids=" ".join,
)
def test_a_full_disk_behind_stdout_is_one_line_on_stderr(home: Path, site: Path, call: list[str]) -> None:
    """Not a traceback, nor the interpreter's own complaint at its end."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mairust_cli.entry", *call, "--data-dir", str(site)],
            env=environment(home), cwd=home, stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE,
            check=False, timeout=TIMEOUT_S,
        )  # fmt: skip
    assert done.returncode in (1, 2)
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("mairust: error: The result cannot be written to standard output: No space left")


def test_a_full_disk_behind_stderr_leaves_the_exit_code(home: Path, site: Path) -> None:
    """A pipe that is told 120 by the interpreter would bounce the mail."""
    for call, code in ((["domain", "show", "no.example"], 4), (["deliver", "--bad"], 75)):
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                [sys.executable, "-m", "mairust_cli.entry", *call, "--data-dir", str(site)],
                env=environment(home), cwd=home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=full, check=False, timeout=TIMEOUT_S,
            )  # fmt: skip
        assert (done.returncode, done.stdout) == (code, b"")


def test_names_that_are_not_unicode_make_a_document_all_the_same(home: Path, site: Path) -> None:
    """Arguments are any octets; JSON is UTF-8."""
    at = ["--data-dir", str(site)]
    broken = os.fsdecode(b"/nowhere/\xff.eml")
    told = started(home, "message", "append", broken, "--account", "ann@example.org", "--json", *at)
    assert (told.code, told.stderr) == (2, "")
    assert "/nowhere/?.eml" in told.json["error"]["message"]
    told = started(home, "message", "append", broken, "--account", "ann@example.org", *at)
    assert told.stderr.startswith("mairust: error: The file /nowhere/.eml cannot be read")
    told = started(home, "--data-dir", os.fsdecode(b"w \xff"), "init", "--json")
    assert (told.code, told.stderr) == (2, "")
    assert "w ?" in told.json["error"]["message"]
