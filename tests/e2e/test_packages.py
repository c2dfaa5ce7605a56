"""A package signed elsewhere, on a real server: installed, reviewed, approved, upgraded, and taken back."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.support.linking import SCRIPT, manifest_text
from tests.support.mailbox_client import Dialogue
from tests.support.server import CHECKOUT, Server, Site, clean_environment, make_site

PATIENCE_S = 60.0
ANN = "user0@example.org"
ID = "com.example.seen"
FULL = 'read_headers = true\nread_body = "full"\nwrite_tags = true'


def elsewhere(directory: Path, *words: str) -> None:
    """A command on another machine, where no site is."""
    command = [sys.executable, "-m", "mairust_cli.entry", *words]
    environment = clean_environment({"HOME": str(directory), "PYTHONPATH": str(CHECKOUT)})
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()


def publish(directory: Path, version: str, tag: str, **more: str) -> Path:
    """Make, pack and sign a version there; the file that is carried over."""
    place = directory / f"seen-{version}"
    place.mkdir()
    (place / "plugin.toml").write_text(manifest_text(ID, version=version, **more))
    script = place / "plugin.sh"
    script.write_text(SCRIPT.replace("seen", tag))
    script.chmod(0o755)
    name = f"{place.name}.mairust-plugin"
    elsewhere(directory, "plugin", "pack", place.name, "--output", name)
    elsewhere(directory, "plugin", "sign", name, "--as", "developer", "--key", "ann.key")
    by_market = ("--as", "marketplace", "--key", "market.key", "--certificate", "market.cert")
    elsewhere(directory, "plugin", "sign", name, *by_market)
    return directory / name


def marketplace(directory: Path) -> None:
    """A root, a key that it certified, and a developer's."""
    directory.mkdir()
    for name in ("root.key", "market.key", "ann.key"):
        elsewhere(directory, "key", "generate", name)
    elsewhere(
        directory, "key", "certify", "market.key.pub", "--by", "root.key", "--not-after", "9d",
        "--output", "market.cert",
    )  # fmt: skip


def answer(site: Site, *arguments: object) -> Any:
    """The document a command prints."""
    done = site.command(*arguments, "--json")
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def send(server: Server) -> str:
    """A mail to Ann over SMTP; the reply."""
    mail = f"Subject: hello\r\nMessage-ID: <{uuid4()}@example.com>\r\n\r\nHello.\r\n"
    with Dialogue(server.smtp) as client:
        reply = client.send("bob@example.com", [ANN], mail.encode())[ANN]
    return f"{reply.code} {reply.text}"


def tags(site: Site) -> list[str]:
    """Those of Ann's newest message."""
    found: list[str] = answer(site, "message", "list", "--account", ANN, "--limit", "1")["items"][0]["tags"]
    return found


def until_tagged(site: Site, server: Server, tag: str, *before: str) -> None:
    """From the moment on that the server follows what was approved (rule D3), mail has this tag.

    Until then it is taken or has a reply of `before`: one worker may follow earlier than the other.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        reply = send(server)
        assert reply.startswith(("250", *before))
        if reply.startswith("250") and tags(site) == [tag]:
            return
        assert time.monotonic() < deadline


def until(server: Server, code: str) -> None:
    """The reply to mail has this code before long."""
    deadline = time.monotonic() + PATIENCE_S
    while not send(server).startswith(code):
        assert time.monotonic() < deadline


def test_done_when_a_package_is_carried_over_and_decides_about_mail(tmp_path: Path) -> None:
    """Issue 6: no network, a widening upgrade waits while the old runs, a revocation stops it at once."""
    there = tmp_path / "elsewhere"
    marketplace(there)
    first, second, third = (
        publish(there, "1.0.0", "first"),
        publish(there, "1.1.0", "second"),
        publish(there, "2.0.0", "third", permissions=FULL),
    )
    elsewhere(there, "key", "revoke", "revoked.json", "--by", "root.key", "--package", str(third))
    site = make_site(tmp_path / "site")
    assert site.command("plugin", "install", first).returncode == 2, "nobody is trusted yet"
    answer(site, "trust", "add", there / "root.key.pub", "--name", "Example")
    with Server(site=site, workers=2) as server:
        done = answer(site, "plugin", "install", first)
        assert (done["id"], done["version"], done["state"]) == (ID, "1.0.0", "pending")
        assert done["permissions"]["write_tags"] is True
        assert [one["signed_as"] for one in done["signatures"]] == ["marketplace", "developer"]
        assert answer(site, "plugin", "approve", ID, "--yes")["state"] == "enabled"
        until_tagged(site, server, "first")

        assert answer(site, "plugin", "upgrade", second)["state"] == "enabled"
        until_tagged(site, server, "second")
        waits = answer(site, "plugin", "upgrade", third)
        assert (waits["state"], waits["version"]) == ("pending", "2.0.0")
        told = site.command("plugin", "show", ID).stdout.decode()
        assert "+ read the whole text" in told
        until_tagged(site, server, "second")  # what was approved goes on, in both workers at last
        answer(site, "plugin", "approve", ID, "--yes")
        until_tagged(site, server, "third")

        blocked = answer(site, "trust", "import-revocations", there / "revoked.json")["blocked"]
        assert blocked == [ID]
        until(server, "451")  # what counts is what its hook says for a plugin that does not answer
        findings = site.command("doctor", "--json")
        assert "plugins.blocked" in {one["id"] for one in json.loads(findings.stdout)["findings"]}
        assert answer(site, "plugin", "rollback", ID)["state"] == "enabled"
        until_tagged(site, server, "second", "451")
        assert site.command("plugin", "rollback", ID).returncode == 77, "that leads to what was revoked"
        answer(site, "plugin", "remove", ID, "--purge", "--yes")
        until(server, "250")
