"""The tutorial and the how-tos that need nothing but this machine: typed as they stand, on free ports."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

from tests.e2e.docs.shell import Running, reader, serving, with_tools
from tests.support import docs
from tests.support.answering import http_plugin
from tests.support.docs import CHECKOUT, TUTORIAL
from tests.support.linking import allow_unsigned, http_text, write
from tests.support.packaging import offered
from tests.support.postgres import PostgresServer
from tests.support.processes import children

HOW_TO = CHECKOUT / "docs" / "how-to"
FIRST_PLUGIN = CHECKOUT / "docs" / "tutorial" / "first-plugin.md"
KEY_PAGE = "rotate-the-master-key.md"
MAIL = r"""
printf 'Subject: invoice\r\n\r\nhello\r\n' | mairust message append - --account ann@example.org
"""
ANN = "ann@example.org"
CARL = "carl@example.org"
FOLLOWED = {
    f"mairust deliver {ANN} < lunch.eml": rf"""
        until mairust deliver {CARL} < lunch.eml &&
            mairust message list --account {CARL} --limit 1 --json | grep -F "\"tags\":[\"hello\"]"
        do sleep 0.1; done""",
    f"mairust deliver {ANN} < casino.eml": f"""
        until mairust deliver {CARL} < casino.eml; test $? = 65
        do sleep 0.1; done""",
}
"""A server follows an approval within a second (rule D3); a reader who types fast sees it by other mail."""
MESSAGE = b"From: Bob <bob@x.example>\nSubject: moved\n\nAs it was.\n"
PATH = 'export PATH="$PWD/.venv/bin:$PATH"\n'
SITE = """\
export PATH="$PWD/.venv/bin:$PATH"
mairust domain add example.org
mairust account add ann@example.org
cp "$HOME/.local/share/mairust/admin.token" .
"""


def script(page: Path, server: Running, start: int = 0) -> str:
    """Every shell block of a page from one on, as one script."""
    return server.in_place("".join(block.text for block in docs.blocks(page, "sh")[start:]))


def test_the_tutorial_works_from_its_first_to_its_last_command(tmp_path: Path) -> None:
    """In one shell: its variables carry on. The first block is the README's, which has its own test."""
    who = with_tools(reader(tmp_path))
    with serving(who, ".venv/bin/mairust serve") as server:
        read = who.types(script(TUTORIAL, server, start=1))
    assert re.findall(r"^exit code (\d+)$", read, re.MULTILINE) == ["67", "77"]
    assert "identical" in read.splitlines()
    assert "up" in read.splitlines()
    assert read.count("Hello again") >= 6, "listed, shown three ways, over the API, and after the kill"


def test_the_tutorial_of_plugins_works(tmp_path: Path) -> None:
    """A shell plugin and a Python plugin: linked, approved, tried, asked about real mail, replayed."""
    who = with_tools(reader(tmp_path))
    allow_unsigned(who.home / ".local/share/mairust")
    with serving(who, ".venv/bin/mairust serve") as server:
        typed = script(FIRST_PLUGIN, server)
        for delivered, seen in FOLLOWED.items():
            assert typed.count(delivered) == 1
            typed = typed.replace(delivered, f"timeout 60 sh -c '{seen}' > /dev/null 2>&1\n{delivered}")
        read = who.types(f"{SITE}mairust account add {CARL}\n{typed}")
    assert read.count("hello") > 3
    assert re.findall(r"^exit code (\d+)$", read, re.MULTILINE) == ["65"]
    assert "the sender hears: 550 5.7.1 No casinos, please" in read
    assert "enabled (1.0.0 pending)" in read
    listed = who.types(f"{PATH}mairust message list --account {ANN} --json")
    assert listed.count('"tags":["hello"]') == 1


def test_the_how_to_of_running_plugins_works(tmp_path: Path) -> None:
    """With a plugin that was asked about a mail: shown, rotated, given a token, and told of."""
    who = with_tools(reader(tmp_path))
    allow_unsigned(who.home / ".local/share/mairust")
    with http_plugin() as plugin, serving(who, ".venv/bin/mairust serve") as server:
        write(who.directory / "spam", http_text("com.example.spam", plugin.port, "pre_receive"))
        begin = "mairust plugin link ./spam\nmairust plugin approve com.example.spam --yes\n"
        ask = (
            "printf 'Subject: hi\\r\\n\\r\\n' | mairust message append - --account ann@example.org --hooks\n"
        )
        read = who.types(SITE + begin + ask + script(HOW_TO / "operate-plugins.md", server))
    assert len(plugin.asked) == 1
    assert re.search(r"^Calls: +1, 0 failed", read, re.MULTILINE)
    assert 'mairust_plugin_calls_total{plugin="com.example.spam"} 1' in read
    assert read.count("mps_") == 3
    assert "refused from now on" in read
    assert '{"metrics":1}' in read
    assert re.search(r"^State: +revoked$", read, re.MULTILINE)
    assert re.search(r"com.example.spam 1.0.0 +ann@example.org +[0-9]+ +headers +mail", read)
    assert '"saw":["headers"]' in read


def test_the_how_to_of_keys_works(tmp_path: Path) -> None:
    """On a site with example.org and Ann: made, used by command and by curl, and revoked."""
    who = with_tools(reader(tmp_path))
    with serving(who, ".venv/bin/mairust serve") as server:
        read = who.types(SITE + script(HOW_TO / "tokens.md", server))
    assert read.count("mk_") == 3
    assert (who.directory / "backup.token").stat().st_mode & 0o777 == 0o600
    assert re.search(r"^State: +revoked$", read, re.MULTILINE)
    assert '"address":"ann@example.org"' in read


def test_the_how_to_of_backups_works(tmp_path: Path) -> None:
    """Made, verified, pruned, encrypted, rehearsed, put back and restored, beside a running server."""
    who = with_tools(reader(tmp_path))
    with serving(who, ".venv/bin/mairust serve") as server:
        mail = f"printf 'Subject: kept\\r\\n\\r\\n' | mairust message append - --account {ANN} --quiet\n"
        read = who.types(SITE + mail + script(HOW_TO / "backup.md", server))
        listed = who.types(f"{PATH}mairust message list --account {ANN} --json")
    assert "all alike" in read
    assert listed.count('"subject":"kept"') == 3, "one, and one for each time it was put back"
    restored = who.types(f"{PATH}mairust --data-dir ./restored message list --account {ANN} --json")
    assert restored.count('"subject":"kept"') == 1


def test_the_how_to_of_traces_works(tmp_path: Path) -> None:
    """On a site with example.org and Ann: a mail is sent, told of and listed, and the changes with it."""
    who = with_tools(reader(tmp_path))
    with serving(who, ".venv/bin/mairust serve") as server:
        read = who.types(SITE + script(HOW_TO / "trace-a-mail.md", server))
    assert read.count("<lunch.1@example.org>") == 1
    assert re.search(r"^ +stored +\d+ for ann@example.org in INBOX$", read, re.MULTILINE)
    assert read.count("250 2.0.0 stored") >= 3, "told, and listed twice"
    assert "accounts.add" in read


def test_the_how_to_of_monitoring_works(tmp_path: Path) -> None:
    """On a site with example.org and Ann, served: its commands succeed, doctor finds no error."""
    who = with_tools(reader(tmp_path))
    with serving(who, ".venv/bin/mairust serve") as server:
        read = who.types(SITE + script(HOW_TO / "monitor.md", server))
        assert f"process {server.pid}, 1 workers" in read
        assert f"HTTP 127.0.0.1:{server.http}" in read
    assert "errors: 0" in read
    assert "up" in read.splitlines()
    assert (who.directory / "all.toml").read_text().startswith("# All settings of MaiRust")


def test_the_how_to_of_completion_works(tmp_path: Path) -> None:
    """The script is there, and bash reads it."""
    who = with_tools(reader(tmp_path))
    path = 'export PATH="$PWD/.venv/bin:$PATH"\n'
    read = who.types(path + "".join(block.text for block in docs.blocks(HOW_TO / "completion.md", "sh")))
    assert read == ""
    made = who.home / ".local/share/bash-completion/completions/mairust"
    assert made.read_text("utf-8") == (CHECKOUT / "completions/mairust.bash").read_text("utf-8")


def test_the_how_to_of_mail_works(tmp_path: Path) -> None:
    """On a site with example.org and Ann: sorted, read, deleted, brought back, gone for good."""
    who = with_tools(reader(tmp_path))
    with serving(who, ".venv/bin/mairust serve") as server:
        read = who.types(SITE + script(HOW_TO / "mail.md", server))
    assert read.count("Archive/2026") >= 5
    assert "to pay" in read
    assert "42." in read
    assert "removed mailbox Archive/2026" in read
    assert list((who.directory / "mails").glob("*.eml"))


def test_the_how_tos_of_limits_and_of_the_master_key_work(tmp_path: Path) -> None:
    """A request repeated by its key answers twice the same; three rotations leave one key."""
    who = with_tools(reader(tmp_path))
    with serving(who, ".venv/bin/mairust serve") as server:
        once = script(HOW_TO / "limits.md", server)
        read = who.types(SITE + once + once.partition("\n")[2] + script(HOW_TO / KEY_PAGE, server))
    assert read.count('"name":"example.com"') == 2
    assert read.count("Master key in force:") == 3
    assert read.count("Prepared master key:") == 1


def test_the_how_to_of_search_works(tmp_path: Path) -> None:
    """On a site with a mail that its first search finds: every command, over HTTP too, up to the drop."""
    who = with_tools(reader(tmp_path))
    with serving(who, ".venv/bin/mairust serve") as server:
        read = who.types(SITE + MAIL + script(HOW_TO / "find-mail.md", server))
    assert read.count('"complete": true') + read.count('"complete":true') == 3
    assert re.search(r"^Mode: +off$", read, re.MULTILINE)


def test_the_how_tos_of_moving_work(tmp_path: Path) -> None:
    """What lies where they say comes in, again and again, and goes out in every form, byte for byte."""
    who = with_tools(reader(tmp_path))
    _lay_out_mail(who.directory)
    moving_in = "".join(
        block.text for block in docs.blocks(HOW_TO / "move-in.md", "sh")[:-1]
    )  # then from afar
    for written, real in (("/home", "home"), ("/var/vmail", "vmail")):
        moving_in = moving_in.replace(f" {written}", f" {who.directory / real}")
    moving_out = "".join(block.text for block in docs.blocks(HOW_TO / "move-out.md", "sh"))
    bob = "mairust account add bob@example.org\n"
    with serving(who, ".venv/bin/mairust serve"):
        who.types(SITE + bob + moving_in)
        listed = who.types(PATH + "mairust mailbox list --account ann@example.org\n")
        who.types(PATH + moving_out)
    for name in ("INBOX", "Archive", "Sent", "Lists/2025", "Old", "Old/INBOX", "Old/Sent"):
        assert name in listed
    left_out = (who.directory / "left-out.jsonl").read_text().splitlines()
    assert [json.loads(line)["code"] for line in left_out] == ["known"] * 2, "the same mail in another place"
    for exported in ("ann-maildir", "ann-nested"):
        files = (who.directory / exported).glob("cur/*")
        assert {file.read_bytes() for file in files} == {MESSAGE}, exported
    assert MESSAGE in (who.directory / "inbox.mbox").read_bytes()
    assert list((who.directory / "ann-mboxes").rglob("*.mbox"))


def _lay_out_mail(directory: Path) -> None:
    """The Maildirs and mboxes that the pages speak of, each with one mail."""
    for place in ("home/ann", "home/bob", "vmail/example.org/ann", "vmail/example.org/bob"):
        for part in ("cur", "new", "tmp"):
            (directory / place / "Maildir" / part).mkdir(parents=True)
        (directory / place / "Maildir" / "cur" / "1.a:2,S").write_bytes(MESSAGE)
    (directory / "home/ann/Maildir/.Sent/cur").mkdir(parents=True)
    (directory / "home/ann/Maildir/.Sent/cur/1.b:2,S").write_bytes(MESSAGE)
    mbox = b"From bob@x.example Sun May  6 22:17:15 2001\n" + MESSAGE + b"\n"
    (directory / "Mail").mkdir()
    for name in ("Archive.mbox", "Mail/Sent.mbox"):
        (directory / name).write_bytes(mbox)
    (directory / "2025-01.gz").write_bytes(gzip.compress(mbox))


def test_the_how_to_of_postgresql_works(tmp_path: Path, postgres_server: PostgresServer) -> None:
    """Its `mairust` commands, with the URL of a real database in place of the one written there."""
    who = with_tools(reader(tmp_path))
    name = postgres_server.create_database()
    database = postgres_server.dsn(name)
    made, upgraded = [
        block.text.replace("postgresql://mairust@/mairust?host=/run/postgresql", f"'{database}'")
        for block in docs.blocks(HOW_TO / "postgresql.md", "sh")[1:]
    ]
    *steps, serve = made.splitlines()
    path = 'export PATH="$PWD/.venv/bin:$PATH"\n'
    read = who.types(path + "\n".join(steps))
    assert re.search(r"^Database: +postgresql$", read, re.MULTILINE)
    who.types(path + upgraded)
    assert serve == "mairust serve --workers 4"
    with serving(who, ".venv/bin/" + serve) as server:
        assert len(children(int(server.pid))) == 4
    postgres_server.drop_database(name)


def test_the_how_to_of_jobs_works(tmp_path: Path) -> None:
    """On a site with nothing to mend, while it is served."""
    who = with_tools(reader(tmp_path))
    with serving(who, ".venv/bin/mairust serve") as server:
        read = who.types(SITE + script(HOW_TO / "jobs.md", server))
    assert re.findall(r"^Jobs: +(\d+)$", read, re.MULTILINE) == ["0", "0", "0", "0"]
    assert '"next_cursor":null' in read


def test_the_how_to_of_installing_works(tmp_path: Path) -> None:
    """With the files that it speaks of in place; after the last revocation and removal nothing is left."""
    who = with_tools(reader(tmp_path))
    with serving(who, ".venv/bin/mairust serve") as server:
        offered(who.directory)
        read = who.types(SITE + script(HOW_TO / "install-plugins.md", server))
        listed = who.types(f"{PATH}mairust plugin list --json")
    assert read.count("enabled") >= 3
    assert re.search(r"^Version: +1\.0\.0$", read, re.MULTILINE), "gone back to"
    assert re.search(r"^Blocked: +com\.example\.spam$", read, re.MULTILINE)
    assert json.loads(listed)["items"] == []


def test_the_how_to_of_publishing_works(tmp_path: Path) -> None:
    """Without a site: made, looked at, packed, signed by two, licensed, and at last revoked."""
    who = with_tools(reader(tmp_path))
    read = who.types(PATH + "".join(one.text for one in docs.blocks(HOW_TO / "publish-a-plugin.md", "sh")))
    assert re.findall(r"^exit code (\d+)$", read, re.MULTILINE) == ["1"]
    assert '"powers":["pre_receive"]' in read
    assert len(re.findall(r"^ok +marketplace .* stands for it$", read, re.MULTILINE)) == 2
    assert re.search(r"^failed +revocations .* was revoked by [0-9a-f]{16}", read, re.MULTILINE)
    checked = who.types(f"{PATH}mairust plugin verify for-example-ltd.mairust-plugin --trust root.key.pub")
    assert "licensed to Example Ltd until" in checked
