"""Changing mail, its mailboxes and its owners by commands, over a real SQLite site."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from mairust_core.app import opened
from mairust_core.model.ids import Id
from mairust_core.model.mailbox import QUARANTINE
from mairust_core.model.message_change import MessageChange
from mairust_core.model.principal import Principal
from mairust_core.store import mailboxes, placements
from tests.integration.cli.conftest import MAIL
from tests.support.command_line import Run
from tests.support.stores import settings_for

ANN = ("--account", "ann@example.org")
HTML = (
    b"From: Ann <ann@example.org>\r\nSubject: layers\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>two\x1b[2J</p>\r\n"
    b'--b\r\nContent-Type: image/png; name="a.png"\r\n\r\n\x00\xff\r\n--b--\r\n'
)

pytestmark = pytest.mark.usefixtures("site")


@pytest.fixture
def ids(run: Run, mail: Path) -> list[str]:
    """Three messages of ann's."""
    return [str(run("message", "append", str(mail), *ANN, "--json").json["id"]) for _ in range(3)]


def test_one_message_is_answered_as_it_is_now(run: Run, ids: list[str]) -> None:
    """The object itself, exit 0; a second time nothing changes."""
    for _ in range(2):
        tagged = run("message", "tag", ids[0], "--add", "bill", "--add", "to pay", "--remove", "x", "--json")
        assert (tagged.code, tagged.json["tags"]) == (0, ["bill", "to pay"])
        flagged = run("message", "flag", ids[0], "--add", "\\seen", "--json")
        assert (flagged.code, flagged.json["flags"]) == (0, ["\\Seen"])
    assert run("message", "show", ids[0], "--json").json["tags"] == ["bill", "to pay"]


def test_a_tag_is_not_taken_for_a_flag_or_for_several(run: Run, ids: list[str]) -> None:
    """A plugin that may tag, and no more, could say that mail was read; as the shell would write it."""
    tags = ("a", "\\Seen", "to pay", "x' \\Seen 'y", "請求書")
    run("message", "flag", ids[0], "--add", "\\Flagged")
    told = run("message", "tag", ids[0], *(word for tag in tags for word in ("--add", tag))).out
    shown = "\\Flagged a '\\Seen' 'to pay' 'x'\"'\"' \\Seen '\"'\"'y' 請求書"
    assert shown in told
    assert f"Flags:       {shown}" in run("message", "show", ids[0]).out


def test_what_is_in_quarantine_says_why(site: Path, run: Run, ids: list[str]) -> None:
    """As whoever put it there said; once it is out it is not told any more."""
    with opened(settings_for(site)) as found, found.storage.write() as tx:
        one = placements.hold(tx, Principal.local("tester"), Id.parse(ids[0]))
        mailboxes.ensure(tx, one.tenant_id, one.account_id, Id(4711), QUARANTINE)
    with opened(settings_for(site)) as found, found.storage.write() as tx:
        one = placements.hold(tx, Principal.local("tester"), Id.parse(ids[0]))
        placements.change(
            tx, one, MessageChange(mailbox=QUARANTINE, metadata={"quarantine": "a card\x1b[2J"})
        )
    assert "Quarantined: a card[2J" in run("message", "show", ids[0]).out
    run("message", "release", ids[0])
    assert "Quarantined" not in run("message", "show", ids[0]).out


def test_several_messages_are_answered_one_by_one(run: Run, ids: list[str]) -> None:
    """Exit 0 when all is done; exit 3 when some failed, with the reason for each, the others done."""
    run("mailbox", "create", "Work", *ANN)
    moved = run("message", "move", *ids, "--to", "Work", "--json")
    assert moved.code == 0
    assert [item["mailbox"] for item in moved.json["items"]] == ["Work"] * 3
    assert moved.json["failed"] == []
    run("message", "delete", ids[1])
    mixed = run("message", "tag", *ids, "4711", "--add", "a", "--json")
    assert (mixed.code, mixed.stderr) == (3, "")
    assert [item["id"] for item in mixed.json["items"]] == [ids[0], ids[2]]
    failed = {one["id"]: one["error"] for one in mixed.json["failed"]}
    assert {id_: error["code"] for id_, error in failed.items()} == {ids[1]: "conflict", "4711": "not_found"}
    assert "mairust message undelete" in failed[ids[1]]["hint"]
    told = run("message", "tag", *ids, "--add", "b")
    assert told.code == 3
    assert told.stderr.count("mairust: error: ") == 1
    assert [line.split()[0] for line in told.out.splitlines()[1:]] == [ids[0], ids[2]]
    assert run("message", "tag", *ids, "no-id", "--add", "c").code == 2
    assert "c" not in run("message", "show", ids[0], "--json").json["tags"]


def test_the_same_id_twice_is_one(run: Run, ids: list[str]) -> None:
    """Also in another spelling, which is answered as for one."""
    assert run("message", "undelete", ids[0], "0" + ids[0], "--json").code == 0
    assert run("message", "undelete", ids[0], ids[0], "--json").json["id"] == ids[0]


def test_deleting_is_undone_and_for_good_is_asked_about(run: Run, ids: list[str]) -> None:
    """`--now` needs `--yes` where nobody can be asked; exit codes of what is gone."""
    deleted = run("message", "delete", ids[0], "--json").json
    assert (deleted["id"], deleted["removed"]) == (ids[0], True)
    assert [item["id"] for item in run("message", "list", *ANN, "--deleted", "--json").json["items"]] == [
        ids[0]
    ]
    shown = run("message", "show", ids[0])
    assert "Deleted:" in shown.out
    assert "from INBOX of ann@example.org" in shown.out
    assert run("message", "undelete", ids[0], "--json").json["uid"] == 4
    refused = run("message", "delete", ids[0], "--now")
    assert (refused.code, "--yes" in refused.stderr) == (2, True)
    assert run("message", "show", ids[0]).code == 0
    assert run("message", "delete", ids[0], "--now", "--yes").code == 0
    for command in ("show", "delete", "undelete", "release"):
        assert run("message", command, ids[0]).code == 4


def test_lists_are_narrowed(run: Run, ids: list[str], mail: Path) -> None:
    """By flag, tag and time; `--unseen` is short for `--unflag`; a list goes on until it is full."""
    run("message", "flag", ids[0], "--add", "\\Seen")
    run("message", "tag", ids[1], "--add", "bill")
    old = run("message", "append", str(mail), *ANN, "--date", "2001-02-03", "--json").json["id"]
    listed: list[tuple[list[str], list[str]]] = [
        (["--unseen"], [ids[2], ids[1], old]),
        (["--flag", "\\Seen"], [ids[0]]),
        (["--tag", "bill"], [ids[1]]),
        (["--since", "1d"], ids[::-1]),
        (["--before", "2002-01-01"], [old]),
        (["--since", "2001-01-01", "--limit", "1"], [ids[2]]),
    ]
    for options, expected in listed:
        found = run("message", "list", *ANN, *options, "--json").json["items"]
        assert [item["id"] for item in found] == expected, options
    assert run("message", "list", *ANN, "--unseen", "--unflag", "\\Flagged").code == 2
    assert run("message", "list", *ANN, "--since", "soon").code == 2


def test_a_message_is_shown_in_one_way_at_a_time(run: Run, tmp_path: Path) -> None:
    """Text, HTML, header fields, parts and attachments; bytes untouched where nobody reads them."""
    (tmp_path / "layers.eml").write_bytes(HTML)
    id_ = run("message", "append", str(tmp_path / "layers.eml"), *ANN, "--json").json["id"]
    assert run("message", "show", id_, "--text").out.strip() == "two\x1b[2J"
    assert run("message", "show", id_, "--html").out.strip() == "<p>two\x1b[2J</p>"
    assert run("message", "show", id_, "--headers").out.splitlines()[1] == "Subject: layers"
    assert run("message", "show", id_, "--attachment", "1").stdout == b"\x00\xff"
    assert run("message", "show", id_, "--part", "2").stdout == b"\x00\xff"
    assert "Attachment 1: a.png (image/png, 2 B, part 2)" in run("message", "show", id_).out
    assert run("message", "show", id_, "--text", "--raw").code == 2
    assert run("message", "show", id_, "--part", "7").code == 4
    assert run("message", "show", id_, "--attachment", "0").code == 4


def test_messages_are_exported_as_raw_shows_them(run: Run, ids: list[str], tmp_path: Path) -> None:
    """One to stdout, several as ID.eml; a file there is replaced, one that failed leaves nothing."""
    assert run("message", "export", ids[0]).stdout == MAIL
    assert run("message", "export", *ids).code == 2
    directory = tmp_path / "deep" / "mails"
    directory.mkdir(parents=True)
    (directory / f"{ids[0]}.eml").write_text("old")
    done = run("message", "export", *ids, "4711", "--output", str(directory), "--json")
    assert done.code == 3
    assert [item["size"] for item in done.json["items"]] == [len(MAIL)] * 3
    assert sorted(os.listdir(directory)) == sorted(f"{id_}.eml" for id_ in ids)
    assert {(directory / f"{id_}.eml").read_bytes() for id_ in ids} == {MAIL}
    assert {(directory / name).stat().st_mode & 0o777 for name in os.listdir(directory)} == {0o600}
    (tmp_path / "file").write_text("")
    assert run("message", "export", *ids, "--output", str(tmp_path / "file")).code == 2


def test_append_takes_flags_tags_and_a_date(run: Run, mail: Path) -> None:
    """And counts what is seen already as seen."""
    options = ["--flag", "\\Seen", "--flag", "$Junk", "--tag", "a b", "--date", "2026-01-02T03:04:05Z"]
    made = run("message", "append", str(mail), *ANN, *options, "--json").json
    assert (made["flags"], made["tags"]) == (["\\Seen", "$Junk"], ["a b"])
    assert made["received_at"] == "2026-01-02T03:04:05.000Z"
    assert run("mailbox", "list", *ANN, "--json").json["items"][0]["unseen"] == 0
    assert run("message", "append", str(mail), *ANN, "--flag", "\\Deleted").code == 2
    assert run("message", "append", str(mail), *ANN, "--date", "1960-01-01").code == 2


def test_mailboxes_are_created_renamed_and_deleted(run: Run, mail: Path) -> None:
    """Contract §8: the object in every answer; deleting asks, and the mail is in the trash."""
    made = run("mailbox", "create", "Work/2026", *ANN, "--json").json
    assert set(made) == {"name", "messages", "unseen", "uidvalidity", "uidnext"}
    assert run("mailbox", "create", "Work/2026", *ANN).code == 5
    run("message", "append", str(mail), *ANN, "--mailbox", "Work/2026")
    renamed = run("mailbox", "rename", "Work/2026", "Old", *ANN, "--json").json
    assert (renamed["name"], renamed["messages"]) == ("Old", 1)
    assert run("mailbox", "delete", "Old", *ANN).code == 2
    assert run("mailbox", "delete", "Old", *ANN, "--yes", "--json").json == {"name": "Old", "removed": True}
    assert run("mailbox", "delete", "Old", *ANN, "--yes").code == 4
    assert len(run("message", "list", *ANN, "--deleted", "--json").json["items"]) == 1
    for name in ("INBOX", "Quarantine", "a//b"):
        assert run("mailbox", "create", name, *ANN).code == 2


def test_accounts_are_edited(run: Run) -> None:
    """Each option alone, `none` takes the quota away, no option changes nothing."""
    edit = ["account", "edit", "ann@example.org"]
    assert run(*edit, "--quota", "5G", "--json").json["quota_bytes"] == 5 << 30
    assert run(*edit, "--admin", "--json").json["admin"] is True
    assert run(*edit, "--json").json["quota_bytes"] == 5 << 30
    again = run(*edit, "--quota", "none", "--no-admin", "--json").json
    assert (again["quota_bytes"], again["admin"]) == (None, False)
    assert run(*edit, "--quota", "much").code == 2
    assert run("account", "edit", "nobody@example.org", "--admin").code == 4


def test_a_password_comes_from_stdin_and_is_not_shown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, and nobody to ask, exit 2."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"correct horse battery\n")))
    done = run("account", "passwd", "ann@example.org", "--password-stdin", "--json", "--verbose")
    assert done.code == 0
    assert "horse" not in done.out + done.stderr
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"short\n")))
    assert run("account", "passwd", "ann@example.org", "--password-stdin").code == 2
    refused = run("account", "passwd", "ann@example.org")
    assert (refused.code, "--password-stdin" in refused.stderr) == (2, True)
