"""System calls of a serving process fail (rule C5, trap S12): injected by strace, under load.

A mail whose bytes or rows could not be written is refused for now, or is stored once; service goes on by
itself; what failed to sync is never synced again, for the kernel would answer that all is well (rule C3).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.proof.audit import audit, copies
from tests.e2e.proof.ledger import Ledger, only_temporary_refusals
from tests.e2e.proof.load import Load, make_mail, submit
from tests.e2e.proof.trace import Call, ended_calls, strace
from tests.support.mailbox_client import Dialogue
from tests.support.server import Server, Site, addresses

FAULTS = {
    "sync of segments and log": ("fdatasync:error=EIO:when=5+9",),
    "sync of files and directories": ("fsync:error=EIO:when=9+5",),
    "write with no room": ("pwrite64:error=ENOSPC:when=40+61",),
    "write": ("pwrite64:error=EIO:when=40+61",),
    "name of an own file": ("link,linkat:error=EIO:when=2+3",),
    "sync, then sealing": ("fdatasync:error=EIO:when=5+9", "rename:error=EIO:when=1+2"),
    "sync, then deletion": ("fsync:error=EIO:when=9+5", "unlink:error=EIO:when=1+2"),
}
"""Which calls fail, as strace counts them in each thread: the first and then each so many."""
CALLS = "fdatasync,fsync,pwrite64,link,linkat,rename,unlink"
ON_POSTGRESQL = ("sync of segments and log", "write with no room", "sync, then sealing")
CASES = [*(("sqlite", fault) for fault in FAULTS), *(("postgresql", fault) for fault in ON_POSTGRESQL)]
MAILS = 40


@pytest.mark.parametrize(("site", "fault"), CASES, indirect=["site"])
def test_rule_c5_failing_system_calls_lose_nothing_acknowledged(
    site: Site, ledger: Ledger, rng: random.Random, tmp_path: Path, fault: str
) -> None:
    """Mails meanwhile get 4xx or are stored once, later ones are taken, a restart changes nothing."""
    trace = tmp_path / "trace"
    server = Server(site=site, wrapper=strace(trace, CALLS, *FAULTS[fault], data_bytes=16))
    with server:
        with Load(server, ledger, rng, large_every=4) as load:
            load.wait_for(MAILS)
        server.kill()
    calls = ended_calls(trace)
    assert any("INJECTED" in call.outcome for call in calls), "no call failed: nothing is proved"
    assert only_temporary_refusals(ledger), ledger.answers
    assert _touched_after_a_failed_sync(calls) == []
    audit(site, ledger)
    with Server(site=site) as healthy:
        with Load(healthy, ledger, rng) as load:
            load.wait_for(10)
        assert healthy.terminate() == 0
    audit(site, ledger)


def test_rule_c4_a_mail_refused_for_a_failed_sync_of_the_log_does_not_come_back(
    sqlite_site: Site, ledger: Ledger, rng: random.Random, tmp_path: Path
) -> None:
    """Its rows lie whole in SQLite's log; a crash right after the 451 must not bring them to life."""
    log = sqlite_site.directory / "mairust.db-wal"
    faults = [f"{call}:error=EIO:when=3" for call in ("fsync", "fdatasync")]
    wrapper = strace(tmp_path / "trace", "fsync,fdatasync", *faults, only=log)
    with Server(site=sqlite_site, wrapper=wrapper) as server:
        with Dialogue(server.smtp) as client:
            for _ in range(MAILS):
                submit(client, ledger, make_mail(rng, addresses(1)))
                if ledger.answers["451 4.3.0"]:
                    break
        server.kill()
    assert ledger.answers["451 4.3.0"], "no sync failed: nothing is proved"
    audit(sqlite_site, ledger)
    with sqlite_site.opened() as here:  # stricter than for a COMMIT whose outcome nobody can learn
        assert len(list(copies(here, ledger))) == ledger.acknowledged


def _touched_after_a_failed_sync(calls: Sequence[Call]) -> list[str]:
    """Segments that were written or synced again after a sync of theirs had failed."""
    failed: set[str] = set()
    again = []
    for call in calls:
        segment = Path(call.target).stem if "/segments/" in call.target else ""
        if segment in failed and call.name in {"fdatasync", "fsync", "pwrite64"}:
            again.append(f"{call.name} of {segment}")
        if segment and call.name in {"fdatasync", "fsync"} and call.failed:
            failed.add(segment)
    return again
