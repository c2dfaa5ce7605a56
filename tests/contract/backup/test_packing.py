"""Packs that a site hands out: group after group, in the order asked for."""

from __future__ import annotations

import hashlib
import io
import random

from mairust_core.app import Site
from mairust_core.backup.packing import GROUP_MAILS
from mairust_core.model.backup import NewBackup, Wanted
from mairust_core.model.blob import MEMORY_LIMIT_BYTES
from mairust_core.services.backups import Backups
from mairust_core.store import collecting
from mairust_core.transfer.repository.packs import Directory, Unpacker, read_directory
from tests.support.sites import ANN, TESTER, deliver
from tests.support.stores import message

COUNT = GROUP_MAILS * 3 + 1
"""Several groups, and one of a single mail."""


def fetched(site: Site, wanted: list[str]) -> tuple[bytes, Directory]:
    """A pack of a new backup, and what is in it."""
    backups = site.service(Backups, TESTER)
    offer = backups.begin(NewBackup())
    data = b"".join(backups.pack(str(int(offer.id)), Wanted(objects=tuple(wanted))).chunks)
    return data, read_directory(io.BytesIO(data), "pack")


def test_objects_lie_in_the_order_they_were_asked_for(embedded: Site) -> None:
    """Small ones, and among them one that is streamed; each is the mail of its id."""
    mails = [message(str(number)) for number in range(COUNT)]
    mails[GROUP_MAILS // 2] = message(body="x" * MEMORY_LIMIT_BYTES)
    deliver(embedded, ANN, *mails)
    random.Random(1).shuffle(mails)
    wanted = [hashlib.sha256(one).hexdigest() for one in mails]
    data, directory = fetched(embedded, wanted)
    assert [entry.id.hex() for entry in directory.entries()] == wanted
    unpacker = Unpacker(io.BytesIO(data), "pack")
    assert [unpacker.read(entry) for entry in directory.entries()] == mails


def test_trap_d6_what_cannot_be_read_is_named_and_the_rest_is_there(embedded: Site) -> None:
    """Damaged mail in a group of its own, and a mail that nobody has."""
    mails = [message(str(number)) for number in range(COUNT)]
    deliver(embedded, ANN, *mails)
    segment = next((embedded.settings.blobs.path / "segments").iterdir())
    data = bytearray(segment.read_bytes())
    data[-10] ^= 1  # the last mail in it
    segment.write_bytes(data)
    nobodys = hashlib.sha256(b"nobody's").hexdigest()
    wanted = [hashlib.sha256(one).hexdigest() for one in mails]
    _, directory = fetched(embedded, [nobodys, *wanted])
    assert set(directory.damaged) == {nobodys, wanted[-1]}
    assert [entry.id.hex() for entry in directory.entries()] == wanted[:-1]


def test_trap_d6_large_mail_where_another_lies_is_named(embedded: Site) -> None:
    """What is streamed is verified too: two rows with each other's place are two damaged mails."""
    mails = [message(body=letter * MEMORY_LIMIT_BYTES) for letter in "ab"]
    deliver(embedded, ANN, *mails)
    one, other = (hashlib.sha256(data).digest() for data in mails)
    with embedded.storage.write() as tx:
        places = collecting.locations(embedded.storage, tx, [one, other])
        rows = [(places[other], one), (places[one], other)]
        embedded.storage.execute_many(tx, "UPDATE blob SET location = ? WHERE sha256 = ?", rows)
    _, directory = fetched(embedded, [one.hex(), other.hex()])
    assert directory.damaged == (one.hex(), other.hex())
    assert list(directory.entries()) == []
