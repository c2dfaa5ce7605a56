"""Packages taken in, approved, revoked and unpacked, killed by SIGKILL at every step.

Before the last step nothing has changed, after it all has; and the next run completes it.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
from pathlib import Path

import pytest

from mairust_core import store
from mairust_core.app import Site as OpenSite
from mairust_core.app import opened
from mairust_core.config import Settings
from mairust_core.first_run import create_site
from mairust_core.model.plugin import Body, State
from mairust_core.model.plugin_forms import PluginState
from mairust_core.observe.faults import STEPS
from mairust_core.services.plugins import Plugins
from mairust_core.store import packages
from tests.support import forks, kept
from tests.support.linking import TESTER, allow_unsigned, manifest_text
from tests.support.packaging import Marketplace, Signing, install, made
from tests.support.server import CHECKOUT, Site, clean_environment, command_line

ID = "com.example.spam"
BULK = {"bulk": random.Random(1).randbytes(1_500_000)}
"""More than one transaction takes."""
FULL = 'read_headers = true\nread_body = "full"'
INSTALLING = ("plugin.parts", "plugin.parts:2", "plugin.installed")
MARKET = Marketplace()


@pytest.fixture
def site(site_settings: Settings) -> Site:
    """A site that trusts a marketplace."""
    allow_unsigned(site_settings.data_dir)
    create_site(site_settings, "tester")
    with opened(site_settings) as here:
        MARKET.trusted_on(here)
    database = None if site_settings.database.sqlite_path else site_settings.database.url
    return Site(directory=site_settings.data_dir, database=database)


def run(site: Site, *words: str, crash_at: str = "") -> subprocess.CompletedProcess[bytes]:
    """Run a command, to die at a step if one is given."""
    crash = {"MAIRUST_CRASH_AT": crash_at} if crash_at else {}
    return forks.run(
        command_line(site, *words),
        env=clean_environment({**site.environment, **crash}),
        cwd=CHECKOUT,
        timeout=60,
    )


def version(directory: Path, number: str, **more: str) -> str:
    """A package in a file; its name."""
    path = directory / f"{number}.mairust-plugin"
    path.write_bytes(made(manifest_text(ID, version=number, **more), Signing(key=MARKET.root), BULK))
    return str(path)


def told(site: OpenSite) -> object:
    """All that there is of plugins: rows, packages, hooks that are asked, the audit."""
    with site.storage.read() as tx:
        return (
            store.plugins.page(tx, TESTER, "", 100),
            kept.archives(tx),
            [str(one) for one in site.hook_book.enabled()],
            store.trust.revocations(tx, TESTER, "", 100),
            len(store.audits.page(tx, TESTER, store.audits.Sought(since_ms=0), 0, 1000)),
        )


def killed(site: Site, settings: Settings, step: str, *words: str) -> None:
    """A command that dies at a step changes nothing; run again it is done, and nothing is left over."""
    with opened(settings) as here:
        before = told(here)
    assert run(site, *words, crash_at=step).returncode == -signal.SIGKILL
    with opened(settings) as here:
        assert told(here) == before, "the old state, as if nothing had been asked for"
    done = run(site, *words)
    assert done.returncode == 0, done.stderr
    with opened(settings) as here:
        assert told(here) != before
        with here.storage.read() as tx:
            assert set(packages.kept_bytes(tx, TESTER)) == kept.archives(tx)


@pytest.mark.parametrize("step", INSTALLING)
def test_an_installation_happens_or_does_not(
    site: Site, site_settings: Settings, tmp_path: Path, step: str
) -> None:
    """What was kept of it is used by the next try, or collected."""
    killed(site, site_settings, step, "plugin", "install", version(tmp_path, "1.0.0"))
    with opened(site_settings) as here:
        assert here.service(Plugins, TESTER).show(ID).state is PluginState.PENDING


@pytest.mark.parametrize("asks", ["no more", "more"])
@pytest.mark.parametrize("step", INSTALLING)
def test_an_upgrade_happens_or_does_not(
    site: Site, site_settings: Settings, tmp_path: Path, step: str, asks: str
) -> None:
    """The version before is asked until then: one that runs at once, and one that waits."""
    with opened(site_settings) as here:
        install(here, Path(version(tmp_path, "1.0.0")).read_bytes())
        here.service(Plugins, TESTER).approve(ID)
    newer = version(tmp_path, "1.1.0", **({"permissions": FULL} if asks == "more" else {}))
    killed(site, site_settings, step, "plugin", "upgrade", newer)
    with opened(site_settings) as here:
        (running,) = {one.plugin.version for one in here.hook_book.enabled()}
        assert running == ("1.0.0" if asks == "more" else "1.1.0")


def test_an_approval_happens_or_does_not(site: Site, site_settings: Settings, tmp_path: Path) -> None:
    """Rights, hooks and secret are one transaction."""
    with opened(site_settings) as here:
        install(here, Path(version(tmp_path, "1.0.0")).read_bytes())
        here.service(Plugins, TESTER).approve(ID)
        install(here, Path(version(tmp_path, "2.0.0", permissions=FULL)).read_bytes())
    killed(site, site_settings, "plugin.approved", "plugin", "approve", ID, "--yes")
    with opened(site_settings) as here:
        (running,) = here.hook_book.enabled()
        assert running.plugin.permissions.read_body is Body.FULL


def test_a_revocation_happens_or_does_not(site: Site, site_settings: Settings, tmp_path: Path) -> None:
    """The list and what it blocks are one transaction."""
    with opened(site_settings) as here:
        install(here, Path(version(tmp_path, "1.0.0")).read_bytes())
        here.service(Plugins, TESTER).approve(ID)
    taken = tmp_path / "list.json"
    taken.write_bytes(b"".join(MARKET.revoke(1, [MARKET.id]).chunks))
    killed(site, site_settings, "trust.revoked", "trust", "import-revocations", str(taken))
    with opened(site_settings) as here, here.storage.read() as tx:
        assert store.plugins.get(tx, TESTER, ID).state is State.BLOCKED


@pytest.mark.parametrize("step", ["plugin.unpacked", "plugin.renamed"])
def test_files_are_whole_or_not_there(site: Site, site_settings: Settings, tmp_path: Path, step: str) -> None:
    """The next who needs them makes them, or finds all of them."""
    with opened(site_settings) as here:
        install(here, Path(version(tmp_path, "1.0.0")).read_bytes())
        here.service(Plugins, TESTER).approve(ID)
    mail = tmp_path / "mail.eml"
    mail.write_bytes(b"Subject: hello\r\n\r\nhello\r\n")
    words = ("hook", "test", ID, "--message", str(mail), "--type", "pre_receive")
    assert run(site, *words, crash_at=step).returncode == -signal.SIGKILL
    with opened(site_settings) as here:
        (digest,) = {str(one.plugin.package) for one in here.hook_book.enabled()}
    place = site_settings.packages_dir / digest
    assert place.is_dir() == (step == "plugin.renamed")
    done = run(site, *words, "--json")
    assert b'"seen"' in done.stdout, done.stderr
    assert sorted(os.listdir(place)) == ["bulk", "manifest.json", "plugin.sh", "plugin.toml"]


def test_every_step_is_killed_at() -> None:
    """None is forgotten here."""
    tried = {*(step.partition(":")[0] for step in INSTALLING), "plugin.approved", "trust.revoked"}
    tried |= {"plugin.unpacked", "plugin.renamed"}
    tried |= {"plugin.secret_rotated", "plugin.secret_told"}  # contract/services/test_plugin_secrets.py
    assert {step.name for step in STEPS if step.name.startswith(("plugin.", "trust."))} == tried
