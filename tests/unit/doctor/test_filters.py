"""What is found of plugins and hooks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mairust_core.app import Site, opened
from mairust_core.config import load_settings
from mairust_core.model.finding import Level
from mairust_core.plugins.registry import secret_name
from mairust_core.services.plugins import Plugins
from mairust_core.store import breakers, hooks
from tests.support.linking import TESTER, allow_unsigned, approved, http_text, link, manifest_text
from tests.unit.doctor.conftest import Examine

ID = "com.example.spam"


@pytest.fixture
def site(data_dir: Path) -> Iterator[Site]:
    """The site, open, on which plugins may be linked."""
    allow_unsigned(data_dir)
    with opened(load_settings(data_dir=data_dir, env={})) as site:
        yield site


def test_a_plugin_that_waits(site: Site, found: Examine, tmp_path: Path) -> None:
    """Until it is approved; then it is told that nobody signed it."""
    assert not {"plugins.pending", "plugins.unsigned"} & set(found())
    link(site, tmp_path, manifest_text(ID))
    one = found()["plugins.pending"]
    assert (one.level, one.mend) == (Level.INFO, f"mairust plugin approve {ID}")
    site.service(Plugins, TESTER).approve(ID)
    assert "plugins.pending" not in found()
    assert ID in found()["plugins.unsigned"].what
    site.service(Plugins, TESTER).disable(ID)
    assert "plugins.unsigned" not in found()


def test_a_plugin_whose_files_are_gone(site: Site, found: Examine, tmp_path: Path) -> None:
    """A local process needs them."""
    approved(site, tmp_path / "spam", manifest_text(ID))
    assert "plugins.directory" not in found()
    shutil.rmtree(tmp_path / "spam")
    assert str(tmp_path / "spam") in found()["plugins.directory"].what


def test_a_plugin_without_its_secret(site: Site, found: Examine, tmp_path: Path) -> None:
    """As after a restore without the master key; approving it again makes a new one."""
    approved(site, tmp_path, http_text(ID))
    assert "plugins.secret" not in found()
    with site.storage.write() as tx:
        site.secrets.delete(tx, secret_name(ID))
    assert found()["plugins.secret"].mend == f"mairust plugin approve {ID} --yes"
    assert site.service(Plugins, TESTER).approve(ID).secret
    assert "plugins.secret" not in found()


def test_a_hook_that_is_not_called(site: Site, found: Examine, tmp_path: Path) -> None:
    """Its breaker is open, with why; of one that was removed meanwhile nothing is told."""
    approved(site, tmp_path, manifest_text(ID))
    with site.storage.write() as tx:
        breakers.fail(site.storage, tx, f"{ID}:pre_receive", "00" * 32, "no answer within 2000 ms", 3)
    assert "hooks.open" not in found()
    with site.storage.write() as tx:
        breakers.open_(site.storage, tx, f"{ID}:pre_receive")
    one = found()["hooks.open"]
    assert "no answer within 2000 ms" in one.what
    assert f"mairust hook reset {ID}:pre_receive" in one.mend
    with site.storage.write() as tx:
        hooks.remove(tx, TESTER, f"{ID}:pre_receive")
    assert "hooks.open" not in found()
