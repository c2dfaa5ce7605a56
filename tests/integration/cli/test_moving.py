"""`import` and `export` as commands: what they print, exit with, and leave alone (contract §1, §8)."""

from __future__ import annotations

import gzip
import io
import json
import os
import pty
import pwd
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mairust_cli.moving import shown
from mairust_cli.output import Output
from mairust_cli.progress import SHOWN_AFTER_S
from mairust_core.model.copies import Tally
from tests.support.command_line import Run, command_line, environment, process
from tests.support.docs import CHECKOUT
from tests.support.http_server import running
from tests.support.users import NOBODY, POWERLESS, let_others_in, needs_setpriv_as_root

ANN = ("--account", "ann@example.org")
AT_S = 1_764_000_000


def message(number: int) -> bytes:
    """A message like no other."""
    return b"From: b@x.example\nSubject: m%d\nMessage-ID: <%d@x.example>\n\nHello\n" % (number, number)


def make_maildir(root: Path, count: int = 3) -> Path:
    """A Maildir with a folder: all messages in INBOX, the first one in Sent too."""
    for folder in (root, root / ".Sent"):
        for part in ("cur", "new", "tmp"):
            (folder / part).mkdir(parents=True)
    for number in range(count):
        path = root / "cur" / f"{number}.a:2,{'S' if number else 'FS'}"
        path.write_bytes(message(number))
        os.utime(path, (AT_S + number, AT_S + number))
    (root / ".Sent" / "cur" / "0.b:2,S").write_bytes(message(0))
    (root / "subscriptions").write_text("V\t2\n\nSent\n")
    return root


def tree(root: Path) -> dict[str, tuple[bytes, float]]:
    """Every file below a directory: its bytes and, of messages, its time."""
    return {
        str(path.relative_to(root)): (
            path.read_bytes(),
            path.stat().st_mtime_ns * (path.parent.name == "cur"),
        )
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    """A Maildir of four messages."""
    return make_maildir(tmp_path / "Maildir")


def test_an_import_says_what_it_came_to(run: Run, site: Path, maildir: Path) -> None:
    """As one document with the keys of the contract, or as lines; the second run adds nothing."""
    assert site.exists()
    before = tree(maildir)
    done = run("import", "maildir", str(maildir), *ANN, "--json")
    assert (done.code, done.stderr) == (0, "")
    assert set(done.json) == {"imported", "skipped", "failed", "bytes", "seconds"}
    assert (done.json["imported"], done.json["skipped"], done.json["failed"]) == (4, 0, 0)
    assert done.json["bytes"] == sum(len(message(number)) for number in (0, 1, 2, 0))
    again = run("import", "maildir", str(maildir), *ANN)
    assert again.code == 0
    assert again.out.splitlines()[:3] == ["Imported: 0", "Skipped:  4", "Failed:   0"]
    assert tree(maildir) == before


def test_what_was_imported_is_there(run: Run, site: Path, maildir: Path) -> None:
    """Mailboxes, flags, dates, bytes."""
    assert site.exists()
    run("import", "maildir", str(maildir), *ANN, "--map", "Sent=Gesendet", "--prefix", "Old")
    items = run("message", "list", *ANN, "--mailbox", "Old/INBOX", "--json").json["items"]
    assert [item["subject"] for item in items] == ["m2", "m1", "m0"]
    assert [item["flags"] for item in items] == [["\\Seen"], ["\\Seen"], ["\\Seen", "\\Flagged"]]
    assert items[2]["received_at"] == "2025-11-24T16:00:00.000Z"
    assert run("message", "show", items[2]["id"], "--raw").stdout == message(0)
    names = {one["name"] for one in run("mailbox", "list", *ANN, "--json").json["items"]}
    assert names == {"INBOX", "Old/INBOX", "Old/Gesendet"}


@pytest.mark.parametrize("remote", [False, True])
def test_a_maildir_goes_into_the_mailbox_named(
    run: Run, site: Path, server: tuple[str, ...], maildir: Path, remote: bool
) -> None:
    """The Maildir itself is that mailbox, its folders are below it; one folder goes alone."""
    assert site.exists()
    there = server if remote else ()
    done = run("import", "maildir", str(maildir), *ANN, "--mailbox", "Old/Ann", "--json", *there)
    assert (done.code, done.json["imported"]) == (0, 4)
    assert run("import", "maildir", str(maildir / ".Sent"), *ANN, "--mailbox", "Gesendet", *there).code == 0
    listed = run("mailbox", "list", *ANN, "--json").json["items"]
    counted = {one["name"]: one["messages"] for one in listed}
    assert counted == {"INBOX": 0, "Old/Ann": 3, "Old/Ann/Sent": 1, "Gesendet": 1}
    assert run("import", "maildir", str(maildir), *ANN, "--mailbox", "Old/Ann", "--json").json["skipped"] == 4


def test_some_failed_is_exit_3_and_the_report_says_why(
    run: Run, site: Path, maildir: Path, tmp_path: Path
) -> None:
    """Each message left out is a line of JSON; on stderr the first ones; the others are imported."""
    assert site.exists()
    (maildir / "cur" / "9.link").symlink_to(maildir / "nowhere")
    report = tmp_path / "report.jsonl"
    done = run("import", "maildir", str(maildir), *ANN, "--json", "--report", str(report))
    assert (done.code, done.json["imported"], done.json["failed"]) == (3, 4, 1)
    assert "9.link" in done.stderr
    (line,) = [json.loads(line) for line in report.read_text().splitlines()]
    assert line["path"] == str(maildir / "cur" / "9.link")
    assert (line["account"], line["mailbox"], line["outcome"], line["code"]) == (
        "ann@example.org", "INBOX", "failed", "unreadable",
    )  # fmt: skip
    assert line["why"]
    again = run("import", "maildir", str(maildir), *ANN, "--quiet", "--report", str(report))
    assert (again.code, again.stderr) == (3, "")
    told = [json.loads(line)["outcome"] for line in report.read_text().splitlines()]
    assert sorted(told) == ["failed", "skipped", "skipped", "skipped", "skipped"]


def test_a_folder_that_no_mailbox_may_be_called_is_told(
    run: Run, site: Path, maildir: Path, tmp_path: Path
) -> None:
    """Its mail is there under a name like it, which the report and stderr tell, in Japanese too."""
    assert site.exists()
    odd = maildir / ".100%.Q*"
    for part in ("cur", "new", "tmp"):
        (odd / part).mkdir(parents=True)
    (odd / "cur" / "1.x:2,").write_bytes(message(8))
    (maildir / "cur" / "9.link").symlink_to(maildir / "nowhere")
    report = tmp_path / "report.jsonl"
    done = run("import", "maildir", str(maildir), *ANN, "--lang", "ja", "--report", str(report))
    assert done.code == 3
    assert "フォルダー 100%/Q* は、" in done.stderr
    told = {one["outcome"]: one for one in map(json.loads, report.read_text("utf-8").splitlines())}
    assert (told["renamed"]["mailbox"], told["renamed"]["code"]) == ("100_/Q_", "renamed")
    assert told["failed"]["why"].startswith("シンボリックリンクです。")
    names = {one["name"] for one in run("mailbox", "list", *ANN, "--json").json["items"]}
    assert names == {"INBOX", "Sent", "100_/Q_"}
    again = run("import", "maildir", str(maildir), *ANN, "--json")
    assert (again.json["imported"], again.json["skipped"]) == (0, 5)


@pytest.mark.parametrize("given", [["--map", "Sent=100%"], ["--prefix", "a//b"], ["--mailbox", "a//b"]])
def test_a_name_that_somebody_chose_is_refused(run: Run, site: Path, maildir: Path, given: list[str]) -> None:
    """As `mailbox create` refuses it; nothing is imported."""
    assert site.exists()
    done = run("import", "maildir", str(maildir), *ANN, *given)
    assert (done.code, "not the name of a mailbox" in done.stderr) == (2, True)
    assert run("message", "list", *ANN, "--json").json["items"] == []


def test_a_dry_run_does_nothing(run: Run, site: Path, maildir: Path) -> None:
    """It counts, and leaves the site as it is."""
    assert site.exists()
    done = run("import", "maildir", str(maildir), *ANN, "--dry-run", "--json", "--prefix", "New")
    assert (done.code, done.json["imported"]) == (0, 4)
    assert run("message", "list", *ANN, "--json").json["items"] == []
    assert len(run("mailbox", "list", *ANN, "--json").json["items"]) == 1
    assert run("import", "maildir", str(maildir), *ANN, "--json").json["imported"] == 4


@pytest.mark.parametrize("remote", [False, True])
def test_a_dry_run_counts_what_will_fail(
    run: Run, site: Path, server: tuple[str, ...], maildir: Path, remote: bool
) -> None:
    """As many as then do: for want of room, and too large ones."""
    assert site.exists()
    used = run("account", "show", "ann@example.org", "--json").json["used_bytes"]
    run("account", "edit", "ann@example.org", "--quota", str(used + 200))
    (maildir / "cur" / "big:2,").write_bytes(b"x" * (51 << 20))
    arguments = ("import", "maildir", str(maildir), *ANN, "--json", *(server if remote else ()))
    dry = run(*arguments, "--dry-run")
    done = run(*arguments)
    assert (done.code, dry.code) == (3, 3)
    assert [dry.json[key] for key in ("imported", "failed", "bytes")] == [
        done.json[key] for key in ("imported", "failed", "bytes")
    ]
    assert (done.json["imported"], done.json["failed"]) == (2, 3)


def test_again_and_verify(run: Run, site: Path, maildir: Path) -> None:
    """`--verify` reads what seems unchanged; `--again` brings everything once more."""
    assert site.exists()
    run("import", "maildir", str(maildir), *ANN)
    first = maildir / "cur" / "0.a:2,FS"
    status = first.stat()
    first.write_bytes(message(7)[: status.st_size])
    os.utime(first, ns=(status.st_mtime_ns, status.st_mtime_ns))
    same_looks = first.stat().st_size == status.st_size
    assert same_looks
    assert run("import", "maildir", str(maildir), *ANN, "--json").json["imported"] == 0
    assert run("import", "maildir", str(maildir), *ANN, "--json", "--verify").json["imported"] == 1
    assert run("import", "maildir", str(maildir), *ANN, "--json", "--again").json["imported"] == 4


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["maildir", "nowhere", *ANN], 4, "nothing at"),
        (["maildir", "{}", "--account", "nobody@example.org"], 4, "no account"),
        (["maildir", "{}/cur", *ANN], 2, "is not a Maildir"),
        (["maildir", "{}"], 2, "--account or --accounts-from"),
        (["maildir", "{}", *ANN, "--accounts-from", "x"], 2, "--account or --accounts-from"),
        (["maildir", "{}", *ANN, "--map", "x"], 2, "OLD=NEW"),
        (["maildir", "{}", *ANN, "--dates", "never"], 2, "source, received"),
        (["maildir", "{}", *ANN, "--report", "/nowhere/x"], 2, "cannot be written"),
        (["mbox", "{}", *ANN], 2, "import maildir"),
        (["mbox", "{}/cur/0.a:2,FS", *ANN, "--dialect", "mboxx"], 2, "mboxrd"),
        (["mbox", "nowhere", *ANN], 4, "nothing at"),
        (["mbox", "{}/cur/0.a:2,FS", *ANN], 2, "is not an mbox"),
    ],
)
def test_bad_calls_are_told(
    run: Run, site: Path, maildir: Path, arguments: list[str], code: int, word: str
) -> None:
    """The exit code, and a word that helps."""
    assert site.exists()
    done = run("import", *[argument.replace("{}", str(maildir)) for argument in arguments])
    assert (done.code, done.stdout) == (code, b"")
    assert word in done.stderr


def test_many_accounts_from_a_table(run: Run, site: Path, tmp_path: Path) -> None:
    """One that is not there and one that is no Maildir are told, and the others go on."""
    assert site.exists()
    for user in ("ann", "bob", "eve"):
        make_maildir(tmp_path / "home" / user / "Maildir")
    table = tmp_path / "table"
    lines = [f"{user}/Maildir, {user}@example.org" for user in ("eve", "ann")]
    table.write_text("\n".join([*lines, "none, ann@example.org", "bob/Maildir\tbob@example.org"]))
    report = tmp_path / "report"
    done = run(
        "import",
        "maildir",
        str(tmp_path / "home"),
        "--accounts-from",
        str(table),
        "--json",
        "--report",
        str(report),
    )
    assert (done.code, done.json["imported"], done.json["failed"]) == (3, 8, 2)
    told = [json.loads(line) for line in report.read_text().splitlines()]
    assert [(line["account"], line["code"]) for line in told] == [
        ("eve@example.org", "not_found"), ("ann@example.org", "not_found"),
    ]  # fmt: skip


def test_many_accounts_of_a_tree(run: Run, site: Path, tmp_path: Path) -> None:
    """By a pattern."""
    assert site.exists()
    for user in ("ann", "bob"):
        make_maildir(tmp_path / "vmail" / "example.org" / user / "mail")
    done = run("import", "maildir", str(tmp_path / "vmail"), "--accounts-from", "%d/%n/mail", "--json")
    assert (done.code, done.json["imported"]) == (0, 8)


def make_mbox(*numbers: int) -> bytes:
    """An mbox of these messages."""
    return b"".join(b"From b@x Sun May  6 22:17:15 2001\n" + message(number) + b"\n" for number in numbers)


def test_mboxes_of_files_directories_and_pipes(run: Run, site: Path, tmp_path: Path, home: Path) -> None:
    """INBOX, a mailbox named, mailboxes of file names, packed, from stdin."""
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail" / "Archive.mbox").write_bytes(make_mbox(1, 2))
    (tmp_path / "mail" / "Old.mbox.gz").write_bytes(gzip.compress(make_mbox(3)))
    (tmp_path / "one").write_bytes(make_mbox(4))
    assert run("import", "mbox", str(tmp_path / "one"), *ANN, "--json").json["imported"] == 1
    assert (
        run("import", "mbox", str(tmp_path / "one"), *ANN, "--mailbox", "X/Y", "--json").json["imported"] == 1
    )
    assert run("import", "mbox", str(tmp_path / "mail"), *ANN, "--json").json["imported"] == 3
    piped = process(
        home, "import", "mbox", "-", *ANN, "--json", "--data-dir", str(site), stdin=make_mbox(5, 6, 5)
    )
    assert (piped.code, piped.json["imported"]) == (0, 3)
    listed = run("mailbox", "list", *ANN, "--json").json["items"]
    assert {one["name"]: one["messages"] for one in listed} == {"INBOX": 4, "Archive": 2, "Old": 1, "X/Y": 1}
    newest = run("message", "list", *ANN, "--mailbox", "INBOX", "--json").json["items"][0]
    assert newest["received_at"] == "2001-05-06T22:17:15.000Z"


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ([], "an empty directory"),
        (["notes.txt", "deep/er"], "some other directory"),
        (["mailboxes/INBOX/dbox-Mails/x", "storage/m.1", "subscriptions"], "doveadm backup"),
        (["cur/1.a:2,"], "import maildir"),
    ],
)
def test_a_directory_without_an_mbox_is_a_bad_call(
    run: Run, site: Path, tmp_path: Path, files: list[str], word: str
) -> None:
    """Nothing is imported, nor made of lists that lie there; a dbox is named with the way out of it."""
    assert site.exists()
    (tmp_path / "mail").mkdir()
    for name in files:
        (tmp_path / "mail" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mail" / name).write_text("V\t2\n\nLists\n")
    done = run("import", "mbox", str(tmp_path / "mail"), *ANN)
    assert (done.code, done.stdout) == (2, b"")
    assert word in done.stderr
    assert {one["name"] for one in run("mailbox", "list", *ANN, "--json").json["items"]} == {"INBOX"}


def test_trap_m1_stdin_that_is_no_mbox_is_a_bad_call(site: Path, home: Path) -> None:
    """As a file that is none."""
    done = process(home, "import", "mbox", "-", *ANN, "--data-dir", str(site), stdin=b"Subject: x\n\nHello\n")
    assert (done.code, "- is not an mbox" in done.stderr) == (2, True)


def test_trap_m1_an_export_through_a_pipe_is_whole(run: Run, site: Path, tmp_path: Path, home: Path) -> None:
    """A message without a final newline, in front of one without header fields, merges with nothing."""
    maildir = make_maildir(tmp_path / "odd")
    (maildir / "cur" / "4.a:2,").write_bytes(b"Subject: 4\n\nno newline")
    (maildir / "cur" / "5.a:2,").write_bytes(b"\nonly text\n")
    run("import", "maildir", str(maildir), *ANN)
    run("export", "mbox", str(tmp_path / "out"), *ANN, "--json")
    mbox = (tmp_path / "out" / "INBOX.mbox").read_bytes()
    bob = ("--account", "bob@example.org", "--dialect", "mboxrd", "--json")
    piped = process(home, "import", "mbox", "-", *bob, "--data-dir", str(site), stdin=mbox)
    assert (piped.code, piped.json["imported"]) == (0, 5)
    named = run("import", "mbox", str(tmp_path / "out" / "INBOX.mbox"), *bob)
    assert (named.json["imported"], named.json["skipped"]) == (1, 4)  # the list tells of no last line end


def test_trap_m1_what_a_directory_of_mboxes_has_besides_is_named(
    run: Run, site: Path, tmp_path: Path
) -> None:
    """Links and hidden mboxes have failed, other files are named; stderr and the report tell all of them."""
    assert site.exists()
    mail = tmp_path / "mail"
    mail.mkdir()
    for name in ("a", ".hid", "red.flags"):
        (mail / name).write_bytes(make_mbox(len(name)))
    (mail / "link").symlink_to(mail / "a")
    (mail / "notes.txt").write_text("nothing")
    report = tmp_path / "report"
    done = run("import", "mbox", str(mail), *ANN, "--json", "--report", str(report))
    assert (done.code, done.json["imported"], done.json["failed"]) == (3, 2, 2)
    told = {one["path"]: one["outcome"] for one in map(json.loads, report.read_text().splitlines())}
    assert told == {
        str(mail / ".hid"): "failed", str(mail / "link"): "failed", str(mail / "notes.txt"): "left",
    }  # fmt: skip
    assert all(path in done.stderr for path in told)
    names = {one["name"] for one in run("mailbox", "list", *ANN, "--json").json["items"]}
    assert names == {"INBOX", "a", "red.flags"}


def test_trap_m1_a_length_that_leads_nowhere_is_told_to_who_named_the_dialect(
    run: Run, site: Path, tmp_path: Path
) -> None:
    """The message comes, parted as well as can be."""
    assert site.exists()
    (tmp_path / "x").write_bytes(make_mbox(1).replace(b"Subject", b"Content-Length: 99\nSubject"))
    report = tmp_path / "report"
    arguments = ("import", "mbox", str(tmp_path / "x"), *ANN, "--json", "--report", str(report))
    assert (run(*arguments, "--dry-run").code, report.read_text()) == (0, "")
    done = run(*arguments, "--dialect", "mboxcl2")
    assert (done.code, done.json["imported"]) == (0, 1)
    (line,) = [json.loads(line) for line in report.read_text().splitlines()]
    assert (line["outcome"], line["code"]) == ("changed", "length")
    assert "Content-Length" in done.stderr


@pytest.mark.parametrize("kind", ["maildir", "mbox"])
def test_export_import_export_gives_the_same_tree(
    run: Run, site: Path, maildir: Path, tmp_path: Path, kind: str
) -> None:
    """Every file, name, byte and time of it."""
    assert site.exists()
    (maildir / ".Empty" / "cur").mkdir(parents=True)
    run("import", "maildir", str(maildir), *ANN)
    first, second = tmp_path / "first", tmp_path / "second"
    done = run("export", kind, str(first), *ANN, "--json")
    assert (done.code, set(done.json)) == (0, {"exported", "failed", "bytes", "seconds"})
    assert (done.json["exported"], done.json["failed"]) == (4, 0)
    assert run("import", kind, str(first), "--account", "bob@example.org", "--json").json["imported"] == 4
    assert run("export", kind, str(second), "--account", "bob@example.org").code == 0
    assert tree(first) == tree(second)
    assert {"subscriptions", ".Empty/maildirfolder" if kind == "maildir" else "Empty.mbox"} <= tree(
        first
    ).keys()


def test_an_export_writes_over_nothing(run: Run, site: Path, tmp_path: Path) -> None:
    """Conflict, exit 5; an account or mailbox that is not there leaves nothing behind."""
    assert site.exists()
    (tmp_path / "file").touch()
    assert run("export", "maildir", str(tmp_path), *ANN).code == 5
    assert run("export", "mbox", str(tmp_path), *ANN).code == 5
    assert run("export", "mbox", str(tmp_path / "file"), *ANN, "--mailbox", "INBOX").code == 5
    assert run("export", "maildir", str(tmp_path / "new"), "--account", "nobody@example.org").code == 4
    assert run("export", "maildir", str(tmp_path / "new"), *ANN, "--mailbox", "Nope").code == 4
    assert run("export", "maildir", str(tmp_path / "new"), *ANN, "--layout", "flat").code == 2
    assert not (tmp_path / "new").exists()


@pytest.fixture
def server(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, ...]]:
    """The options that lead to a server of the site."""
    with running(site) as http:
        yield ("--server", http.url, "--token-file", str(site / "admin.token"))


def test_the_same_works_on_a_server(
    run: Run, site: Path, server: tuple[str, ...], tmp_path: Path, home: Path
) -> None:
    """The Maildir is read here and stored there, the export comes back the same; hashes stay here."""
    assert site.exists()
    maildir = make_maildir(tmp_path / "far", count=700)
    (maildir / "cur" / "large:2,").write_bytes(message(1) + bytes(range(256)) * 12_000)
    done = run("import", "maildir", str(maildir), *ANN, "--json", *server)
    assert (done.code, done.json["imported"], done.json["failed"]) == (0, 702, 0)
    assert run("import", "maildir", str(maildir), *ANN, "--json", *server).json["skipped"] == 702
    assert list((home / ".cache" / "mairust" / "imports").iterdir())
    assert run("import", "maildir", str(maildir), *ANN, "--json").json["skipped"] == 702
    here, there = tmp_path / "here", tmp_path / "there"
    assert run("export", "maildir", str(there), *ANN, *server).code == 0
    assert run("export", "maildir", str(here), *ANN).code == 0
    assert tree(here) == tree(there)
    assert len(tree(here)) == 702 + 4


def test_a_terminal_sees_how_far_it_is() -> None:
    """Messages done of those expected, on from what other accounts had before."""
    ours, theirs = pty.openpty()
    with open(theirs, "w", encoding="utf-8") as stderr:
        output = Output(stdout=io.StringIO(), stderr=stderr, env={"COLUMNS": "100"})
        before = Tally(done=1000)
        with shown(output, "ann@example.org", before, lambda: 600) as show:
            time.sleep(SHOWN_AFTER_S)  # nothing is drawn before then
            show(Tally(done=1050, skipped=50))
        stderr.write("end\n")
        stderr.flush()
        seen = os.read(ours, 4096).decode()
    os.close(ours)
    assert "ann@example.org" in seen
    assert "100 / 600" in seen


def test_off_a_terminal_nobody_counts() -> None:
    """Nothing is written, and the source is not walked twice for the number of its messages."""
    output = Output(stdout=io.StringIO(), stderr=io.StringIO(), env={})
    asked: list[int] = []
    with shown(output, "ann@example.org", Tally(), lambda: asked.append(1)) as show:
        show(Tally(done=1))
    assert asked == []
    assert isinstance(output.stderr, io.StringIO)
    assert output.stderr.getvalue() == ""


def test_a_pipe_in_a_maildir_does_not_stop_an_import(run: Run, site: Path, maildir: Path) -> None:
    """Nobody writes to it; it is named, the rest comes, and the exit says so."""
    assert site.exists()
    os.mkfifo(maildir / "cur" / "1:2,")
    (maildir / "subscriptions").unlink()
    os.mkfifo(maildir / "subscriptions")
    done = run("import", "maildir", str(maildir), *ANN, "--json")
    assert done.code == 3
    assert (done.json["imported"], done.json["failed"]) == (4, 2)
    assert str(maildir / "cur" / "1:2,") in done.stderr
    assert str(maildir / "subscriptions") in done.stderr


@needs_setpriv_as_root
def test_a_folder_without_permission_does_not_stop_an_import(
    site: Path, home: Path, maildir: Path, tmp_path: Path
) -> None:
    """Also for root, when that may not read everything, as in a container."""
    shut = maildir / ".Shut"
    (shut / "cur").mkdir(parents=True)
    shut.chmod(0)
    try:
        done = subprocess.run(
            [*POWERLESS, *command_line("import", "maildir", str(maildir), *ANN, "--json")],
            env=environment(home, {"MAIRUST_DATA_DIR": str(site)}),
            capture_output=True,
            check=False,
        )
    finally:
        shut.chmod(0o700)
    assert done.returncode == 3, done.stderr
    told = json.loads(done.stdout)
    assert (told["imported"], told["failed"]) == (4, 1)
    assert str(shut).encode() in done.stderr
    assert b"permission denied" in done.stderr


@pytest.fixture
def of_the_system(home: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command with the system's own Python, which everybody may read."""
    python = "/usr/bin/python3"
    if not os.path.exists(python):
        pytest.skip("the system has no /usr/bin/python3")
    if f"python3.{sys.version_info[1]}" not in os.path.realpath(python):
        pytest.skip("the dependencies that are installed are of another Python than the system's own")
    here = f"{CHECKOUT}{os.pathsep}{sysconfig.get_path('platlib')}"

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        call = [python, "-S", "-m", "mairust_cli.entry", *words]
        env = environment(home, {"PYTHONPATH": here})
        return subprocess.run(call, env=env, cwd=home, capture_output=True, text=True, check=False)

    return run


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize(("lang", "word"), [("en", "became the user"), ("ja", "ユーザー")])
def test_rule_d3_root_is_told_as_whom_it_may_not_read(
    of_the_system: Callable[..., subprocess.CompletedProcess[str]],
    site: Path,
    maildir: Path,
    lang: str,
    word: str,
) -> None:
    """Whoever owns the data directory: the line behind the failures names that user and the ways out."""
    let_others_in(site)
    for path in (site, *site.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    command = ("import", "maildir", str(maildir), *ANN, "--data-dir", str(site), "--lang", lang)
    maildir.chmod(0o700)
    done = of_the_system(*command)
    assert done.returncode == 3, done.stderr
    *_, last = done.stderr.splitlines()
    assert word in last
    assert all(one in last for one in (pwd.getpwuid(NOBODY).pw_name, "--server", "--token-file"))
    maildir.chmod(0o755)
    done = of_the_system(*command)
    assert (done.returncode, word in done.stderr) == (0, False), done.stderr


@needs_setpriv_as_root
def test_trap_m1_a_directory_without_permission_does_not_stop_many_accounts(
    site: Path, home: Path, tmp_path: Path
) -> None:
    """What is beside it comes, and so do the accounts behind it."""
    for user in ("ann", "bob"):
        (tmp_path / "mail" / user / "shut").mkdir(parents=True)
        (tmp_path / "mail" / user / "Old.mbox").write_bytes(make_mbox(1))
    shut = [tmp_path / "mail" / "ann" / "shut", tmp_path / "mail" / "bob"]
    table = tmp_path / "table"
    table.write_text("bob, bob@example.org\nann, ann@example.org\n")
    for one in shut:
        one.chmod(0)
    try:
        done = subprocess.run(
            [*POWERLESS, *command_line(
                "import", "mbox", str(tmp_path / "mail"), "--accounts-from", str(table), "--json"
            )],
            env=environment(home, {"MAIRUST_DATA_DIR": str(site)}),
            capture_output=True,
            check=False,
        )  # fmt: skip
    finally:
        for one in shut:
            one.chmod(0o700)
    assert done.returncode == 3, done.stderr
    told = json.loads(done.stdout)
    assert (told["imported"], told["failed"]) == (1, 2)
    assert all(str(one).encode() in done.stderr for one in shut)


def test_a_pipe_given_by_hand_is_an_mbox(run: Run, site: Path) -> None:
    """`import mbox <(zcat x.gz)`."""
    assert site.exists()
    reading, writing = os.pipe()
    os.write(writing, gzip.compress(b"From b@x.example Sun May  6 22:17:15 2001\n" + message(1)))
    os.close(writing)
    try:
        done = run("import", "mbox", f"/dev/fd/{reading}", *ANN, "--json")
    finally:
        os.close(reading)
    assert (done.code, done.json["imported"]) == (0, 1), done.stderr
