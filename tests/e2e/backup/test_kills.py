"""SIGKILL at every step and at random: the repository stays valid, the next run completes (rule I3)."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from mairust_core import store
from mairust_core.errors import Conflict
from mairust_core.model.principal import Scope
from mairust_core.observe.faults import STEPS
from mairust_core.transfer.repository import Repository
from mairust_core.transfer.repository.verifying import verify
from tests.e2e.backup.conftest import crash, must
from tests.support.invariants import check_site
from tests.support.server import Site, clean_environment, command_line
from tests.support.sites import ANN, contents_of, deliver
from tests.support.stores import message

ROUNDS = int(os.environ.get("MAIRUST_KILL_ROUNDS", "5"))


def steps(verb: str) -> list[str]:
    """The named steps of a command."""
    return [step.name for step in STEPS if step.name.startswith(f"{verb}.")]


def more_mail(site: Site) -> None:
    """So that a run has something to do."""
    with site.opened() as here:
        deliver(here, ANN, *(message() for _ in range(3)))


def assert_whole(repository: Path) -> None:
    """No object is damaged, none that a snapshot names is missing."""
    if (repository / "config").exists():
        assert verify(Repository.open(repository), read_data=True).damaged == ()


def assert_restores(site: Site, repository: Path, target: Path) -> None:
    """The newest snapshot is the site as it is."""
    restored = Site(directory=target)
    must(restored, "restore", repository, "--yes")
    assert contents_of(restored.settings()).mail == contents_of(site.settings()).mail
    assert check_site(restored.settings()) == []


@pytest.mark.parametrize("step", steps("backup"))
def test_a_backup_killed_at_a_step_is_completed_by_the_next(site: Site, tmp_path: Path, step: str) -> None:
    """The first of a repository, and one that adds to it."""
    repository = tmp_path / "repository"
    for _ in range(2):
        assert crash(site, step, "backup", repository) == -signal.SIGKILL
        assert_whole(repository)
        must(site, "backup", repository)
        assert_whole(repository)
        assert list((repository / "tmp").iterdir()) == []
        more_mail(site)
    must(site, "backup", repository)
    assert_restores(site, repository, tmp_path / "restored")


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of which a prune deletes packs, and writes some anew."""
    from tests.support.repositories import START, FakeSite, run

    path = tmp_path_factory.mktemp("pruned") / "repository"
    site = FakeSite(mail={"ann@x": [os.urandom(4000) for _ in range(20)]})
    for day in range(3):
        site.at = START.replace(day=5 + day)
        run(path, site)
        site.mail["ann@x"] = [*site.mail["ann@x"][15:], *(os.urandom(4000) for _ in range(10))]
    return path


@pytest.mark.parametrize("step", [*steps("prune"), "backup.pack_written", "backup.pack_published"])
def test_a_prune_killed_at_a_step_is_completed_by_the_next(pruned: Path, tmp_path: Path, step: str) -> None:
    """What is kept is whole at every moment."""
    repository = tmp_path / "repository"
    shutil.copytree(pruned, repository)
    nowhere = Site(directory=tmp_path / "none")
    prune = ("backup", "prune", repository, "--keep-last", "1", "--yes")
    assert crash(nowhere, step, *prune) == -signal.SIGKILL
    assert_whole(repository)
    must(nowhere, *prune)
    assert_whole(repository)
    again = Repository.open(repository)
    assert len(again.snapshot_names()) == 1
    assert len(again.index_names()) == 1
    assert again.index.packs.keys() == again.pack_names()


@pytest.mark.parametrize("step", steps("restore"))
def test_a_restore_killed_at_a_step_is_simply_run_again(site: Site, tmp_path: Path, step: str) -> None:
    """Before its COMMIT the site is empty; after it all is there, also a key that works and the settings."""
    repository, target = tmp_path / "repository", Site(directory=tmp_path / "restored")
    must(site, "backup", repository)
    assert crash(target, step, "restore", repository, "--yes") == -signal.SIGKILL
    if step == "restore.committed":
        code = target.command("restore", repository, "--yes").returncode
        assert code == Conflict.exit_code, "it is done"
    else:
        assert b"ann@" not in must(target, "account", "list")
        must(target, "restore", repository, "--yes")
    assert "data_dir" in (target.directory / "restored.toml").read_text()
    public_id = (target.directory / "admin.token").read_text().split("_")[1]
    with target.opened() as there, there.storage.read() as tx:
        credential = store.tokens.credential(tx, public_id)
    assert credential is not None
    assert Scope.ADMIN in credential.principal.scopes
    assert contents_of(target.settings()).mail == contents_of(site.settings()).mail
    assert check_site(target.settings()) == []


def test_killed_at_random_instants_nothing_is_lost(site: Site, tmp_path: Path) -> None:
    """Backups one after the other, each killed somewhere; at the end one that is not."""
    seed = int(os.environ.get("MAIRUST_PROOF_SEED") or random.randrange(1 << 30))
    print(f"MAIRUST_PROOF_SEED={seed}")
    chance = random.Random(seed)
    repository = tmp_path / "repository"
    began = time.monotonic()
    must(site, "backup", repository)
    usual_s = time.monotonic() - began
    for _ in range(ROUNDS):
        more_mail(site)
        process = subprocess.Popen(
            command_line(site, "backup", repository),
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(chance.uniform(usual_s / 4, usual_s))
        process.kill()
        process.wait()
        assert_whole(repository)
    must(site, "backup", repository)
    assert_whole(repository)
    assert_restores(site, repository, tmp_path / "restored")
