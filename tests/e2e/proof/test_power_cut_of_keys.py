"""Power cuts (rule C5) and the small files without which a site is lost: its keys, and whose blobs it has.

A command runs under strace; from the trace the disk is rebuilt as it was durably, and the site is opened
there.
"""

from __future__ import annotations

from pathlib import Path

from mairust_core.blobs.owner import OWNER
from mairust_core.first_run import ADMIN_TOKEN
from tests.e2e.proof.power import recorded_command
from tests.support.server import Site, make_site

SECRET = "of the test"


def test_rule_c5_a_power_cut_after_init_leaves_the_whole_site(tmp_path: Path) -> None:
    """Master key, administrator's key, and the note whose the blobs are; the site opens with them."""
    site = Site(directory=tmp_path / "site")
    site.directory.mkdir(mode=0o700)
    run = recorded_command(site, site.directory, "init")
    left = Site(directory=run.left(tmp_path / "image"))
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

    def look(image: Path) -> None:
        with Site(directory=image).opened() as here, here.storage.read() as tx:
            assert here.secrets.get(tx, SECRET) == b"kept"
            used.append(",".join(here.secrets.file.keys()))

    run = recorded_command(site, site.directory, "secrets", "rotate-master")
    run.left(tmp_path / "image", look=look)
    old, both, new = dict.fromkeys(used)
    assert both == f"{old},{new}"
