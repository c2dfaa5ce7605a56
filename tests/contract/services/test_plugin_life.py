"""What plugins say, what they take and how they are, both ways, on both databases."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from mairust_core.chores import SCHEDULES
from mairust_core.doctor import examine_site
from mairust_core.errors import Invalid, NotFound
from mairust_core.hooks.figures import Figure
from mairust_core.hooks.log import Noted
from mairust_core.hooks.sayings import Saying
from mairust_core.hooks.transport import Alive
from mairust_core.ids import now_ms
from mairust_core.jobs import LeaseLost
from mairust_core.model.plugin_life import HealthState, LogOrigin, PluginUsage, Workers
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.operations.cursors import Listing
from mairust_core.services.plugins import Plugins
from mairust_core.services.status import Status
from mairust_core.store import plugin_health, plugin_usage
from mairust_core.store.plugin_logs import KEPT
from tests.contract.services.conftest import Served
from tests.contract.services.words import Ops
from tests.support.linking import TESTER, approved, http_text, link, manifest_text, new_id


@pytest.fixture
def plugin(served: Served, tmp_path: Path) -> Iterator[str]:
    """An approved plugin, which is asked about nothing."""
    id_ = approved(served.site, tmp_path / "plugin", manifest_text(new_id()))
    yield id_
    served.here(Plugins).remove(id_)


def say(served: Served, plugin: str, *texts: str) -> None:
    """Write lines into a plugin's log, as the chain does."""
    lines = [
        Saying(at_ms=now_ms(), plugin=plugin, hook="h", origin=LogOrigin.STDERR, text=text) for text in texts
    ]
    served.site.hook_log.record(Noted(sayings=lines))


def test_a_plugins_log_is_read_newest_first_page_by_page(served: Served, ops: Ops, plugin: str) -> None:
    """And followed, oldest first, from a line on."""
    say(served, plugin, "one", "two", "three")
    newest = ops(Plugins).logs(plugin, limit=2)
    assert [one.text for one in newest.items] == ["three", "two"]
    rest = ops(Plugins).logs(plugin, limit=2, cursor=newest.next_cursor or "")
    assert [one.text for one in rest.items] == ["one"]
    last = str(int(newest.items[0].id))
    assert ops(Plugins).logs(plugin, after=last).items == ()
    say(served, plugin, "four", "five")
    followed = ops(Plugins).logs(plugin, after=last).items
    assert [one.text for one in followed] == ["four", "five"]
    page = ops(Plugins).logs(plugin, after=last, limit=1)
    rest = ops(Plugins).logs(plugin, after=last, limit=1, cursor=page.next_cursor or "")
    assert [one.text for one in (*page.items, *rest.items)] == ["four", "five"]
    assert (followed[0].origin, followed[0].hook, followed[0].plugin) == (LogOrigin.STDERR, "h", plugin)


def test_what_is_no_line_of_a_log_is_named_as_it_was_given(ops: Ops, plugin: str) -> None:
    """Not as the plugin's id; a made-up cursor is a cursor, with `after` beside it, too."""
    with pytest.raises(Invalid, match=r"^after: 'zz' is not an id"):
        ops(Plugins).logs(plugin, after="zz")
    forged = Listing("plugins.logs", {"id": plugin, "after": "1"}).seal("zz")
    with pytest.raises(Invalid, match=r"^cursor: .*next_cursor"):
        ops(Plugins).logs(plugin, after="1", cursor=forged)


def test_rule_j3_of_a_plugins_log_the_newest_thousand_are_kept(
    served: Served, plugin: str, tmp_path: Path
) -> None:
    """Those of others stay; a plugin that is removed takes its own with it, and one nobody knows has none."""
    other = approved(served.site, tmp_path / "other", manifest_text(new_id()))
    say(served, other, "mine")
    say(served, plugin, *(f"line {n}" for n in range(KEPT + 5)))
    with served.site.storage.read() as tx:
        sql = "SELECT count(*), min(text) FROM plugin_log WHERE plugin = ?"
        [[count, _]] = served.site.storage.fetch_all(tx, sql, (plugin,))
    assert count == KEPT
    assert served.here(Plugins).logs(plugin, limit=1).items[0].text == f"line {KEPT + 4}"
    assert len(served.here(Plugins).logs(other).items) == 1
    served.here(Plugins).remove(other)
    with pytest.raises(NotFound):
        served.here(Plugins).logs(other)


def test_what_a_plugin_took_is_shown(served: Served, ops: Ops, plugin: str) -> None:
    """Summed up over all processes and flushes: in all, and today."""
    assert ops(Plugins).show(plugin).usage == PluginUsage()
    for number in (1, 2):
        figure = Figure(
            calls=10, failures=3, timeouts=1, skipped=2, signed=10, wall_us=1_500_000, cpu_us=400_000,
            peak_bytes=number * (5 << 20), last_ms=now_ms(),
        )  # fmt: skip
        served.site.hook_log.record(Noted(figures={plugin: figure}))
    shown = ops(Plugins).show(plugin)
    total = shown.usage
    assert (total.calls, total.failures, total.timeouts, total.skipped, total.signed) == (20, 6, 2, 4, 20)
    assert (total.wall_ms, total.cpu_ms, total.peak_memory_mb) == (3000, 800, 10.0)
    assert total.last_call_at is not None
    assert shown.usage_today == total


def test_days_are_counted_by_themselves_and_go_in_time(served: Served, plugin: str) -> None:
    """The sum of all days stays."""
    day, today = plugin_usage.DAY_MS, now_ms()
    with served.site.storage.write() as tx:
        plugin_usage.add(tx, {plugin: {"calls": 1}}, today - 400 * day)
        plugin_usage.add(tx, {plugin: {"calls": 2}}, today)
        found = plugin_usage.of(tx, TESTER, [plugin], today)[plugin]
        assert (found.total.calls, found.today.calls) == (3, 2)
        while plugin_usage.expire(tx, today - 365 * day, 1):
            pass
        again = plugin_usage.of(tx, TESTER, [plugin], today)[plugin]
        assert (again.total.calls, again.today.calls) == (3, 2)
        assert plugin_usage.of(tx, TESTER, [plugin], today - 400 * day)[plugin].today.calls == 0


def test_processes_of_a_local_plugin_are_shown_while_somebody_tells_of_them(
    served: Served, ops: Ops, plugin: str
) -> None:
    """Those of all servers together; a process that ended has none, one that does not tell is gone."""
    assert ops(Plugins).show(plugin).workers is None
    served.site.hook_log.record(Noted(alive={plugin: Alive(workers=3, busy=1)}))
    with served.site.storage.write() as tx:
        plugin_health.tell_alive(tx, 1023, {plugin: (2, 2)}, now_ms())
    assert ops(Plugins).show(plugin).workers == Workers(alive=5, busy=3)
    with served.site.storage.write() as tx:
        plugin_health.tell_alive(tx, 1023, {plugin: (2, 2)}, now_ms() - plugin_health.GONE_MS - 1)
    assert ops(Plugins).show(plugin).workers == Workers(alive=3, busy=1)
    served.site.hook_log.record(Noted(alive={}))
    assert ops(Plugins).show(plugin).workers is None


class _Health(BaseHTTPRequestHandler):
    status = 204

    def do_GET(self) -> None:
        """Say how it is."""
        self.send_response(type(self).status)
        self.send_header("location", "http://127.0.0.1:1/")
        self.send_header("content-length", "0")
        self.end_headers()

    def address_string(self) -> str:
        """Nobody: a UNIX socket has no address."""
        return "-"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def answering(server: HTTPServer) -> Iterator[None]:
    """A server in a thread, for the length of a block."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


def with_health(id_: str, port: int) -> str:
    """The plugin.toml of an http plugin that says where to ask."""
    text = http_text(id_, port)
    return text.replace("[[hooks]]", f'health_endpoint = "http://127.0.0.1:{port}/well"\n[[hooks]]', 1)


def check(served: Served, plugin: str) -> plugin_health.Checked:
    """What the check of all plugins found of this one."""
    found = served.site.check_plugins(lambda _: None)
    return next(one for one in found if one.plugin == plugin)


def test_a_plugin_is_asked_how_it_is(served: Served, ops: Ops, tmp_path: Path) -> None:
    """Well, not well, well again: since when, why, told by doctor, status, log and metrics."""

    class Health(_Health):
        status = 204

    with ThreadingHTTPServer(("127.0.0.1", 0), Health) as server, answering(server):
        plugin = approved(served.site, tmp_path, with_health(new_id(), server.server_address[1]))
        assert ops(Plugins).show(plugin).health is None
        assert check(served, plugin).state is HealthState.WELL
        well = ops(Plugins).show(plugin).health
        assert well is not None
        assert (well.state, well.failures, well.detail) == (HealthState.WELL, 0, "")
        Health.status = 503
        check(served, plugin)
        check(served, plugin)
        unwell = ops(Plugins).show(plugin).health
        assert unwell is not None
        assert (unwell.state, unwell.failures, unwell.detail) == (HealthState.UNWELL, 2, "HTTP 503")
        assert unwell.checked_at > unwell.since >= well.checked_at
        told = ops(Status).show().hooks
        assert told is not None
        assert plugin in told.plugins_unwell
        findings = examine_site(served.site.settings, served.site.storage).findings
        [finding] = [one for one in findings if one.id == "plugins.unwell" and plugin in one.what]
        assert (finding.level, "HTTP 503" in finding.what) == ("error", True)
        assert f'mairust_plugin_well{{plugin="{plugin}"}} 0' in metrics(served).text
        Health.status = 302  # nobody is led elsewhere
        assert check(served, plugin).detail == "HTTP 302"
        Health.status = 200
        assert check(served, plugin).state is HealthState.WELL
    lines = [one.text for one in ops(Plugins).logs(plugin).items if one.origin is LogOrigin.HEALTH]
    assert lines == ["it is well", "it is unwell: HTTP 503"]
    gone = check(served, plugin)
    assert gone.detail.startswith("it cannot be reached")
    ops(Plugins).disable(plugin)
    served.site.check_plugins(lambda _: None)
    assert ops(Plugins).show(plugin).health is None
    served.here(Plugins).remove(plugin)


def test_a_unix_plugin_is_asked_over_its_socket(served: Served, tmp_path: Path) -> None:
    """Below the one directory for sockets."""
    directory = served.site.settings.plugins.socket_dir
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{uuid4().hex[:8]}.sock"

    class UnixServer(HTTPServer):
        address_family = socket.AF_UNIX

        def server_bind(self) -> None:
            """Bind, without asking for names."""
            self.socket.bind(str(path))
            self.server_name, self.server_port = "plugin", 0

    text = manifest_text(
        new_id(),
        "post_receive",
        entry=f'protocol = "unix"\nendpoint = "unix:{path}"\nhealth_endpoint = "unix:{path}"',
    )
    with UnixServer(("plugin", 0), _Health) as server, answering(server):
        plugin = approved(served.site, tmp_path, text)
        assert check(served, plugin).state is HealthState.WELL
    os.unlink(path)
    assert check(served, plugin).detail == "its socket cannot be reached: No such file or directory"
    served.here(Plugins).remove(plugin)


def test_a_check_whose_lease_was_lost_writes_nothing(served: Served, tmp_path: Path) -> None:
    """Another process of the site has it by now."""
    plugin = approved(served.site, tmp_path, with_health(new_id(), 9))

    def lost(_: object) -> None:
        raise LeaseLost

    with pytest.raises(LeaseLost):
        served.site.check_plugins(lost)
    assert served.here(Plugins).show(plugin).health is None
    served.here(Plugins).remove(plugin)


def test_checks_are_made_only_where_there_is_something_to_check(served: Served, tmp_path: Path) -> None:
    """No job a minute for sites whose plugins name no place to ask."""
    [schedule] = [one for one in SCHEDULES if one.name == "plugins.health"]
    assert schedule.needed is not None
    served.site.check_plugins(lambda _: None)
    with served.site.storage.read() as tx:
        assert not schedule.needed(tx)
    pending = link(served.site, tmp_path, with_health(new_id(), 9)).id
    with served.site.storage.read() as tx:
        assert not schedule.needed(tx)
    served.here(Plugins).approve(pending)
    with served.site.storage.read() as tx:
        assert schedule.needed(tx)
    served.here(Plugins).remove(pending)


def metrics(served: Served, **headers: str) -> httpx.Response:
    """What a monitor is told."""
    with httpx.Client(trust_env=False, timeout=60) as client:
        return client.get(f"{served.http.url}/metrics", headers=headers)


def test_numbers_for_a_monitor(served: Served, plugin: str) -> None:
    """In the format of Prometheus: each metric with its type, a line for each plugin."""
    figure = Figure(calls=7, failures=2, wall_us=2_500_000, cpu_us=500_000, peak_bytes=3 << 20)
    served.site.hook_log.record(Noted(figures={plugin: figure}))
    answer = metrics(served)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    for name, value in (
        ("calls_total", "7"), ("call_failures_total", "2"), ("call_seconds_total", "2.5"),
        ("cpu_seconds_total", "0.5"), ("peak_memory_bytes", str(3 << 20)),
    ):  # fmt: skip
        assert f'mairust_plugin_{name}{{plugin="{plugin}"}} {value}' in lines
        assert any(one.startswith(f"# TYPE mairust_plugin_{name} ") for one in lines)


def test_rule_g4_numbers_are_for_this_machine_or_a_key_that_reaches_the_site(
    served: Served, domain: str
) -> None:
    """Whoever speaks for others is from elsewhere."""
    elsewhere = {"x-forwarded-for": "192.0.2.1"}
    assert metrics(served).status_code == 200
    assert metrics(served, **elsewhere).status_code == 401
    reader = served.issue(Scope.READ)
    assert metrics(served, authorization=f"Bearer {reader}", **elsewhere).status_code == 200
    for narrow in (
        served.issue(Scope.READ, reach=ReachKind.DOMAIN, subject=domain),
        served.issue(Scope.WRITE),
    ):
        assert metrics(served, authorization=f"Bearer {narrow}", **elsewhere).status_code == 403


def test_the_doors_for_plugins_are_in_the_document(served: Served) -> None:
    """With the token that each takes; the way in is the same as that of operations."""
    with httpx.Client(trust_env=False, timeout=60) as client:
        document = client.get(f"{served.http.url}/api/v1/openapi.json").json()
    paths = document["paths"]
    for path, method in (
        ("/api/v1/plugin/callback/{delivery_id}", "post"), ("/api/v1/plugin/metrics", "post"),
    ):  # fmt: skip
        assert paths[path][method]["security"] == [{"PluginToken": []}]
        assert set(paths[path][method]["responses"]) >= {"200", "401", "403", "409", "422", "429"}
    assert paths["/api/v1/plugin/jwks.json"]["get"]["security"] == []
    assert document["components"]["securitySchemes"]["PluginToken"]["bearerFormat"] == "JWT"
    assert "CalledBack" in document["components"]["schemas"]
