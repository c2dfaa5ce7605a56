"""SIGKILL at random moments, placed by progress: `MAIRUST_KILL_ROUNDS` of them (5) on each database."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from tests.e2e.proof.audit import audit
from tests.e2e.proof.ledger import Ledger
from tests.e2e.proof.load import Load
from tests.support.server import Server, Site

ROUNDS = int(os.environ.get("MAIRUST_KILL_ROUNDS", "5"))
LONGEST_RUN = 60
"""Mails acknowledged before a kill, at most."""
LONGEST_DELAY_S = 0.02


@pytest.mark.parametrize("workers", [1, 2])
def test_rule_c5_kills_at_random_moments_lose_no_acknowledged_mail(
    site: Site, ledger: Ledger, rng: random.Random, workers: int
) -> None:
    """Round after round on one site: all processes are killed at once, and every 250 still holds."""
    server = Server(site=site, workers=workers)
    for _ in range(ROUNDS):
        with server, Load(server, ledger, rng) as load:
            _kill_some_workers(server, load, rng)
            _run_a_while(load, rng)
            server.kill()
        audit(site, ledger)


def _run_a_while(load: Load, rng: random.Random) -> None:
    load.wait_for(rng.randint(1, LONGEST_RUN))
    time.sleep(rng.uniform(0, LONGEST_DELAY_S))


def _kill_some_workers(server: Server, load: Load, rng: random.Random) -> None:
    """A worker that dies, or whose committing process does, is replaced; other mail goes on meanwhile."""
    if server.workers == 1:
        return
    _run_a_while(load, rng)
    os.kill(rng.choice([*server.worker_pids, *server.committing_pids]), signal.SIGKILL)
    load.wait_for(20)
    assert server.running, server.stderr()
