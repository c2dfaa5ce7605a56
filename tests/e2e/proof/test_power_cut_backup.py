"""Power cuts right after a backup or a prune: what was synced is a whole repository (trap D1, B-9)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.e2e.proof.power import recorded_command
from tests.e2e.proof.replay import Ignored
from tests.support.server import Site, make_site

SYNCS: dict[str, Ignored] = {
    "data": lambda _call, path: "/r/tmp/" in path,
    "names of packs": lambda _call, path: Path(path).parent.name == "packs",
    "directories of packs": lambda _call, path: path.endswith("/packs"),
    "names of snapshots": lambda _call, path: path.endswith("/snapshots"),
    "the repository's own name": lambda _call, path: path.endswith("/work"),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site with some mails, one of them large."""
    found = make_site(tmp_path_factory.mktemp("saved") / "site", accounts=1)
    for number, size_bytes in enumerate((10, 2 << 20, 300)):
        mail = found.directory.with_name(f"{number}.eml")
        mail.write_bytes(b"Subject: %d\r\n\r\n%s\r\n" % (number, os.urandom(size_bytes).hex().encode()))
        assert found.command("message", "append", mail, "--account", "user0@example.org").returncode == 0
    return found


def whole(site: Site, repository: Path) -> bool:
    """Whether all of one snapshot can be read."""
    done = site.command("backup", "verify", repository, "--read-data", "--json")
    found = json.loads(done.stdout)
    return done.returncode == 0 and (found["snapshots"], found["damaged"]) == (1, [])


def test_trap_d1_a_backup_that_has_ended_survives_a_power_cut(site: Site, tmp_path: Path) -> None:
    """All that was synced is enough; without one kind of sync it is not, so the proof is not blind."""
    (tmp_path / "work").mkdir()
    run = recorded_command(site, tmp_path / "work", "backup", tmp_path / "work" / "r")
    assert whole(site, run.left(tmp_path / "image") / "r")
    for name, ignored in SYNCS.items():
        assert not whole(site, run.left(tmp_path / name, ignored) / "r"), name


def test_trap_d1_a_prune_that_has_ended_survives_a_power_cut(site: Site, tmp_path: Path) -> None:
    """The snapshot that is kept is whole, and what was deleted does not come back beside it."""
    repository = tmp_path / "work" / "r"
    for _ in range(2):
        assert site.command("backup", repository).returncode == 0
    run = recorded_command(
        site, tmp_path / "work", "backup", "prune", repository, "--keep-last", "1", "--yes"
    )
    assert whole(site, run.left(tmp_path / "image") / "r")
    deleting = lambda _call, path: path.endswith("/snapshots")  # noqa: E731
    assert not whole(site, run.left(tmp_path / "mutated", deleting) / "r")
