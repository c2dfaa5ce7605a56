"""What is found of extensions; the rest is shown by real ones in `tests/e2e/extensions`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mairust_core.app import opened
from mairust_core.config import load_settings
from mairust_core.installed.extensions import extensions
from mairust_core.installed.points import entry_points
from mairust_core.model.finding import Level
from mairust_core.plugins.inside import declare, read_inside
from mairust_core.plugins.joined import ground_of
from mairust_core.plugins.manifest import read_directory
from tests.integration.doctor.conftest import Examine
from tests.support.installed import ACME, installed
from tests.support.linking import TESTER, allow_unsigned, manifest_text, write
from tests.support.stores import open_kit, settings_for


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An extension of this process, as if pip had installed it."""
    installed(tmp_path / "packages", {"acme": {"acme": ACME}})
    monkeypatch.syspath_prepend(tmp_path / "packages")
    for known in (entry_points, extensions):
        known.cache_clear()
    yield
    monkeypatch.undo()
    for known in (entry_points, extensions):
        known.cache_clear()


@pytest.mark.usefixtures("acme")
def test_blobs_of_an_extension_are_looked_at_wherever_ours_would_lie(
    found: Examine, data_dir: Path, tmp_path: Path
) -> None:
    """A `blobs.path` that is not there says nothing of them."""
    with open_kit(settings_for(data_dir)) as kit:
        kit.domain()
        kit.store(kit.mail(kit.account("ann@example.org"), data=b"x" * 100))
    told = found(
        blobs__driver="acme",
        blobs__options={"directory": str(tmp_path / "acme")},
        blobs__path=str(tmp_path / "away" / "blobs"),
    )
    assert told["blobs.damaged"].level is Level.ERROR  # the extension has none of them
    assert "blobs.unreachable" not in told


def test_what_configuration_names_and_is_not_there(found: Examine) -> None:
    """An error: the server would not start."""
    one = found(plugins__extensions=["nobody-has-it"])["extension.needed"]
    assert one.level is Level.ERROR
    assert "nobody-has-it" in one.what
    assert "extension.needed" not in found()


def test_rule_g6_a_plugin_whose_extension_is_gone(found: Examine, data_dir: Path, tmp_path: Path) -> None:
    """With the hooks that answer on_error now."""
    with opened(load_settings(data_dir=data_dir, env={})) as site:
        extensions = installed(tmp_path / "installed", {"acme": {"acme": ACME}})
        ground = ground_of(site.settings, inside=True)
        inside = read_inside(extensions, ground, site.check_filter)
        declare(site.storage, site.ids, TESTER, inside.values(), extensions)
    one = found()["plugins.extension"]
    assert one.level is Level.ERROR
    assert "com.acme.greeter:pre_delivery" in one.why
    assert one.mend.endswith("`mairust plugin remove com.acme.greeter --yes`")


def test_rule_g6_a_plugin_whose_transport_is_gone(found: Examine, data_dir: Path, tmp_path: Path) -> None:
    """As after uninstalling the extension that spoke to it."""
    allow_unsigned(data_dir)
    text = manifest_text("com.example.filed", entry='protocol = "acme"\nendpoint = "x"')
    with opened(load_settings(data_dir=data_dir, env={})) as site:
        ground = replace(ground_of(site.settings), speaks=lambda _: True)
        directory = write(tmp_path / "filed", text)
        with site.storage.write() as tx:
            site.plugins.link(tx, TESTER, read_directory(directory, ground), directory)
    assert "com.example.filed" in found()["plugins.extension"].what
