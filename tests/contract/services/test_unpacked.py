"""The files of packages on a node: made when they are needed, whole or not at all, gone when unused."""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from mairust_core import store
from mairust_core.errors import Damaged
from mairust_core.model.plugin import Runnable
from mairust_core.plugins.unpacked import RETRY_S, SWEEP_EVERY_S, UNUSED_S, Unpacked
from mairust_core.services.plugins import Plugins
from mairust_core.store.tables import plugin_package_part
from tests.contract.services.conftest import Served
from tests.support.linking import SCRIPT, TESTER, http_text, manifest_text, new_id
from tests.support.packaging import install, made


class Clock:
    """A clock that tests set, in seconds since 1970."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def plugin(served: Served) -> Runnable:
    """An approved local plugin with a file in a directory."""
    id_ = install(served.site, made(manifest_text(new_id()), files={"lib/words.txt": b"casino\n"})).id
    served.here(Plugins).approve(id_)
    return served.site.runnable(TESTER, id_)


@pytest.fixture
def clock() -> Clock:
    """A clock that tests move on."""
    return Clock()


@pytest.fixture
def unpacked(served: Served, tmp_path: Path, clock: Clock) -> Unpacked:
    """Another node's cache."""
    return Unpacked(served.site.storage, tmp_path / "plugins", clock=clock)


def test_files_are_made_when_they_are_missing(unpacked: Unpacked, plugin: Runnable, tmp_path: Path) -> None:
    """Read-only, the listing among them, and nothing of how they came about; made again when they went."""
    assert unpacked.have([plugin]) == {}
    place = tmp_path / "plugins" / str(plugin.package)
    files = {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}
    assert files == {"plugin.toml", "plugin.sh", "lib/words.txt", "manifest.json"}
    assert (place / "lib/words.txt").read_bytes() == b"casino\n"
    assert {path.stat().st_mode & 0o777 for path in place.rglob("*") if path.is_file()} == {0o444, 0o555}
    assert {path.stat().st_mode & 0o777 for path in (place, place / "lib")} == {0o755}
    assert os.listdir(tmp_path / "plugins") == [plugin.package]
    shutil.rmtree(place)
    assert unpacked.have([plugin]) == {}
    assert (place / "plugin.sh").exists()


@pytest.mark.parametrize("harm", ["changed", "gone", "added", "link", "all a link"])
def test_what_was_altered_is_made_anew(
    unpacked: Unpacked, plugin: Runnable, served: Served, tmp_path: Path, harm: str
) -> None:
    """Another process finds it when it starts, this one when the plugin changed; nothing altered is run."""
    root = tmp_path / "plugins"
    place = root / str(plugin.package)
    other = Unpacked(served.site.storage, root)
    for cache, generation in ((other, plugin.generation), (unpacked, plugin.generation + 1)):
        assert unpacked.have([plugin]) == {}
        alter(place, harm, tmp_path / f"elsewhere {generation}")
        assert cache.have([replace(plugin, generation=generation)]) == {}
        assert (place / "plugin.sh").read_text() == SCRIPT
        assert {path.name for path in place.iterdir()} == {"plugin.toml", "plugin.sh", "lib", "manifest.json"}
        assert not place.is_symlink()


def alter(place: Path, harm: str, elsewhere: Path) -> None:
    """Do harm to unpacked files."""
    script = place / "plugin.sh"
    if harm == "added":
        (place / "evil.sh").write_text("#!/bin/sh\n")
    elif harm == "all a link":
        place.rename(elsewhere)
        (elsewhere / "evil.sh").write_text("#!/bin/sh\n")
        place.symlink_to(elsewhere)
    else:
        script.unlink()
        if harm == "changed":
            script.write_text("#!/bin/sh\n")
        if harm == "link":
            elsewhere.write_text(SCRIPT)
            script.symlink_to(elsewhere)


def test_who_needs_no_files_gets_none(served: Served, unpacked: Unpacked, tmp_path: Path) -> None:
    """A plugin that is reached over http, and one that is linked."""
    id_ = install(served.site, made(http_text(new_id()))).id
    served.here(Plugins).approve(id_)
    plugin = served.site.runnable(TESTER, id_)
    assert unpacked.have([plugin, replace(plugin, package=None)]) == {}
    assert not (tmp_path / "plugins").exists()


def test_several_at_once_make_it_once(served: Served, plugin: Runnable, tmp_path: Path) -> None:
    """Threads and processes alike; nothing is left beside it."""
    caches = [Unpacked(served.site.storage, tmp_path / "plugins") for _ in range(2)]
    faults: list[dict[str, str]] = []
    threads = [threading.Thread(target=lambda c=c: faults.append(c.have([plugin]))) for c in caches * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == [{}] * 6
    assert os.listdir(tmp_path / "plugins") == [plugin.package]


def test_what_is_not_that_package_is_no_plugin(
    served: Served, unpacked: Unpacked, plugin: Runnable, clock: Clock, tmp_path: Path
) -> None:
    """Bytes that were lost or changed in the database fail its calls and are told; nothing is unpacked."""
    assert plugin.package is not None
    with served.site.storage.write() as tx:
        kept = store.packages.find(tx, TESTER, plugin.package)
        assert kept is not None
        mine = plugin_package_part.c.archive == kept.archive
        data = tx.execute(plugin_package_part.select().where(mine)).one().bytes
        changed = bytes(data[:60]) + bytes([data[60] ^ 1]) + bytes(data[61:])
        tx.execute(plugin_package_part.update().where(mine).values(bytes=changed))
    assert list(unpacked.have([plugin])) == [plugin.id]
    assert os.listdir(tmp_path / "plugins") == []
    with served.site.storage.write() as tx:
        tx.execute(plugin_package_part.update().where(mine).values(bytes=data))
    assert list(unpacked.have([plugin])) == [plugin.id], "it is not tried again twice a second"
    clock.now_s += RETRY_S
    with served.site.storage.write() as tx:
        tx.execute(plugin_package_part.update().where(mine).values(bytes=changed))
    assert list(unpacked.have([plugin])) == [plugin.id]
    with served.site.storage.write() as tx:
        tx.execute(plugin_package_part.update().where(mine).values(bytes=data))
    clock.now_s += RETRY_S
    assert list(unpacked.have([plugin])) == [plugin.id], "the second time it waits for longer"
    clock.now_s += RETRY_S
    assert unpacked.have([plugin]) == {}
    with pytest.raises(Damaged):
        unpacked.unpack("0" * 64)


def test_what_no_plugin_has_goes_after_an_hour(
    served: Served, unpacked: Unpacked, plugin: Runnable, clock: Clock, tmp_path: Path
) -> None:
    """Until then a call of it may still begin; what a killed process left goes as well."""
    root = tmp_path / "plugins"
    unpacked.have([plugin])
    for name in (".new-0", ".gone-0"):
        (root / name / "lib").mkdir(parents=True)
    place = root / str(plugin.package)
    clock.now_s = place.stat().st_mtime + UNUSED_S - 60
    served.here(Plugins).remove(plugin.id)
    unpacked.sweep()
    assert len(os.listdir(root)) == 3
    clock.now_s += 120
    unpacked.sweep()
    assert os.listdir(root) == []


def test_what_some_plugin_has_stays(
    unpacked: Unpacked, plugin: Runnable, clock: Clock, tmp_path: Path
) -> None:
    """However old it is; sweeping comes by itself, every hour."""
    unpacked.have([plugin])
    place = tmp_path / "plugins" / str(plugin.package)
    old = tmp_path / "plugins" / ("0" * 64)
    for _ in range(2):
        old.mkdir()
        clock.now_s = max(clock.now_s, old.stat().st_mtime) + UNUSED_S + SWEEP_EVERY_S
        os.utime(place, (1, 1))
        assert unpacked.have([plugin]) == {}
        assert (place.exists(), old.exists()) == (True, False)
