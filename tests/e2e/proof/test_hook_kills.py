"""Rule F3: a server that is killed in the middle of a hook's job loses nothing and applies nothing twice.

The plugin lives on, and remembers every question. Between two lives of the server the test lets the time pass
that a lease or a pause takes: in the database, by whose clock they end.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mairust_core.services.plugins import Plugins
from mairust_core.store import leases
from tests.support.answering import HttpPlugin, http_plugin
from tests.support.invariants import check_site
from tests.support.linking import TESTER, allow_unsigned, link, manifest_text
from tests.support.mailbox_client import Dialogue, Lost
from tests.support.server import Server, Site

PATIENCE_S = 60.0
ID = "com.example.tickets"
ANN, BOB = "user0@example.org", "user1@example.org"
MAIL = b"Subject: Lunch?\r\nMessage-ID: <1@example.com>\r\n\r\nAt noon.\r\n"
MAY = "read_headers = true\nwrite_tags = true\nwrite_metadata = true\nmove_message = true"
KILLED_AT = ("hook.applied", "hook.committed")


def says(asked: dict[str, Any]) -> bytes:
    """Bob's mail is put off once before it is stored; afterwards each is numbered by the questions so far."""
    if asked["hook"] == "pre_delivery" and asked["attempt"] == 1:
        return b'{"action": "tempfail", "message": "Later"}'
    answer = {"action": "deliver", "tags": [asked["hook"]], "metadata": {asked["hook"]: asked["attempt"]}}
    return json.dumps(answer).encode()


@pytest.fixture
def plugin() -> Iterator[HttpPlugin]:
    """The plugin; it outlives every server."""
    with http_plugin(says) as made:
        yield made


def register(site: Site, directory: Path, plugin: HttpPlugin, hook: str = "post_receive") -> None:
    """Have Bob's mail decided upon before it is stored, and everybody's looked at by a hook, afterwards."""
    allow_unsigned(site.directory)
    entry = f'protocol = "http"\nendpoint = "http://127.0.0.1:{plugin.port}/"'
    limits = f'[limits]\nnetwork = "local-only"\nnetwork_allow = ["127.0.0.1:{plugin.port}"]\n'
    only_bob = 'type = "pre_delivery"\nfilter = { recipient_matches = "user1" }'
    text = manifest_text(ID, only_bob, hook, permissions=MAY, entry=entry, more=limits)
    with site.opened() as here:
        link(here, directory, text)
        here.service(Plugins, TESTER).approve(ID)


def let_time_pass(site: Site) -> None:
    """Every lease is over, as another worker would find it; every pause too."""
    with site.opened() as here, here.storage.write() as tx:
        leases.expire(here.storage, tx, leases.held(here.storage, tx), here.storage.now_ms(tx))
        here.storage.execute_many(tx, "UPDATE job SET run_at_ms = 1 WHERE state = 'ready'", [()])


def jobs(site: Site) -> list[tuple[str, str, int]]:
    """Kind, state and attempts of the jobs of hooks."""
    with site.opened() as here, here.storage.read() as tx:
        sql = "SELECT kind, state, attempts FROM job WHERE kind IN ('hook', 'delivery') ORDER BY kind, id"
        return [(row[0], row[1], row[2]) for row in here.storage.fetch_all(tx, sql, ())]


def until(server: Server, site: Site, expected: list[tuple[str, str, int]]) -> None:
    """Wait until the jobs stand like this."""
    deadline = time.monotonic() + PATIENCE_S
    while (found := jobs(site)) != expected:
        assert time.monotonic() < deadline, (found, server.stderr())
        time.sleep(0.05)


def asked(plugin: HttpPlugin, type_: str) -> list[tuple[str, int]]:
    """Delivery ids and attempts of the questions of a type, in order."""
    return [(one["delivery_id"], one["attempt"]) for one in plugin.asked if one["hook"] == type_]


def send(server: Server, recipient: str) -> None:
    """One mail, which is answered with 250."""
    with Dialogue(server.smtp) as client:
        assert client.send("eve@example.com", [ANN, recipient], MAIL)[recipient].code == 250


def message(site: Site, account: str, mailbox: str = "INBOX") -> dict[str, Any]:
    """The only message there."""
    done = site.command("message", "list", "--account", account, "--mailbox", mailbox, "--json")
    [found] = json.loads(done.stdout)["items"]
    return dict(json.loads(site.command("message", "show", found["id"], "--json").stdout))


def kill_while_asked(server: Server, plugin: HttpPlugin, questions: int) -> None:
    """SIGKILL when the plugin has the question and has not answered."""
    deadline = time.monotonic() + PATIENCE_S
    while len(plugin.asked) < questions:
        assert time.monotonic() < deadline, server.stderr()
        time.sleep(0.01)
    server.kill()
    plugin.gate.set()


def live_and_die(server: Server, site: Site, step: str) -> None:
    """One more life, which ends at a step."""
    let_time_pass(site)
    server.crash_at = step
    server.start()
    assert server.wait() == -9


def test_rule_f3_a_job_after_storing_survives_its_server(
    sqlite_site: Site, tmp_path: Path, plugin: HttpPlugin
) -> None:
    """Killed while the plugin thinks, before the commit and after it: one effect, one name for all."""
    site = sqlite_site
    register(site, tmp_path / "plugin", plugin)
    with Server(site=site) as server:
        plugin.gate.clear()
        send(server, ANN)
        kill_while_asked(server, plugin, 1)
        assert message(site, ANN)["tags"] == []

        live_and_die(server, site, "hook.applied")
        assert message(site, ANN)["tags"] == [], "what was not committed did not happen"
        live_and_die(server, site, "hook.committed")
        assert jobs(site) == [("hook", "done", 3)]
        found = message(site, ANN)
        assert (found["tags"], found["metadata"]) == (["post_receive"], {f"plugin:{ID}:post_receive": 3})
        assert site.command("message", "tag", found["id"], "--remove", "post_receive").returncode == 0

        let_time_pass(site)
        server.start()
        send(server, ANN)
        until(server, site, [("hook", "done", 3), ("hook", "done", 1)])
    names = asked(plugin, "post_receive")
    assert [attempt for _, attempt in names] == [1, 2, 3, 1]
    assert len({name for name, _ in names[:3]}) == 1
    assert names[3][0] != names[0][0]
    shown = json.loads(site.command("message", "show", found["id"], "--json").stdout)
    assert shown["tags"] == [], "what Ann took away does not come back"
    assert check_site(site.settings()) == []


def test_b5_what_a_plugin_saw_of_a_mail_that_is_stored_survives_its_server(
    sqlite_site: Site, tmp_path: Path, plugin: HttpPlugin
) -> None:
    """Killed before the reply: the mail is there, and so is who saw it, and the line of the log."""
    site = sqlite_site
    register(site, tmp_path / "plugin", plugin, "pre_receive")
    with Server(site=site, crash_at="reply.before") as server:
        with pytest.raises(Lost), Dialogue(server.smtp) as client:
            client.send("eve@example.com", [ANN], MAIL)
        assert server.wait() == -9
    with site.opened() as here, here.storage.read() as tx:
        [(id_,)] = here.storage.fetch_all(tx, "SELECT id FROM message", ())
        assert here.storage.fetch_all(tx, "SELECT message_id FROM plugin_access", ()) == [(id_,)]
        assert here.storage.fetch_all(tx, "SELECT outcome FROM hook_log", ()) == [("answered",)]


def test_rule_f3_a_copy_that_waits_is_delivered_once(
    sqlite_site: Site, tmp_path: Path, plugin: HttpPlugin
) -> None:
    """Rule E2's job killed at the same three moments; its copy's hooks after storing are begun once."""
    site = sqlite_site
    register(site, tmp_path / "plugin", plugin)
    with Server(site=site) as server:
        send(server, BOB)
        until(server, site, [("delivery", "ready", 0), ("hook", "done", 1)])
        waiting = message(site, BOB, "Quarantine")
        server.kill()

        plugin.gate.clear()
        so_far = len(plugin.asked)
        let_time_pass(site)
        server.start()
        kill_while_asked(server, plugin, so_far + 1)
        live_and_die(server, site, "hook.applied")
        assert message(site, BOB, "Quarantine")["id"] == waiting["id"]
        live_and_die(server, site, "hook.committed")
        delivered = message(site, BOB)
        assert (delivered["id"], delivered["tags"]) == (waiting["id"], ["pre_delivery"])
        assert jobs(site)[0] == ("delivery", "done", 3)

        let_time_pass(site)
        server.start()
        until(server, site, [("delivery", "done", 3), ("hook", "done", 1), ("hook", "done", 1)])
    names = asked(plugin, "pre_delivery")
    assert [attempt for _, attempt in names] == [1, 2, 3, 4]
    assert len({name for name, _ in names}) == 1
    assert len({name for name, _ in asked(plugin, "post_receive")}) == 2
    found = message(site, BOB)
    assert found["tags"] == ["pre_delivery", "post_receive"]
    assert found["uid"] == delivered["uid"]
    assert check_site(site.settings()) == []
