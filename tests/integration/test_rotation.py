"""`mairust secrets rotate-master`, killed by SIGKILL at every step, while a server runs on the site."""

from __future__ import annotations

import signal
import subprocess

import pytest

from mairust_core.app import Site as OpenSite
from mairust_core.app import opened
from mairust_core.config import Settings
from mairust_core.first_run import create_site
from mairust_core.observe.faults import STEPS
from mairust_core.vault import rotation
from tests.support import forks
from tests.support.server import CHECKOUT, Site, clean_environment, command_line

OUR_STEPS = [step.name for step in STEPS if step.name.startswith("secrets.")]
NAMES = [f"secret {number}" for number in range(rotation.BATCH * 2 + 1)]


@pytest.fixture
def site(site_settings: Settings) -> Site:
    """A site with more secrets than two transactions take."""
    create_site(site_settings, "tester")
    with opened(site_settings) as here, here.storage.write() as tx:
        for name in NAMES:
            here.secrets.put(tx, name, name.encode())
    database = None if site_settings.database.sqlite_path else site_settings.database.url
    return Site(directory=site_settings.data_dir, database=database)


def rotate(site: Site, crash_at: str = "") -> subprocess.CompletedProcess[bytes]:
    """Run the command, to die at a step if one is given."""
    crash = {"MAIRUST_CRASH_AT": crash_at} if crash_at else {}
    return forks.run(
        command_line(site, "secrets", "rotate-master"),
        env=clean_environment({**site.environment, **crash}),
        cwd=CHECKOUT,
        timeout=60,
    )


@pytest.mark.parametrize("step", [*OUR_STEPS, "secrets.file_written:2", "secrets.rewrapped:2"])
def test_killed_at_any_step_every_secret_is_readable_and_the_next_run_completes_it(
    site: Site, site_settings: Settings, step: str
) -> None:
    """By a process that was open all the time as by a new one; in the end one key is left."""
    old = site_settings.secrets.master_key_file.read_bytes()
    with opened(site_settings) as running:
        with running.storage.read() as tx:
            assert running.secrets.get(tx, NAMES[0]) == NAMES[0].encode()
        assert rotate(site, step).returncode == -signal.SIGKILL
        assert_readable(running)
        with opened(site_settings) as fresh:
            assert_readable(fresh)
        with running.storage.write() as tx:
            running.secrets.put(tx, "put between", b"put between")
        done = rotate(site)
        assert done.returncode == 0, done.stderr
        assert_readable(running, "put between")
    with opened(site_settings) as fresh:
        assert_readable(fresh, "put between")
        assert len(fresh.secrets.file.keys()) == 1
    assert old.strip() not in site_settings.secrets.master_key_file.read_bytes()
    left = [entry.name for entry in site_settings.data_dir.iterdir() if entry.name.startswith(".master.key")]
    assert left == []


def assert_readable(site: OpenSite, *more: str) -> None:
    """Every secret is what it was."""
    with site.storage.read() as tx:
        for name in (*NAMES, *more):
            assert site.secrets.get(tx, name) == name.encode()
