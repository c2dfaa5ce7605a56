"""trace, audit, status, doctor and config export as commands: on screens, for programs, on broken sites."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mairust_core.config import load_settings
from mairust_core.config.effective import effective
from mairust_core.store.tables import SCHEMA_VERSION
from tests.support.command_line import TIMEOUT_S, Run, environment, heed_interrupts, process
from tests.support.users import (
    AS_NOBODY,
    POWERLESS,
    let_others_in,
    needs_root_and_setpriv,
    needs_setpriv_as_root,
)

MAIL = (
    b"From: Eve <eve@elsewhere.example>\r\n"
    b"Message-ID: <\x1b[31m1\xe2\x80\xae@x.example>\r\nSubject: s\r\n\r\nHi.\r\n"
)
SGR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def delivered(site: Path, home: Path) -> str:
    """The id of a message that came through the pipe."""
    done = process(
        home,
        "deliver",
        "--from",
        "eve@elsewhere.example",
        "ann@example.org",
        "--data-dir",
        str(site),
        stdin=MAIL,
    )
    assert done.code == 0, done.stderr
    listed = process(
        home, "message", "list", "--account", "ann@example.org", "--json", "--data-dir", str(site)
    )
    return str(listed.json["items"][0]["id"])


def on_terminal(
    arguments: list[str], home: Path, extra: dict[str, str], until: tuple[bytes, int] = (b"", 0)
) -> str:
    """What a command draws on a terminal until it ends, or hears Ctrl-C after it drew something so often."""
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "mairust_cli.entry", *arguments],
        env=environment(home, {"TERM": "xterm", **extra}),
        cwd=home,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=heed_interrupts,
    )
    os.close(theirs)
    drawn = b""
    end = time.monotonic() + TIMEOUT_S
    wanted, times = until
    while time.monotonic() < end and not 0 < times <= drawn.count(wanted):
        if select.select([ours], [], [], 0.05)[0]:
            try:
                drawn += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
        elif running.poll() is not None:
            break
    if running.poll() is None:
        running.send_signal(signal.SIGINT)
    assert running.wait(TIMEOUT_S) in {0, 130}
    os.close(ours)
    return drawn.decode()


def test_a_story_is_a_readable_timeline(run: Run, delivered: str) -> None:
    """A line for each event under the mail's heading, times said once."""
    shown = run("trace", delivered)
    lines = shown.out.splitlines()
    assert lines[0].startswith("Mail ")
    assert lines[0].endswith("accepted")
    assert [line[27:].split("  ")[0].strip() for line in lines[1:]] == [
        "received",
        "recipient",
        "stored",
        "replied",
        "now",
    ]
    assert "ann@example.org → ann@example.org" in shown.out
    assert f"{delivered} of ann@example.org is in INBOX" in shown.out
    assert shown.stderr == ""


def test_a_story_ends_in_the_trash(run: Run, delivered: str) -> None:
    """With the command that brings the message back, and until when; deleted for good it is gone."""
    until = run("message", "delete", delivered, "--json").json["undelete_until"]
    last = run("trace", delivered).out.splitlines()[-1]
    assert f"is in the trash until {until[:10]} {until[11:16]}Z" in last
    assert f"`mairust message undelete {delivered}`" in last
    assert f"{delivered} は" in run("trace", delivered, "--lang", "ja").out.splitlines()[-1]
    assert run("message", "delete", delivered, "--now", "--yes").code == 0
    assert run("trace", delivered).out.splitlines()[-1].endswith(f"{delivered} of ann@example.org is gone")


def test_trap_t3_a_story_moves_no_cursor(run: Run, delivered: str) -> None:
    """Whatever the mail calls itself; JSON escapes it."""
    assert run("trace", delivered).out.isprintable() is False  # line ends
    for arguments in (("trace", delivered), ("trace",)):
        out = run(*arguments).out
        assert "\x1b" not in out
        assert "\u202e" not in out
    assert "\x1b" not in run("trace", delivered, "--json").out


def test_a_story_in_japanese(run: Run, delivered: str) -> None:
    """Words of the command are Japanese, words of the mail are its own."""
    out = run("trace", delivered, "--lang", "ja").out
    assert "ann@example.org の INBOX に" in out
    assert "received" not in out
    assert "日時" in run("audit", "list", "--lang", "ja").out


def test_colours_on_a_terminal_only(site: Path, home: Path, delivered: str) -> None:
    """The same words with and without; NO_COLOR takes them away."""
    extra = {"MAIRUST_DATA_DIR": str(site), "COLUMNS": "120"}
    plain = process(home, "trace", delivered, extra=extra).out
    coloured = on_terminal(["trace", delivered], home, extra)
    uncoloured = on_terminal(["trace", delivered], home, {**extra, "NO_COLOR": "1"})
    assert SGR.search(coloured)
    assert not SGR.search(uncoloured)
    without_now = [line for line in plain.splitlines() if " now " not in line]
    assert [line for line in SGR.sub("", coloured).splitlines() if " now " not in line] == without_now


def test_a_narrow_table_of_mails_keeps_its_ids(site: Path, home: Path, delivered: str) -> None:
    """Senders and replies are cut, ids and times are not."""
    extra = {"MAIRUST_DATA_DIR": str(site), "COLUMNS": "100"}
    row = SGR.sub("", on_terminal(["trace"], home, extra)).splitlines()[2]
    assert re.match(r"[0-9]{18} ", row)
    assert re.search(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\dZ", row)
    assert "…" in row


def test_an_id_and_a_filter_are_two_questions(run: Run, delivered: str) -> None:
    """Asked together they are refused; so is an id that is none."""
    assert run("trace", delivered, "--refused").code == 2
    assert run("trace", "neither").code == 2
    assert run("trace", "4711").code == 4
    assert run("trace", "4711", "--json").json["error"]["code"] == "not_found"


def test_the_audit_of_commands_names_the_user(run: Run, site: Path) -> None:
    """As the operating system does."""
    assert run("domain", "add", "new.example").code == 0
    (entry,) = run("audit", "list", "--subject", "new.example", "--json").json["items"]
    assert entry["actor"].startswith("local:")
    assert entry["operation"] == "domains.add"
    assert run("audit", "list", "--since", "soon").code == 2


def test_the_audit_says_what_a_command_changed(run: Run, site: Path) -> None:
    """In the table what was set and from what, for programs all of it."""
    assert run("account", "edit", "ann@example.org", "--quota", "5GiB").code == 0
    asked = ["audit", "list", "--operation", "accounts.edit"]
    out = run(*asked).out
    assert f"quota_bytes: null → {5 << 30}" in out
    assert "address:" not in out
    assert "変更内容" in run(*asked, "--lang", "ja").out
    (entry,) = run(*asked, "--json").json["items"]
    assert entry["details"] == {
        "asked": {"address": "ann@example.org", "quota_bytes": 5 << 30},
        "before": {"quota_bytes": None},
        "cut": False,
    }


def test_status_is_one_screen(run: Run, site: Path, delivered: str) -> None:
    """Of plain lines off a terminal."""
    shown = run("status")
    assert "not running here" in shown.out
    assert "1 accepted, 0 refused" in shown.out
    assert len(shown.out.splitlines()) <= 24
    used = run("account", "show", "ann@example.org", "--json").json["used_bytes"]
    counts = run("status", "--json").json["counts"]
    assert counts == {"domains": 1, "accounts": 2, "messages": 1, "bytes": used}


def test_status_watch_draws_again_until_it_is_stopped(site: Path, home: Path) -> None:
    """On a terminal; elsewhere, and for programs, it is refused."""
    extra = {"MAIRUST_DATA_DIR": str(site)}
    drawn = on_terminal(["status", "--watch", "--every", "0.1"], home, extra, until=(b"MaiRust ", 3))
    assert drawn.count("\x1b[H\x1b[J") >= 2
    assert drawn.count("MaiRust ") >= 2
    refused = process(home, "status", "--watch", extra=extra)
    assert (refused.code, "terminal" in refused.stderr) == (2, True)
    assert process(home, "status", "--every", "0", extra=extra).code == 2


def test_doctor_exits_1_for_errors_only(run: Run, site: Path) -> None:
    """With the same findings as one JSON document."""
    well = run("doctor", "--json")
    assert well.code == 0
    assert {finding["level"] for finding in well.json["findings"]} <= {"warning", "info"}
    (site / "admin.token").chmod(0o644)
    bad = run("doctor", "--json")
    assert bad.code == 1
    first = bad.json["findings"][0]
    assert set(first) == {"id", "level", "what", "why", "mend"}
    assert (first["id"], first["mend"]) == ("admin_token.readable", f"chmod 600 {site / 'admin.token'}")
    shown = run("doctor")
    assert shown.code == 1
    assert f"→ chmod 600 {site / 'admin.token'}" in shown.out


def put_a_file(path: Path) -> None:
    """Put an empty file where a directory is, or nothing."""
    shutil.rmtree(path, ignore_errors=True)
    path.touch()


def put_a_directory(path: Path) -> None:
    """Put a directory where a file is."""
    path.unlink()
    path.mkdir()


def unlink(*paths: Path) -> None:
    """Take files away."""
    for path in paths:
        path.unlink(missing_ok=True)


BREAK: dict[str, Callable[[Path], object]] = {
    "no site": shutil.rmtree,
    "no database": lambda site: unlink(site / "mairust.db"),
    "a directory for a database": lambda site: put_a_directory(site / "mairust.db"),
    "an empty database": lambda site: os.truncate(site / "mairust.db", 0),
    "half a database": lambda site: os.truncate(site / "mairust.db", 5000),
    "no keys": lambda site: unlink(site / "master.key", site / "admin.token"),
    "no configuration": lambda site: unlink(site / "mairust.toml"),
    "a broken configuration": lambda site: (site / "mairust.toml").write_bytes(b"\xff\xfe[x"),
    "no blobs": lambda site: shutil.rmtree(site / "blobs", ignore_errors=True),
    "a file for blobs": lambda site: put_a_file(site / "blobs"),
    "a file for a run directory": lambda site: put_a_file(site / "run"),
    "a data directory that is a file": put_a_file,
}


@pytest.mark.parametrize("harm", BREAK)
@pytest.mark.parametrize("lang", ["en", "ja"])
def test_doctor_never_fails_itself(run: Run, site: Path, harm: str, lang: str) -> None:
    """Whatever is broken is a finding with what mends it, never a traceback or an error of the command."""
    for file in ("mairust.db-wal", "mairust.db-shm"):
        (site / file).unlink(missing_ok=True)
    BREAK[harm](site)
    done = run("doctor", "--json", "--lang", lang)
    assert done.code in {0, 1}
    assert "Traceback" not in done.stderr
    findings = done.json["findings"]
    assert findings
    assert all(one["what"] and one["why"] and one["mend"] for one in findings)
    assert (done.code == 1) is any(one["level"] == "error" for one in findings)
    assert "doctor.check_failed" not in {one["id"] for one in findings}


@needs_root_and_setpriv
def test_rule_d3_doctor_for_somebody_else(site: Path, home: Path) -> None:
    """Who may not look into the data directory is told whose it is."""
    home.chmod(0o777)
    let_others_in(home)
    doctor = [sys.executable, "-m", "mairust_cli.entry", "doctor", "--json", "--data-dir", str(site)]
    done = subprocess.run(
        [*AS_NOBODY, *doctor],
        env=environment(home),
        cwd="/",
        capture_output=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 1, done.stderr
    assert [one["id"] for one in json.loads(done.stdout)["findings"]] == ["data_dir.owner"]


@needs_setpriv_as_root
@pytest.mark.parametrize(
    ("name", "mode", "id_"),
    [
        ("mairust.db", 0o400, "database.not_writable"),
        ("mairust.db", 0o000, "database.file"),
        ("write.lock", 0o000, "database.not_writable"),
    ],
)
def test_a_database_that_cannot_be_written_to(site: Path, home: Path, name: str, mode: int, id_: str) -> None:
    """Doctor and commands name the path, and the command that mends it."""
    (site / name).chmod(mode)

    def mairust(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*POWERLESS, sys.executable, "-m", "mairust_cli.entry", *words, "--data-dir", str(site)],
            env=environment(home), capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
        )  # fmt: skip

    found = {one["id"]: one for one in json.loads(mairust("doctor", "--json").stdout)["findings"]}
    assert found[id_]["level"] == "error"
    assert f"{site / name}" in found[id_]["what"]
    assert f"chown -R USER {site}" in found[id_]["mend"]
    assert "database.unreachable" not in found
    done = mairust("domain", "add", "shut.example")
    assert done.returncode == 75
    assert str(site / name) in done.stderr
    assert "chown" in done.stderr
    command = re.search(r"chown[^;]*", found[id_]["mend"])
    assert command is not None
    subprocess.run(["sh", "-euc", command[0].replace("USER", str(os.geteuid()))], check=True)
    assert mairust("domain", "add", "shut.example").returncode == 0


def test_an_export_is_a_configuration_that_gives_the_same(run: Run, site: Path, tmp_path: Path) -> None:
    """Key by key, with every origin in the new file."""
    exported = run("config", "export")
    file = tmp_path / "all.toml"
    file.write_bytes(exported.stdout)
    again = {one.key: one for one in effective(load_settings(config_file=file, env={"HOME": "/nowhere"}))}
    for one in run("config", "show", "--json").json["items"]:
        assert again[one["key"]].value == one["value"]
        assert one["value"] is None or again[one["key"]].origin.startswith(str(file))


def test_trap_a3_no_export_holds_a_secret(run: Run, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left out and named, so that whoever uses the file knows."""
    monkeypatch.setenv("MAIRUST_DATABASE__URL", "postgresql://u:hush@127.0.0.1:1/d")
    monkeypatch.setenv("MAIRUST_BLOBS__S3__SECRET_KEY", "hush")
    text, document = run("config", "export"), run("config", "export", "--json")
    assert "hush" not in text.out + document.out
    assert document.json["secrets_left_out"] == ["database.url", "blobs.s3.secret_key"]
    assert "# database.url holds a secret" in text.out


def test_db_upgrade_and_check_tell_the_schema(run: Run, site: Path) -> None:
    """Of a site that is up to date, twice; of one that is not, exit 78 with what mends it."""
    for command in ("check", "upgrade", "check"):
        assert run("db", command, "--json").json == {"database": "sqlite", "version": SCHEMA_VERSION}
    with closing(sqlite3.connect(site / "mairust.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    refused = run("db", "check")
    assert refused.code == 78
    assert "9999" in refused.stderr
