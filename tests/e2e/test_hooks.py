"""Hooks on a real server: registered by commands, asked about mail over SMTP, called back by HTTP."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mairust_core.hooks import signature
from tests.support.answering import HttpPlugin, http_plugin
from tests.support.linking import allow_unsigned, http_text, write
from tests.support.mailbox_client import Dialogue
from tests.support.server import Server, Site, make_site

PATIENCE_S = 60.0
ID = "com.example.spam"
ANN = "user0@example.org"
MAIL = b"Subject: Lunch?\r\nMessage-ID: <%d@example.com>\r\n\r\nAt noon.\r\n"
MAY = "read_headers = true\nwrite_tags = true\nwrite_metadata = true"


def answer(site: Site, *arguments: str) -> Any:
    """The document a command prints."""
    done = site.command(*arguments, "--json")
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def send(server: Server, number: int) -> str:
    """Send a mail to Ann; the reply's code and text."""
    with Dialogue(server.smtp) as client:
        reply = client.send("bob@example.com", [ANN], MAIL % number)[ANN]
    return f"{reply.code} {reply.text}"


def until(true: Callable[[], Any]) -> Any:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := true()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def mails(site: Site) -> list[dict[str, Any]]:
    """Ann's messages, newest first."""
    found: list[dict[str, Any]] = answer(site, "message", "list", "--account", ANN)["items"]
    return found


def register(site: Site, directory: Path, plugin: HttpPlugin, *hooks: str) -> str:
    """Link and approve the plugin; its secret."""
    text = http_text(ID, plugin.port, *hooks).replace("read_headers = true\nwrite_tags = true", MAY)
    assert site.command("plugin", "link", write(directory, text)).returncode == 0
    return str(answer(site, "plugin", "approve", ID, "--yes")["secret"])


def test_a_hook_that_is_approved_decides_about_mail(tmp_path: Path) -> None:
    """Tags, refuses, is signed for, logged and told of; disabled within a second in every worker."""
    site = make_site(tmp_path / "site")
    allow_unsigned(site.directory)
    with http_plugin() as plugin, Server(site=site, workers=2) as server:
        assert send(server, 0).startswith("250")
        assert plugin.asked == []
        secret = register(site, tmp_path / "spam", plugin, "pre_receive")
        until(lambda: send(server, 1).startswith("250") and plugin.asked)
        assert mails(site)[0]["tags"] == ["seen"]
        sent = plugin.headers[-1]
        wanted = signature.sign(
            secret, sent["x-mairust-timestamp"], sent["x-mairust-delivery"], ID, plugin.bodies[-1]
        )
        assert sent["x-mairust-signature"] == wanted
        assert sent["authorization"].startswith("Bearer ey")

        plugin.says = b'{"action": "reject", "message": "No lunch today"}'
        until(lambda: send(server, 2) == "550 5.7.1 No lunch today")  # each worker learns of it by itself
        calls = until(lambda: answer(site, "hook", "log", f"{ID}:pre_receive", "--limit", "1")["items"])
        assert until(
            lambda: (
                "reject"
                in {one["action"] for one in answer(site, "hook", "log", f"{ID}:pre_receive")["items"]}
            )
        )
        assert (calls[0]["plugin"], calls[0]["outcome"]) == (ID, "answered")

        assert site.command("plugin", "disable", ID).returncode == 0
        until(lambda: send(server, 3).startswith("250"))
        assert mails(site)[0]["tags"] == []


def test_a_plugin_says_more_later(tmp_path: Path) -> None:
    """`post_receive` hands it a token with which it tags the stored message, once, over the server's API."""
    site = make_site(tmp_path / "site")
    allow_unsigned(site.directory)
    with http_plugin(b'{"action": "deliver"}') as plugin, Server(site=site, http="127.0.0.1:0") as server:
        register(site, tmp_path / "spam", plugin, "post_receive")
        until(lambda: send(server, 1).startswith("250") and plugin.asked)
        asked = plugin.asked[0]
        callback = asked["callback"]
        told = {"action": "deliver", "tags": ["ticket"], "metadata": {"number": 7}}
        request = urllib.request.Request(
            callback["url"],
            json.dumps(told).encode(),
            {"authorization": f"Bearer {callback['token']}", "content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            assert json.loads(response.read())["left_out"] == []
        found = answer(site, "message", "show", asked["message"]["id"])
        assert (found["tags"], found["metadata"]) == (["ticket"], {f"plugin:{ID}:number": 7})
        events = answer(site, "trace", found["id"])["events"]
        assert "callback" in {one["kind"] for one in events}
