"""Full and read-only disks, under a serving process and at its start (trap S12)."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.e2e.proof.audit import audit
from tests.e2e.proof.disks import ran_in_namespace, small_disk
from tests.e2e.proof.ledger import Ledger, only_temporary_refusals
from tests.e2e.proof.load import Load
from tests.support.server import Server, ServerFailed, make_site

DISK_BYTES = 48 << 20


def test_trap_s12_a_full_disk_refuses_with_452_loses_nothing_and_service_resumes(
    request: pytest.FixtureRequest, ledger: Ledger, rng: random.Random, tmp_path: Path
) -> None:
    """Filled to the last byte in mid-load: 452 4.3.1; with room again mail is taken, without a restart."""
    if ran_in_namespace(request, tmp_path):
        return
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk:
        site = make_site(disk.path)
        with Server(site=site) as server:
            with Load(server, ledger, rng, clients=12) as load:
                load.wait_for(20)
                filler = disk.fill()
                ledger.wait_for_answer("452 4.3.1", 20)
                filler.unlink()
                load.wait_for(20)
            assert only_temporary_refusals(ledger), ledger.answers
            server.kill()
        audit(site, ledger)


def test_a_read_only_directory_is_told_and_nothing_is_served(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """`serve` on a read-only disk ends with a clear error that names the directory."""
    if ran_in_namespace(request, tmp_path):
        return
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk:
        site = make_site(disk.path)
        disk.remount("ro")
        with pytest.raises(ServerFailed, match=r"exit 78: .*bad_config.* cannot be written to"):
            Server(site=site).start()
