"""What is found of plugins and hooks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mairust_core.app import Site, opened
from mairust_core.config import load_settings
from mairust_core.doctor.filters import held
from mairust_core.doctor.sandbox import judged_isolation
from mairust_core.model.finding import Level
from mairust_core.plugins.registry import secret_name
from mairust_core.plugins.sockets import fault_of, make_socket_dir
from mairust_core.sandbox.probing import probe
from mairust_core.services.plugins import Plugins
from mairust_core.store import breakers, hooks
from tests.integration.doctor.conftest import Examine
from tests.support.linking import TESTER, allow_unsigned, approved, http_text, link, manifest_text

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
    link(site, tmp_path / "plugin", manifest_text(ID))
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
    approved(site, tmp_path / "plugin", http_text(ID))
    assert "plugins.secret" not in found()
    with site.storage.write() as tx:
        site.secrets.delete(tx, secret_name(ID))
    assert found()["plugins.secret"].mend == f"mairust plugin approve {ID} --yes"
    assert site.service(Plugins, TESTER).approve(ID).secret
    assert "plugins.secret" not in found()


def test_a_hook_that_is_not_called(site: Site, found: Examine, tmp_path: Path) -> None:
    """Its breaker is open, with why; of one that was removed meanwhile nothing is told."""
    approved(site, tmp_path / "plugin", manifest_text(ID))
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


def test_where_sockets_of_plugins_lie(site: Site, found: Examine, tmp_path: Path) -> None:
    """Told of when a plugin needs the directory: that it is missing, and that anybody may put one there."""
    directory = site.settings.plugins.socket_dir
    entry = f'protocol = "unix"\nendpoint = "unix:{directory}/p.sock"'
    assert "plugins.socket_dir" not in found()
    approved(site, tmp_path / "plugin", manifest_text(ID, entry=entry))
    assert found()["plugins.socket_dir"].mend == f"mkdir -p -m 0750 '{directory}'"
    directory.parent.mkdir()
    make_socket_dir(directory)
    assert directory.stat().st_mode & 0o777 == 0o750
    assert not {"plugins.socket_dir", "plugins.socket_dir_open"} & set(found())
    directory.chmod(0o777)
    make_socket_dir(directory)
    assert found()["plugins.socket_dir_open"].level is Level.ERROR
    directory.chmod(0o750)
    assert "plugins.socket_dir_open" not in found()


def test_a_directory_for_sockets_that_cannot_be_made(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No reason not to serve mail: it is logged, and the doctor tells."""
    make_socket_dir(tmp_path / "missing" / "plugins")
    assert "missing/plugins cannot be made: No such file or directory" in caplog.text
    (tmp_path / "file").touch()
    assert [fault_of(tmp_path / name) for name in ("missing", "file")] == ["missing", "missing"]


@pytest.mark.parametrize("state", ["pending", "enabled", "disabled"])
def test_rule_h1_layers_are_told_of_where_a_local_plugin_is_registered(
    site: Site, found: Examine, tmp_path: Path, state: str
) -> None:
    """What the machine lacks, by layer; nothing is tried out for a site without such a plugin."""
    link(site, tmp_path / "remote", http_text("com.example.remote"))
    assert [*held(site.settings, site.storage)] == []
    link(site, tmp_path / "plugin", manifest_text(ID))
    if state != "pending":
        site.service(Plugins, TESTER).approve(ID)
    if state == "disabled":
        site.service(Plugins, TESTER).disable(ID)
    expected = [(one.id, one.values) for one in judged_isolation(probe().isolation)]
    assert [(one.id, one.values) for one in held(site.settings, site.storage)] == expected
    assert {id_ for id_, _ in expected} == {id_ for id_ in found() if id_.startswith("sandbox.")}
