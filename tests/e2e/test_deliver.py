"""`mairust deliver` by the running server and by itself: the same answers, and no mail stuck for ever."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from mairust_core.model.account import NewAccount
from mairust_core.model.message import Message
from mairust_core.services.accounts import Accounts
from mairust_core.services.messages import Messages
from tests.support import forks
from tests.support.server import (
    END_TIMEOUT_S,
    TESTER,
    Server,
    Site,
    clean_environment,
    command_line,
    make_site,
)
from tests.support.users import AS_NOBODY

MAIL = b"Subject: by pipe\nMessage-ID: <%d@example.org>\n\nhello\n"
ODD = '"q q"@example.org'


@pytest.fixture(scope="module", params=["server", "alone"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with and without a running server."""
    made = make_site(tmp_path_factory.mktemp("deliver") / "site", accounts=2)
    with made.opened() as here:
        here.service(Accounts, TESTER).add(NewAccount(address=ODD))
        here.service(Accounts, TESTER).add(NewAccount(address="full@example.org", quota_bytes=1))
    with Server(site=made) if request.param == "server" else nullcontext():
        yield made


def deliver(
    site: Site, *words: str | bytes, mail: bytes = b"", shell: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run it with a message of its own; `shell` is what the shell puts behind the command."""
    call: list[str | bytes] = [*command_line(site, "deliver"), *words]
    if shell:
        call = ["sh", "-c", f'"$@" {shell}', "sh", *call]
    data = mail or MAIL % int.from_bytes(os.urandom(7))
    env = clean_environment(site.environment)
    if shell:
        done = subprocess.run(
            call, input=data, env=env, capture_output=True, timeout=END_TIMEOUT_S, check=False
        )
    else:
        done = forks.run(call, input=data, env=env, timeout=END_TIMEOUT_S)
    return subprocess.CompletedProcess(call, done.returncode, done.stdout.decode(), done.stderr.decode())


def newest(site: Site, account: str) -> Message:
    """The message stored last."""
    with site.opened() as here:
        messages = here.service(Messages, TESTER)
        (summary,) = messages.browse(account, limit=1).items
        return messages.show(str(int(summary.id)))


@pytest.mark.parametrize(
    ("sender", "path"),
    [
        ("ann@example.com", "ann@example.com"),
        ("john doe@x.example", '"john doe"@x.example'),
        ('a"b@x.example', '"a\\"b"@x.example'),
        ("<a@b.example>", "a@b.example"),
        ("jürgen@bücher.example", "jürgen@bücher.example"),
        ("root", ""),
        ("MAILER-DAEMON", ""),
        ("x" * 600 + "@b.example", ""),
        (b"\xff@b.example", ""),
        ("a\nb@c.example", ""),
        ("a@b.example> SIZE=1", ""),
    ],
)
def test_rule_d4_no_sender_keeps_a_mail_out(site: Site, sender: str | bytes, path: str) -> None:
    """It is quoted where it has to be; one that is no address becomes the null sender, with a note."""
    done = deliver(site, "--from", sender, "user0@example.org")
    assert done.returncode == 0, done.stderr
    assert ("is no address, <> is put in its place" in done.stderr) is (path == "")
    fields = dict(newest(site, "user0@example.org").headers)
    assert fields.get("Return-Path", "<>") == f"<{path}>"


def test_nobody_said_anything_to_a_pipe(site: Site) -> None:
    """The trace tells where the pipe ran, and of no client."""
    assert deliver(site, "user0@example.org").returncode == 0
    message = newest(site, "user0@example.org")
    told = site.command("trace", str(message.id)).stdout.decode()
    line = next(one for one in told.splitlines() if "pipe" in one)
    assert socket.gethostname() in line
    assert "said" not in told
    received = dict(message.headers)["Received"]
    assert received.startswith("by ")


def test_a_null_sender_is_nothing_to_be_noted(site: Site) -> None:
    """Bounces have it; nothing is said when all is well."""
    for sender in ("", "<>"):
        done = deliver(site, "--from", sender, "user0@example.org")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_local_part_with_a_space_finds_its_account(site: Site) -> None:
    """Postfix hands recipients over unquoted, unless `flags=q` is set."""
    for recipient in ("q q@example.org", ODD, f"<{ODD}>"):
        done = deliver(site, recipient)
        assert (done.returncode, done.stderr) == (0, "")
    assert newest(site, ODD).account == ODD


@pytest.mark.parametrize(
    "recipient", ["nobody@example.org", "no address", b"\xff@example.org", "a\nb@c.example"]
)
def test_whom_nobody_knows_is_67_in_one_line(site: Site, recipient: str | bytes) -> None:
    """What, whom and why, and no advice: the front server sends it to whoever sent the mail."""
    done = deliver(site, recipient)
    assert done.returncode == 67
    (line,) = done.stderr.splitlines()
    assert re.fullmatch(r"5\d\d 5\.1\.\d <.+>: [\w ,.]+", line), line


def test_a_sender_hears_the_reply_to_each_recipient(site: Site) -> None:
    """In the words of SMTP."""
    done = deliver(site, "x@example.org", "y@example.org", "z@example.com")
    assert done.returncode == 67
    assert done.stderr == (
        "550 5.1.1 <x@example.org>, <y@example.org>: No such user here; "
        "550 5.7.1 <z@example.com>: Relaying denied, this server takes no mail for that domain\n"
    )


def test_a_refused_message_is_65_in_one_line(site: Site) -> None:
    """A mail in a loop, and one over the size: contract §1."""
    loop = b"Received: from a by b\n" * 101 + b"Subject: x\n\nx\n"
    for words, mail, why in ((), loop, "5.4.6"), (("--config", "small.toml"), b"x" * 2000, "5.3.4"):
        (site.directory / "small.toml").write_text("[smtp]\nmax_size = 1000\n")
        options = [str(site.directory / one) if one.endswith("toml") else one for one in words]
        done = deliver(site, *options, "user0@example.org", "user1@example.org", mail=mail)
        assert done.returncode == 65
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"55{line[2]} {why} <user0@example.org>, <user1@example.org>: ")
        assert "mairust" not in line.lower()


def test_who_has_no_room_is_75_and_named(site: Site) -> None:
    """One has it, one is full, one is unknown: the line names the two, each with its reply."""
    done = deliver(site, "user0@example.org", "full@example.org", "nobody@example.org")
    assert done.returncode == 75
    (line,) = done.stderr.splitlines()
    assert "user0" not in line
    assert "full@example.org: 452 4.2.2" in line
    assert "nobody@example.org: 550 5.1.1" in line


@pytest.mark.parametrize(
    ("recipients", "code"), [(["user0@example.org"], 0), (["no@example.org"], 67), (["full@example.org"], 75)]
)
def test_json_is_one_document(site: Site, recipients: list[str], code: int) -> None:
    """Also for a failure, and then nothing is on stderr."""
    done = deliver(site, *recipients, "--json")
    assert (done.returncode, done.stderr) == (code, "")
    found = json.loads(done.stdout)
    if code:
        assert recipients[0] in found["error"]["message"]
        assert found["error"]["hint"]
    else:
        assert [one["address"] for one in found["recipients"]] == recipients
        assert found["recipients"][0]["reply"].startswith("250 2.0.0 stored ")


def test_rule_c4_more_recipients_than_smtp_takes_are_all_served(site: Site) -> None:
    """`smtp.max_recipients` is for strangers; here it would be 75 for ever. A repetition stores nothing."""
    everybody = [f"user{number % 2}+{number}@example.org" for number in range(1100)]
    mail = MAIL % 4711
    assert deliver(site, "user1@example.org").returncode == 0
    before = newest(site, "user1@example.org").id
    assert deliver(site, *everybody, mail=mail).returncode == 0
    stored = newest(site, "user1@example.org").id
    assert stored != before
    assert deliver(site, *everybody, mail=mail).returncode == 0
    assert newest(site, "user1@example.org").id == stored


def test_closed_standard_input_is_told_and_tried_again(site: Site) -> None:
    """75, never an empty message in the mailbox."""
    done = deliver(site, "user0@example.org", shell="<&-")
    assert done.returncode == 75
    assert done.stderr.startswith("mairust: error: Standard input is closed")


def test_closed_output_is_nothing_to_stumble_over(site: Site) -> None:
    """Nothing that is opened meanwhile becomes stdout or stderr."""
    done = deliver(site, "--json", "user0@example.org", shell=">&- 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_rule_d3_another_user_is_told_whose_site_it_is() -> None:
    """75 for the pipe; the line names the directory and its owner, and nothing is called unexpected."""
    roots = Site(directory=Path("/root"))
    done = subprocess.run(
        [*AS_NOBODY, *command_line(roots, "deliver", "user0@example.org")],
        input=MAIL % 1, env=clean_environment(), capture_output=True, timeout=END_TIMEOUT_S, check=False,
        cwd="/",
    )  # fmt: skip
    assert done.returncode == 75
    assert b"/root belongs to the user with id 0" in done.stderr, done.stderr
