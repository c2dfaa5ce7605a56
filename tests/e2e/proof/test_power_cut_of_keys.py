"""Power cuts (rule C5) and the small files without which a site is lost: its keys, and whose blobs it has.

A command runs under strace; from the trace the disk is rebuilt as it was durably, and the site is opened
there.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from mairust_core.blobs.owner import OWNER
from mairust_core.first_run import ADMIN_TOKEN
from tests.e2e.proof.replay import Replay
from tests.e2e.proof.trace import FILE_CALLS, Call, read, strace
from tests.support.server import CHECKOUT, Site, clean_environment, command_line, make_site

SECRET = "of the test"


class Cut(Replay):
    """A replay that is looked at after every sync."""

    def __init__(self, site: Site, baseline: Path, look: Callable[[], None]) -> None:
        super().__init__(site.directory, baseline)
        self._look = look

    def _sync(self, call: Call, began: int) -> None:
        super()._sync(call, began)
        self._look()


def durably(site: Site, *words: str, look: Callable[[Site], None] = lambda _: None) -> Site:
    """Run a command; what a power cut at its end leaves of the site. `look` is shown each sync before."""
    baseline, trace = site.directory.with_name("baseline"), site.directory.with_name("trace")
    shutil.copytree(site.directory, baseline)
    command = [*strace(trace, FILE_CALLS), *command_line(site, *words)]
    done = subprocess.run(
        command, env=clean_environment(), cwd=CHECKOUT, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    image = Site(directory=site.directory.with_name("image"))

    def cut() -> None:
        shutil.rmtree(image.directory, ignore_errors=True)
        replay.disk.write_image(image.directory)
        look(image)

    replay = Cut(site, baseline, cut)
    assert list(replay.run(list(read(trace)))) == []
    cut()
    return image


def test_rule_c5_a_power_cut_after_init_leaves_the_whole_site(tmp_path: Path) -> None:
    """Master key, administrator's key, and the note whose the blobs are; the site opens with them."""
    site = Site(directory=tmp_path / "site")
    site.directory.mkdir(mode=0o700)
    left = durably(site, "init")
    for name in ("master.key", ADMIN_TOKEN, f"blobs/{OWNER}"):
        assert (left.directory / name).read_bytes() == (site.directory / name).read_bytes() != b""
    with left.opened() as here, here.storage.write() as tx:
        here.secrets.put(tx, SECRET, b"kept")


def test_rule_c5_a_power_cut_in_a_rotation_leaves_the_keys_of_all_secrets(tmp_path: Path) -> None:
    """After every single sync the secret opens; in the end with the new key alone."""
    site = make_site(tmp_path / "site")
    with site.opened() as here, here.storage.write() as tx:
        here.secrets.put(tx, SECRET, b"kept")
    used: list[str] = []

    def look(image: Site) -> None:
        with image.opened() as here, here.storage.read() as tx:
            assert here.secrets.get(tx, SECRET) == b"kept"
            used.append(",".join(here.secrets.file.keys()))

    durably(site, "secrets", "rotate-master", look=look)
    old, both, new = dict.fromkeys(used)
    assert both == f"{old},{new}"
