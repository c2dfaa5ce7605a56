"""Secrets, tokens, logs and accesses of plugins, as people and scripts type them."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mairust_core.app import opened
from mairust_core.hooks.log import Noted
from mairust_core.hooks.sayings import Saying
from mairust_core.ids import now_ms
from mairust_core.model.plugin_life import LogOrigin
from tests.support.answering import HttpPlugin, http_plugin
from tests.support.command_line import TIMEOUT_S, Run, command_line, environment, heed_interrupts
from tests.support.linking import allow_unsigned, http_text, manifest_text, write
from tests.support.stores import settings_for

ID = "com.example.spam"


@pytest.fixture
def answering() -> Iterator[HttpPlugin]:
    """A plugin that tags every mail."""
    with http_plugin() as plugin:
        yield plugin


@pytest.fixture
def plugin(run: Run, site: Path, tmp_path: Path, answering: HttpPlugin) -> str:
    """An approved plugin."""
    allow_unsigned(site)
    directory = write(tmp_path / "spam", http_text(ID, answering.port, "pre_receive"))
    assert run("plugin", "link", str(directory)).code == 0
    assert run("plugin", "approve", ID, "--yes").code == 0
    return ID


def test_a_secret_is_rotated_and_told_once(run: Run, plugin: str) -> None:
    """As one document, as text, or alone for scripts; the grace period as people write it."""
    rotated = run("plugin", "rotate-secret", plugin, "--grace", "24h", "--json").json
    assert set(rotated) == {"id", "secret", "previous_valid_until"}
    assert rotated["secret"].startswith("mps_")
    told = run("plugin", "rotate-secret", plugin, "--grace", "0")
    assert "refused from now on" in told.out
    alone = run("plugin", "rotate-secret", plugin, "--quiet").out.strip()
    assert alone.startswith("mps_")
    for wrong in ("soon", "-1h", "40d", ""):
        assert run("plugin", "rotate-secret", plugin, "--grace", wrong).code == 2
    assert run("plugin", "rotate-secret", "com.example.none").code == 4


def test_a_local_plugin_is_told_that_it_has_no_secret(
    run: Run, plugin: str, tmp_path: Path, site: Path
) -> None:
    """And why."""
    write(tmp_path / "local", manifest_text("com.example.local"))
    assert run("plugin", "link", str(tmp_path / "local")).code == 0
    assert run("plugin", "approve", "com.example.local", "--yes").code == 0
    refused = run("plugin", "rotate-secret", "com.example.local")
    assert refused.code == 5
    assert "called by stdin" in refused.stderr


def test_tokens_are_issued_listed_and_revoked(run: Run, plugin: str) -> None:
    """The token itself is told once."""
    issued = run("plugin", "token", "create", plugin, "--scope", "metrics", "--json").json
    assert issued["jwt"].count(".") == 2
    alone = run("plugin", "token", "create", plugin, "--scope", "metrics", "--quiet").out.strip()
    assert alone.count(".") == 2
    listed = run("plugin", "token", "list", plugin)
    assert listed.out.count("pt_") == 2
    assert issued["jwt"] not in listed.out
    revoked = run("plugin", "token", "revoke", plugin, issued["token"]["id"], "--json").json
    assert revoked["revoked"] is True
    again = run("plugin", "token", "reissue", plugin, issued["token"]["id"], "--json")
    assert again.json["token"]["id"] != issued["token"]["id"]
    for wrong in (
        ("--scope", "everything"),
        ("--scope", "callback"),
        ("--scope", "metrics", "--expires", "2h"),
        ("--scope", "metrics", "--delivery", "1-000000000000"),
    ):
        assert run("plugin", "token", "create", plugin, *wrong).code == 2
    assert run("plugin", "token", "revoke", plugin, "pt_0").code == 4
    assert run("plugin", "token", "list", "com.example.none").code == 4


def say(site: Path, *texts: str) -> None:
    """Write lines into the plugin's log."""
    with opened(settings_for(site)) as here:
        lines = [
            Saying(at_ms=now_ms(), plugin=ID, hook="h", origin=LogOrigin.STDERR, text=text) for text in texts
        ]
        here.hook_log.record(Noted(sayings=lines))


def test_a_log_is_listed_and_followed(run: Run, plugin: str, site: Path, home: Path) -> None:
    """Newest first, or as it comes, until Ctrl-C."""
    say(site, "one", "two")
    assert [one["text"] for one in run("plugin", "logs", plugin, "--json").json["items"]] == ["two", "one"]
    assert run("plugin", "logs", plugin, "--follow", "--json").code == 2
    assert run("plugin", "logs", "com.example.none", "--follow").code == 4
    following = subprocess.Popen(
        command_line("plugin", "logs", plugin, "--follow", "--data-dir", str(site)),
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heed_interrupts,
    )
    assert following.stdout is not None
    assert [following.stdout.readline().split()[-1] for _ in range(2)] == [b"one", b"two"]
    say(site, "three")
    assert following.stdout.readline().split()[-1] == b"three"
    following.send_signal(signal.SIGINT)
    rest, said = following.communicate(timeout=TIMEOUT_S)
    assert (following.returncode, rest) == (130, b""), said


def test_who_saw_what_is_listed_by_plugin_account_and_message(
    run: Run, plugin: str, mail: Path, answering: HttpPlugin
) -> None:
    """With the words that the trace has for it."""
    added = run("message", "append", str(mail), "--account", "ann@example.org", "--hooks", "--json")
    id_ = added.json["id"]
    by_plugin = run("plugin", "accesses", plugin, "--since", "1h", "--json").json["items"]
    by_account = run("account", "accesses", "ann@example.org", "--json").json["items"]
    by_message = run("message", "accesses", id_, "--json").json["items"]
    assert by_plugin == by_account == by_message
    [seen] = by_plugin
    assert (seen["plugin"], seen["message_id"], seen["saw"]) == (ID, id_, ["headers"])
    assert (seen["account"], seen["occasion"]) == ("ann@example.org", "mail")
    assert len(answering.asked) == 1
    assert run("account", "accesses", "bob@example.org", "--json").json["items"] == []
    assert run("message", "accesses", "1").code == 4
    assert run("account", "accesses", "nobody@example.org").code == 4
    assert run("plugin", "accesses", plugin, "--since", "soon").code == 2
