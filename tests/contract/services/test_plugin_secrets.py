"""Secrets of plugins, rotated: both ways, on both databases (rule G2)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mairust_core.chores import KINDS
from mairust_core.errors import Conflict, Invalid, NotFound
from mairust_core.ids import now_ms, to_ms
from mairust_core.jobs.lease import Lease
from mairust_core.model.ids import Id
from mairust_core.model.job import Leased, State
from mairust_core.model.plugin import Entry, Limits, Permissions, Protocol, Runnable
from mairust_core.model.plugin_life import RotatedSecret, Rotation
from mairust_core.plugins.registry import previous_name, secret_name
from mairust_core.plugins.rotation import FORGET
from mairust_core.services.audit import Audit
from mairust_core.services.jobs import Jobs
from mairust_core.services.plugins import Plugins
from mairust_core.services.secrets import Secrets
from tests.contract.services.conftest import Served
from tests.contract.services.words import Ops
from tests.support.linking import TESTER, approved, http_text, link, manifest_text, new_id


def in_force(served: Served, plugin: str) -> list[str]:
    """The secrets that a request to the plugin is signed with now."""
    asked = Runnable(
        id=plugin, version="1.0.0", entry=Entry(protocol=Protocol.HTTP), permissions=Permissions(),
        limits=Limits(),
    )  # fmt: skip
    return list(served.site.credentials.secrets(asked))


@pytest.fixture
def plugin(served: Served, tmp_path: Path) -> str:
    """An approved plugin that shares a secret."""
    return approved(served.site, tmp_path, http_text(new_id()))


def test_rule_g2_both_sign_during_the_grace_period(served: Served, ops: Ops, plugin: str) -> None:
    """The new one first; until when the other does is told, and who did it is audited."""
    [first] = in_force(served, plugin)
    before_ms = now_ms()
    rotated = ops(Plugins).rotate_secret(plugin, Rotation(grace_s=3600))
    assert rotated.id == plugin
    assert rotated.previous_valid_until is not None
    assert 0 <= to_ms(rotated.previous_valid_until) - before_ms - 3_600_000 < 60_000
    assert in_force(served, plugin) == [rotated.secret, first]
    [entry] = served.here(Audit).browse(operation="plugins.rotate_secret", subject=plugin).items
    assert rotated.secret not in str(entry)


def test_rule_g2_a_day_of_grace_unless_somebody_says(ops: Ops, plugin: str) -> None:
    """The default of the command is that of the API."""
    rotated = ops(Plugins).rotate_secret(plugin, Rotation())
    assert rotated.previous_valid_until is not None
    assert 86_300_000 < to_ms(rotated.previous_valid_until) - now_ms() <= 86_400_000


def test_rule_g2_without_grace_the_old_one_is_dead_at_once(served: Served, ops: Ops, plugin: str) -> None:
    """Also one whose grace period had begun."""
    ops(Plugins).rotate_secret(plugin, Rotation(grace_s=3600))
    rotated = ops(Plugins).rotate_secret(plugin, Rotation(grace_s=0))
    assert rotated.previous_valid_until is None
    assert in_force(served, plugin) == [rotated.secret]
    names = [one.name for one in served.here(Secrets).browse(limit=500).items]
    assert secret_name(plugin) in names
    assert previous_name(plugin) not in names


def test_rule_g2_a_second_rotation_drops_the_oldest(served: Served, ops: Ops, plugin: str) -> None:
    """Two secrets count, never three; and none comes twice."""
    [first] = in_force(served, plugin)
    second = ops(Plugins).rotate_secret(plugin, Rotation(grace_s=3600)).secret
    third = ops(Plugins).rotate_secret(plugin, Rotation(grace_s=60)).secret
    assert in_force(served, plugin) == [third, second]
    assert len({first, second, third}) == 3


def waiting(served: Served, plugin: str) -> list[Leased]:
    """The jobs by which old secrets of a plugin will die, as a lease would give them, in order."""
    with served.site.storage.read() as tx:
        sql = "SELECT id, payload, run_at_ms FROM job WHERE kind = ? AND subject = ? ORDER BY id"
        rows = served.site.storage.fetch_all(tx, sql, (FORGET, plugin))
    return [
        Leased(id=Id(id_), kind=FORGET, subject=plugin, payload=json.loads(payload), attempts=1,
               max_attempts=4, fence=0)
        for id_, payload, _ in rows
    ]  # fmt: skip


class _Held(Lease):
    """A lease that nobody takes away."""

    def confirm(self, tx: object) -> None:
        """It is ours."""


def run(served: Served, job: Leased) -> None:
    """The job's handler, once."""
    [handler] = (kind.handler for kind in KINDS if kind.name == job.kind)
    handler(served.site, job.payload, _Held(job))


def test_the_old_secret_dies_by_a_job(served: Served, ops: Ops, plugin: str) -> None:
    """When its time is over, not before, and not when a later rotation gave another its place; audited."""
    ops(Plugins).rotate_secret(plugin, Rotation(grace_s=1))
    third = ops(Plugins).rotate_secret(plugin, Rotation(grace_s=2))
    first, second = waiting(served, plugin)
    jobs = served.here(Jobs).browse(kind=FORGET, state=State.READY, limit=500).items
    assert {str(int(one.id)) for one in (first, second)} <= {str(int(one.id)) for one in jobs}
    assert third.previous_valid_until is not None
    run(served, first)  # it is about the first secret, whose place is taken
    assert len(in_force(served, plugin)) == 2
    vault = served.site.secrets
    with served.site.storage.write() as tx:  # its time is over
        until_ms = to_ms(third.previous_valid_until)
        tx.exec_driver_sql(f"UPDATE secret SET expires_ms = 1 WHERE name = '{previous_name(plugin)}'")
        assert served.site.plugin_secrets.forget(tx, served.site.ids, plugin, until_ms) == 0
        assert served.site.plugin_secrets.forget(tx, served.site.ids, plugin, 1) == 0
        assert not vault.delete(tx, previous_name(plugin))
    assert len(in_force(served, plugin)) == 1
    [entry] = served.here(Audit).browse(operation=FORGET, subject=plugin).items
    assert entry.actor == "job"


def test_a_job_that_comes_too_early_by_our_clock_waits(served: Served, ops: Ops, plugin: str) -> None:
    """The clocks of a site's machines differ by a little."""
    ops(Plugins).rotate_secret(plugin, Rotation(grace_s=600))
    [job] = waiting(served, plugin)
    with pytest.raises(Exception, match="a little longer"):
        run(served, job)
    assert len(in_force(served, plugin)) == 2


def test_rule_g2_a_secret_is_dead_after_its_time_although_no_job_came(
    served: Served, ops: Ops, plugin: str
) -> None:
    """Its own time ends it."""
    rotated = ops(Plugins).rotate_secret(plugin, Rotation(grace_s=3600))
    with served.site.storage.write() as tx:
        tx.exec_driver_sql(f"UPDATE secret SET expires_ms = 1 WHERE name = '{previous_name(plugin)}'")
    assert in_force(served, plugin) == [rotated.secret]


def test_rule_g2_local_processes_have_no_secret_to_rotate(served: Served, ops: Ops, tmp_path: Path) -> None:
    """Nor have those that nobody approved; each is told so."""
    local = approved(served.site, tmp_path / "a", manifest_text(new_id()))
    with pytest.raises(Conflict, match="shares no secret"):
        ops(Plugins).rotate_secret(local, Rotation())
    pending = link(served.site, tmp_path / "b", http_text(new_id())).id
    with pytest.raises(Conflict):
        ops(Plugins).rotate_secret(pending, Rotation())
    with pytest.raises(NotFound):
        ops(Plugins).rotate_secret("com.example.none", Rotation())


@pytest.mark.parametrize("grace_s", [-1, 30 * 86_400 + 1])
def test_a_grace_period_has_bounds(grace_s: int) -> None:
    """A secret that is good for longer was not rotated."""
    with pytest.raises(Invalid):
        Rotation(grace_s=grace_s)


def test_a_secret_that_was_lost_is_made_anew(served: Served, ops: Ops, plugin: str) -> None:
    """As after a restore without the master key: there is none before it."""
    with served.site.storage.write() as tx:
        served.site.secrets.delete(tx, secret_name(plugin))
    rotated = ops(Plugins).rotate_secret(plugin, Rotation(grace_s=3600))
    assert rotated.previous_valid_until is None
    assert in_force(served, plugin) == [rotated.secret]


def test_trap_a3_a_secret_is_told_and_not_shown() -> None:
    """Whoever prints the object prints no secret."""
    rotated = RotatedSecret(id="a", secret="mps_x", previous_valid_until=None)
    assert "mps_x" not in repr(rotated)


@pytest.mark.parametrize(("step", "done"), [("plugin.secret_rotated", False), ("plugin.secret_told", True)])
def test_rule_g2_killed_at_every_step_there_is_the_old_state_or_the_new(
    served: Served, tmp_path: Path, step: str, done: bool
) -> None:
    """Secret, grace and the job by which the old one dies: all or nothing; and rotating again works."""
    plugin = approved(served.site, tmp_path, http_text(new_id()))
    [first] = in_force(served, plugin)
    command = [sys.executable, "-m", "mairust_cli.entry", "plugin", "rotate-secret", plugin]
    env = os.environ | {"MAIRUST_CRASH_AT": step, "MAIRUST_DATA_DIR": str(served.site.settings.data_dir)}
    if served.site.settings.database.sqlite_path is None:
        env["MAIRUST_DATABASE__URL"] = served.site.settings.database.url
    killed = subprocess.run(command, env=env, capture_output=True, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert killed.stdout == b""
    now = in_force(served, plugin)
    assert (now == [first]) is not done
    assert len(waiting(served, plugin)) == int(done)
    if done:
        assert now[1] == first
    again = served.site.service(Plugins, TESTER).rotate_secret(plugin, Rotation(grace_s=60))
    assert in_force(served, plugin) == [again.secret, now[0]]
