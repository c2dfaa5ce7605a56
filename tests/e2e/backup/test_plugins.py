"""R-BAK-1 with the commands: all that a site knows of plugins moves to another database, and works there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mairust_core.hooks import signature
from tests.e2e.backup.conftest import must
from tests.support.answering import HttpPlugin, http_plugin
from tests.support.linking import allow_unsigned, http_text, manifest_text, write
from tests.support.mailbox_client import Dialogue
from tests.support.postgres import PostgresServer
from tests.support.server import Server, Site
from tests.support.sites import ANN

LOCAL, REMOTE = "com.example.local", "com.example.remote"


@pytest.fixture
def remote() -> Iterator[HttpPlugin]:
    """An http plugin that runs beside all sites."""
    with http_plugin() as made:
        yield made


def listed(site: Site, *words: object) -> Any:
    """The items that a command prints."""
    return json.loads(must(site, *words, "--json"))["items"]


def everything(site: Site) -> tuple[Any, Any]:
    """All that is shown of plugins and of hooks."""
    return listed(site, "plugin", "list", "--all"), listed(site, "hook", "list", "--all")


def register(site: Site, directory: Path, remote: HttpPlugin) -> str:
    """A local plugin with settings and something that waits, and one over http; its secret."""
    allow_unsigned(site.directory)
    must(
        site,
        "plugin",
        "link",
        write(directory / "local", manifest_text(LOCAL, "pre_receive", "post_receive")),
    )
    must(site, "plugin", "approve", LOCAL, "--yes")
    must(
        site, "hook", "edit", f"{LOCAL}:pre_receive", "--priority", 7, "--filter", "subject_matches=^Restored"
    )
    must(site, "hook", "remove", f"{LOCAL}:post_receive", "--yes")
    waits = manifest_text(LOCAL, "pre_receive", permissions='read_body = "full"\nwrite_tags = true')
    must(site, "plugin", "link", write(directory / "local", waits))
    must(site, "plugin", "link", write(directory / "remote", http_text(REMOTE, remote.port, "pre_receive")))
    secret = json.loads(must(site, "plugin", "approve", REMOTE, "--yes", "--json"))["secret"]
    must(site, "hook", "add", "mine", "--type", "pre_delivery", "--plugin", REMOTE, "--mode", "shadow")
    return str(secret)


def works(site: Site, remote: HttpPlugin, secret: str) -> None:
    """A mail is tagged by both, and what the remote one is sent is signed with its secret."""
    with Server(site=site) as server:
        with Dialogue(server.smtp) as client:
            mail = b"Subject: Restored mail\r\nMessage-ID: <%d@t>\r\n\r\n." % len(remote.asked)
            assert client.send("bob@example.com", [ANN], mail)[ANN].code == 250
        asked = [(one, two) for one, two in zip(remote.headers, remote.bodies, strict=True)]
        told, body = next((one, two) for one, two in asked if json.loads(two)["hook"] == "pre_receive")
        signed = told["x-mairust-timestamp"], told["x-mairust-delivery"]
        assert told["x-mairust-signature"] == signature.sign(secret, *signed, REMOTE, body)
    remote.asked.clear()
    remote.headers.clear()
    remote.bodies.clear()
    [newest] = listed(site, "message", "list", "--account", ANN, "--limit", 1)
    assert newest["subject"] == "Restored mail"
    assert newest["tags"] == ["seen"]
    events = json.loads(must(site, "trace", newest["id"], "--json"))["events"]
    assert [one["plugin"] for one in events if one["kind"] == "hook" and one.get("effect")] == [LOCAL, REMOTE]


def test_plugins_go_from_one_database_to_the_other_and_back(
    site: Site, tmp_path: Path, postgres_server: PostgresServer, remote: HttpPlugin
) -> None:
    """Links, approvals, what waits, hooks as they are set, wrapped secrets: rehearsed first, then moved."""
    secret = register(site, tmp_path, remote)
    before = everything(site)
    works(site, remote, secret)
    name = postgres_server.create_database()
    moved = Site(directory=tmp_path / "moved", database=postgres_server.dsn(name))
    back = Site(directory=tmp_path / "back")
    for number, (source, target) in enumerate(((site, moved), (moved, back))):
        repository = tmp_path / f"r{number}"
        must(source, "backup", repository)
        rehearsed = json.loads(must(source, "restore", repository, "--rehearse", "--json"))
        assert rehearsed["differences"] == []
        key = source.directory / "master.key"
        if target is moved:
            must(target, "init")
        must(target, "restore", repository, "--master-key", key, "--yes")
        allow_unsigned(target.directory)
        assert everything(target) == before
        works(target, remote, secret)
    postgres_server.drop_database(name)
