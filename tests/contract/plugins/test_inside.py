"""Plugins of extensions: registered when they are new or say something new, told and removed like any."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mairust_core.app import Site, opened
from mairust_core.config import Settings
from mairust_core.errors import Conflict
from mairust_core.first_run import create_site
from mairust_core.hooks.pool import Transports
from mairust_core.hooks.transport import CallFailed
from mairust_core.installed.extensions import Extensions
from mairust_core.installed.faults import FaultKind
from mairust_core.model.hook import Fallback
from mairust_core.model.plugin_forms import PluginState, Source
from mairust_core.plugins.inside import Inside, declare, read_inside
from mairust_core.plugins.joined import ground_of
from mairust_core.plugins.manifest import read_manifest
from mairust_core.services.audit import Audit
from mairust_core.services.hooks import Hooks
from mairust_core.services.plugins import Plugins
from tests.support.extensions.acme_mairust import GREETER
from tests.support.installed import ACME, FAULTY, installed
from tests.support.linking import TESTER, link, manifest_text

ID = "com.acme.greeter"


@pytest.fixture
def site(site_settings: Settings) -> Iterator[Site]:
    """A site on each database, on which nobody may link plugins."""
    create_site(site_settings, "tester")
    with opened(site_settings) as made:
        yield made


@pytest.fixture
def acme(tmp_path: Path) -> Extensions:
    """The extension with the greeter."""
    return installed(tmp_path / "installed", {"acme-mairust": {"acme": ACME}})


def read(site: Site, found: Extensions) -> dict[str, Inside]:
    """The plugins of extensions."""
    return read_inside(found, ground_of(site.settings, inside=True), site.check_filter)


def declared(site: Site, found: Extensions) -> list[str]:
    """Register what extensions bring."""
    return declare(site.storage, site.ids, TESTER, read(site, found).values(), found)


def test_it_is_enabled_by_being_installed_and_registered_once(site: Site, acme: Extensions) -> None:
    """Audited; a second start changes nothing, whoever looks."""
    assert declared(site, acme) == [ID]
    shown = site.service(Plugins, TESTER).show(ID)
    assert (shown.state, shown.source, shown.directory) == (PluginState.ENABLED, Source.EXTENSION, None)
    assert (shown.hooks, shown.approved_by) == ((f"{ID}:pre_delivery",), TESTER.name)
    assert declared(site, acme) == []
    assert site.service(Plugins, TESTER).show(ID).generation == shown.generation
    entries = site.service(Audit, TESTER).browse(limit=50).items
    assert [one.subject for one in entries if one.operation == "plugins.declare"] == [ID]


def test_what_was_set_here_survives_a_new_version(site: Site, acme: Extensions) -> None:
    """A plugin that somebody disabled stays so; a hook that was removed stays away (rule J5)."""
    declared(site, acme)
    plugins, hooks = site.service(Plugins, TESTER), site.service(Hooks, TESTER)
    plugins.disable(ID)
    hooks.remove(f"{ID}:pre_delivery")
    [one] = read(site, acme).values()
    newer = GREETER.replace("1.0.0", "1.1.0") + '[[hooks]]\ntype = "post_receive"\n'
    [changed] = read_all(site, acme, newer)
    assert declare(site.storage, site.ids, TESTER, [changed], acme) == [ID]
    shown = plugins.show(ID)
    assert (shown.version, shown.state) == ("1.1.0", PluginState.DISABLED)
    assert shown.hooks == (f"{ID}:post_receive",)
    assert changed.answer is one.answer


def read_all(site: Site, found: Extensions, toml: str) -> list[Inside]:
    """The same plugins with another plugin.toml."""
    ground = ground_of(site.settings, inside=True)
    changed = read_manifest(toml.encode(), ground)
    return [replace(one, manifest=changed) for one in read(site, found).values()]


def test_it_needs_no_approval_and_no_leave_for_what_nobody_signed(site: Site, acme: Extensions) -> None:
    """Enabling and approving it again are done where linked plugins are forbidden."""
    declared(site, acme)
    plugins = site.service(Plugins, TESTER)
    plugins.disable(ID)
    assert plugins.enable(ID).state is PluginState.ENABLED
    assert plugins.approve(ID).secret is None


def test_an_id_is_whose_it_was_first(site: Site, acme: Extensions, tmp_path: Path) -> None:
    """No directory takes the place of an extension's plugin, and the other way round."""
    settings = site.settings
    with opened(replace(settings, plugins=replace(settings.plugins, allow_unsigned=True))) as lenient:
        link(lenient, tmp_path / "linked", manifest_text(ID))
        assert declared(lenient, acme) == []
        [fault] = acme.faults
        assert (fault.kind, "registered on this site already" in fault.why) == (FaultKind.TAKEN, True)
        lenient.service(Plugins, TESTER).remove(ID)
        assert declared(lenient, acme) == [ID]
        with pytest.raises(Conflict, match="belongs to an extension"):
            link(lenient, tmp_path / "linked", manifest_text(ID))


def test_rule_g6_of_two_with_one_id_the_first_has_it(site: Site, tmp_path: Path) -> None:
    """And what is no plugin takes no other with it."""
    points: dict[str, dict[str, str]] = {
        "acme-mairust": {"acme": ACME},
        "odd": {"odd": f"{FAULTY}.returning"},
        "zzz": {"greedy": f"{FAULTY}.greedy"},
    }
    found = installed(tmp_path / "installed", points)
    assert {id_: one.manifest.version for id_, one in read(site, found).items()} == {ID: "1.0.0"}
    told: Any = [(fault.extension.name, fault.kind.value) for fault in found.faults]
    assert told.count(("greedy", "taken")) == 1
    assert told.count(("odd", "answer")) == 5


async def test_rule_g6_without_its_extension_its_hooks_cannot_be_asked(site: Site, acme: Extensions) -> None:
    """Which is a failed call: they answer on_error, and no mail passes them unasked."""
    declared(site, acme)
    [registered] = site.hook_book.enabled()
    assert registered.hook.on_error is Fallback.TEMPFAIL
    transports = Transports(site.open_transport)
    transports.prepare([registered.plugin])
    with pytest.raises(CallFailed, match="no extension that is installed here has it"):
        async with transports.to(registered.plugin):
            pass
