"""Where a plugin's directory really is: no link leads a process elsewhere, nobody else writes there."""

from __future__ import annotations

import json
import marshal
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mairust_core.config import load_settings
from mairust_core.sandbox.directories import Unsafe, closed_to_others, identified, too_near
from mairust_core.sandbox.places import LAUNCHER
from tests.support.users import let_others_in


def _theirs(path: Path) -> None:
    """Give a directory to somebody who is neither root nor we."""
    if os.geteuid() == 0:
        os.chown(path, 12_345, 12_345)


def test_a_directory_is_what_its_path_says(tmp_path: Path) -> None:
    """By device and inode, also below links that only root can have made."""
    found = tmp_path.stat()
    assert identified(tmp_path) == (found.st_dev, found.st_ino)
    assert identified(Path("/proc/self/..")) == identified(Path("/proc"))


def test_a_plugin_that_was_exchanged_for_a_link_is_not_run(tmp_path: Path) -> None:
    """Wherever it leads, at the end of the path or on the way."""
    home = tmp_path / "home"
    (home / "plugin" / "inside").mkdir(parents=True)
    _theirs(home)
    assert identified(home / "plugin" / "inside")
    (home / "plugin").rename(home / "old")
    for target in ("/", "old"):
        (home / "plugin").symlink_to(target)
        for path in (home / "plugin", home / "plugin" / "inside"):
            with pytest.raises(Unsafe, match=r"is a link|No such file"):
                identified(path)
        (home / "plugin").unlink()


def test_packages_are_run_from_a_data_directory_that_is_reached_through_a_link(tmp_path: Path) -> None:
    """Whoever owns the site may have put it elsewhere; what is asked for is the real path."""
    (tmp_path / "disk" / "plugins").mkdir(parents=True)
    (tmp_path / "site").symlink_to("disk")
    packages_dir = load_settings(data_dir=tmp_path / "site", env={}).packages_dir
    _theirs(tmp_path)
    assert identified(packages_dir) == identified(tmp_path / "disk" / "plugins")


def test_where_everybody_may_write_no_plugin_is_run(tmp_path: Path) -> None:
    """In it, or where it could be moved away; a directory like /tmp keeps what is in it."""
    plugin = tmp_path / "shared" / "plugin"
    plugin.mkdir(parents=True)
    plugin.parent.chmod(0o777)
    with pytest.raises(Unsafe, match="everybody may write to shared"):
        identified(plugin)
    plugin.parent.chmod(0o1777)
    assert identified(plugin)
    plugin.chmod(0o1777)
    with pytest.raises(Unsafe, match="everybody may write to plugin"):
        identified(plugin)


@pytest.mark.parametrize("path", ["relative", "/no/such/place", __file__])
def test_what_is_no_directory_is_not_run(path: str) -> None:
    """With a word on why."""
    with pytest.raises(Unsafe):
        identified(Path(path))


def test_a_plugin_keeps_away_from_what_is_hidden(tmp_path: Path) -> None:
    """It is none of it, lies in none and holds none, whatever its name says."""
    site = tmp_path / "a" / "site"
    (site / "sub").mkdir(parents=True)
    (tmp_path / "beside").mkdir()
    (tmp_path / "link").symlink_to(site)
    near = [site, site / "sub", tmp_path / "a", tmp_path, tmp_path / "link"]
    assert [too_near(one, (site,)) for one in near] == [site] * len(near)
    assert too_near(tmp_path / "beside", (site,)) is None


@pytest.mark.parametrize("is_same", [True, False])
def test_the_launcher_runs_nothing_in_another_directory(tmp_path: Path, is_same: bool) -> None:
    """One that took the place of the judged one after it was judged."""
    told: dict[str, object] = {
        "cgroups": [], "parent": None, "user": None, "relay": None, "rlimits": [], "beside": None,
        "landlock": None, "seccomp": None, "argv": ["/bin/echo", json.dumps("it runs")], "env": {},
        "directory": str(tmp_path),
        "identity": identified(tmp_path if is_same else Path("/")),
    }  # fmt: skip
    reading, writing = os.pipe()
    telling = os.memfd_create("told")
    os.write(telling, marshal.dumps({**told, "status": writing}))
    os.lseek(telling, 0, os.SEEK_SET)
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(LAUNCHER), str(telling)],
            pass_fds=(telling, writing), capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        os.close(writing)
        status = os.read(reading, 1024)
    finally:
        os.close(reading)
        os.close(telling)
    expected = ('"it runs"\n', b"ok") if is_same else ("", b"!start: its directory was exchanged")
    assert (done.stdout, status) == expected


def test_what_keeps_other_users_out_is_named(tmp_path: Path) -> None:
    """On the way one has to pass, at its end to read, too; what is not there cannot be entered."""
    let_others_in(tmp_path)
    way = tmp_path / "way"
    plugin = way / "plugin"
    plugin.mkdir(parents=True)
    way.chmod(0o711)
    plugin.chmod(0o755)
    assert closed_to_others(plugin) is None
    plugin.chmod(0o711)
    assert closed_to_others(plugin) == plugin
    way.chmod(0o700)
    assert closed_to_others(plugin) == way
    assert closed_to_others(way / "gone" / "plugin") == way
    assert closed_to_others(tmp_path / "gone" / "plugin") is None
    (tmp_path / "link").symlink_to(plugin)
    assert closed_to_others(tmp_path / "link") == way
