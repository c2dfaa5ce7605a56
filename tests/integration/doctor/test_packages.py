"""What is found of packages: what was taken back, is past its time, or is not whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mairust_core import store
from mairust_core.app import Site, opened
from mairust_core.config import load_settings
from mairust_core.ids import now_ms
from mairust_core.model.finding import Level
from mairust_core.model.plugin_forms import PluginState
from mairust_core.services.plugins import Plugins
from mairust_core.services.trust import Trust
from mairust_core.store import forms
from mairust_core.store.tables import plugin_package, plugin_package_part
from tests.integration.doctor.conftest import Examine
from tests.support.linking import TESTER, allow_unsigned, manifest_text
from tests.support.packaging import Marketplace, Signing, install, made

ID = "com.example.spam"


@pytest.fixture
def site(data_dir: Path) -> Iterator[Site]:
    """The site, open."""
    allow_unsigned(data_dir)
    with opened(load_settings(data_dir=data_dir, env={})) as site:
        yield site


@pytest.fixture
def market(site: Site) -> Marketplace:
    """A marketplace that the site trusts, of which it has an approved plugin."""
    found = Marketplace()
    found.trusted_on(site)
    signing = Signing(key=found.root, licence=found.license(ID))
    install(site, made(manifest_text(ID), signing))
    site.service(Plugins, TESTER).approve(ID)
    return found


def packages_findings(found: Examine) -> set[str]:
    """The ids of findings about plugins."""
    return {one for one in found() if one.startswith("plugins.")}


def test_a_signed_plugin_is_well(market: Marketplace, found: Examine) -> None:
    """Also one that nobody unpacked yet."""
    assert packages_findings(found) == set()


def test_an_unsigned_one_is_told(site: Site, found: Examine) -> None:
    """As long as it runs, though it is no link."""
    install(site, made(manifest_text(ID)))
    site.service(Plugins, TESTER).approve(ID)
    one = found()["plugins.unsigned"]
    assert one.level is Level.WARNING
    assert ID in one.what


def test_a_blocked_one(site: Site, market: Marketplace, found: Examine) -> None:
    """With what to do about it."""
    site.service(Trust, TESTER).import_revocations(market.revoke(1, [market.id]))
    assert packages_findings(found) == {"plugins.blocked"}
    assert ID in found()["plugins.blocked"].mend


def test_a_disabled_one_that_was_revoked(site: Site, market: Marketplace, found: Examine) -> None:
    """It stays disabled, and both doctor and the API say what became of it."""
    plugins = site.service(Plugins, TESTER)
    plugins.disable(ID)
    assert (packages_findings(found), plugins.show(ID).revoked) == (set(), False)
    site.service(Trust, TESTER).import_revocations(market.revoke(1, [market.id]))
    assert packages_findings(found) == {"plugins.revoked"}
    assert ID in found()["plugins.revoked"].mend
    shown = plugins.show(ID)
    assert (shown.state, shown.revoked) == (PluginState.DISABLED, True)


def test_one_whose_root_is_trusted_no_longer(site: Site, market: Marketplace, found: Examine) -> None:
    """It goes on, and somebody should know."""
    site.service(Trust, TESTER).remove(market.id)
    assert packages_findings(found) == {"plugins.untrusted"}
    assert market.id in found()["plugins.untrusted"].what


def test_one_past_its_time(site: Site, market: Marketplace, found: Examine) -> None:
    """The certificate of who signed it, or its licence."""
    with site.storage.write() as tx:
        digest = store.plugins.get(tx, TESTER, ID).package
        signers = store.packages.facts(tx, TESTER, [digest])[digest or ""].signers
        past = replace(signers, not_after_ms=now_ms() - 1000, licence_ends_ms=now_ms() - 1000)
        tx.execute(plugin_package.update().values(signatures=forms.dump(past)))
    assert packages_findings(found) == {"plugins.licence_expired", "plugins.certificate_expired"}
    assert "A Customer" in found()["plugins.licence_expired"].what


@pytest.mark.parametrize("harm", ["changed", "added", "gone", "link"])
def test_files_that_are_not_those_of_the_package(
    site: Site, market: Marketplace, found: Examine, harm: str, tmp_path: Path
) -> None:
    """Whoever changed them, and however; after they were deleted all is well."""
    plugin = site.runnable(TESTER, ID)
    place = site.unpacked.unpack(str(plugin.package))
    assert packages_findings(found) == set()
    script = place / "plugin.sh"
    if harm == "added":
        (place / "evil.sh").write_text("#!/bin/sh\n")
    elif harm == "changed":
        script.chmod(0o755)
        script.write_text("#!/bin/sh\n")
    else:
        kept = tmp_path / "kept.sh"
        kept.write_bytes(script.read_bytes())
        script.unlink()
        if harm == "link":
            script.symlink_to(kept)
    one = found()["plugins.cache"]
    assert one.level is Level.ERROR
    assert ("evil.sh" if harm == "added" else "plugin.sh") in one.what
    assert str(place) in one.mend


def test_a_package_of_which_something_is_lost(site: Site, market: Marketplace, found: Examine) -> None:
    """No machine could unpack it any more."""
    with site.storage.write() as tx:
        tx.execute(plugin_package_part.delete())
    assert packages_findings(found) == {"plugins.package"}
