"""A site under SMTP load is backed up, destroyed, and restored into PostgreSQL (issue: done when)."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

from mairust_core.transfer.repository import Repository
from mairust_core.transfer.repository.verifying import verify
from tests.e2e.backup.conftest import must
from tests.e2e.proof.audit import copies, original, summaries
from tests.e2e.proof.ledger import Ledger, Told
from tests.e2e.proof.load import Load
from tests.support.invariants import check_site
from tests.support.postgres import PostgresServer
from tests.support.server import Server, Site, addresses, make_site

ENOUGH = 60


def acknowledged(ledger: Ledger) -> dict[tuple[str, str], str]:
    """The message id of every copy acknowledged by now, by address and token."""
    return {
        (address, entry.mail.token): entry.ids[address]
        for entry in ledger.entries()
        for address, told in list(entry.told.items())
        if told is Told.STORED
    }


def uids(site: Site) -> dict[str, tuple[str, int, tuple[str, ...], tuple[str, ...]]]:
    """Mailbox, UID, flags and tags of every message, by its id."""
    with site.opened() as here:
        return {
            str(int(one.id)): (one.mailbox, one.uid, one.flags, one.tags)
            for address in addresses(4)
            for one in summaries(here, address)
        }


def test_what_was_acknowledged_before_a_backup_began_is_restored_to_the_octet(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """Mail goes on coming in, garbage is collected meanwhile; the site is destroyed afterwards."""
    seed = int(os.environ.get("MAIRUST_PROOF_SEED") or random.randrange(1 << 30))
    print(f"MAIRUST_PROOF_SEED={seed}")
    ledger, rng = Ledger(), random.Random(seed)
    site = make_site(tmp_path / "site")
    with Server(site=site) as server, Load(server, ledger, rng) as load:
        load.wait_for(ENOUGH)
        before = acknowledged(ledger)
        must(site, "backup", tmp_path / "r")
        load.wait_for(5)
        must(site, "gc")
        second = acknowledged(ledger)
        must(site, "backup", tmp_path / "r")
        load.wait_for(5)
    assert verify(Repository.open(tmp_path / "r"), read_data=True).damaged == ()
    there = uids(site)
    shutil.rmtree(site.directory)
    first, last = Repository.open(tmp_path / "r").snapshot_names()
    for snapshot, promised in ((first, before), (last, second)):
        name = postgres_server.create_database()
        restored = Site(directory=tmp_path / snapshot, database=postgres_server.dsn(name))
        must(restored, "restore", tmp_path / "r", "--snapshot", snapshot, "--yes")
        with restored.opened() as here:
            found = list(copies(here, ledger))
            assert len(found) == len(set(found)), "each copy once"
            assert promised.keys() <= set(found)
            assert all(original(here, one) for address in addresses(4) for one in summaries(here, address))
        marks = uids(restored)
        assert set(promised.values()) <= marks.keys()
        assert all(there[id_] == mark for id_, mark in marks.items())
        assert check_site(restored.settings()) == []
        postgres_server.drop_database(name)
