"""The database is gone for a while, under load (trap S12): 4xx, then on by itself, exactly once."""

from __future__ import annotations

import fcntl
import os
import random
import time
from collections.abc import Callable

import pytest

from tests.e2e.proof.audit import audit
from tests.e2e.proof.ledger import Ledger, only_temporary_refusals
from tests.e2e.proof.load import Load
from tests.support.postgres import PostgresServer
from tests.support.server import Server, Site

OUTAGE_S = 10.0
DOWN = "451 4.3.0"


def test_trap_s12_postgresql_frozen_for_ten_seconds_under_load(
    postgres_site: Site, postgres: PostgresServer, ledger: Ledger, rng: random.Random
) -> None:
    """A server that answers nothing: mail waits or is refused for now, and goes on by itself."""
    with Server(site=postgres_site) as server:
        with Load(server, ledger, rng) as load:
            load.wait_for(20)
            with postgres.pause():
                time.sleep(OUTAGE_S)
            load.wait_for(20)
        assert only_temporary_refusals(ledger), ledger.answers
        assert server.terminate() == 0
    audit(postgres_site, ledger)


@pytest.mark.parametrize("end", [PostgresServer.kill, PostgresServer.shut_down])
def test_trap_s12_postgresql_gone_for_ten_seconds_under_load(
    postgres_site: Site,
    postgres: PostgresServer,
    ledger: Ledger,
    rng: random.Random,
    end: Callable[[PostgresServer], None],
) -> None:
    """Killed, and shut down in good order: 451 4.3.0 meanwhile, then on by itself, without a restart."""
    with Server(site=postgres_site) as server:
        with Load(server, ledger, rng) as load:
            load.wait_for(20)
            end(postgres)
            try:
                ledger.wait_for_answer(DOWN, 5)
                time.sleep(OUTAGE_S)
            finally:
                postgres.restart()
            load.wait_for(20)
        assert only_temporary_refusals(ledger), ledger.answers
        assert server.terminate() == 0
    audit(postgres_site, ledger)


def test_trap_s12_another_process_that_holds_the_write_lock_for_too_long(
    sqlite_site: Site, ledger: Ledger, rng: random.Random
) -> None:
    """Beyond the server's patience senders get 451 4.3.0; when the lock is free mail goes on."""
    with Server(site=sqlite_site) as server:
        with Load(server, ledger, rng) as load:
            load.wait_for(10)
            lock = os.open(sqlite_site.directory / "write.lock", os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                ledger.wait_for_answer(DOWN, 1)
            finally:
                os.close(lock)
            load.wait_for(20)
        assert only_temporary_refusals(ledger), ledger.answers
        assert server.terminate() == 0
    audit(sqlite_site, ledger)
