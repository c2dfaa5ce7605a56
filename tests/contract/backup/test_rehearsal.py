"""A rehearsal compares every hash, flag and count: whatever is changed in a restored site, it says so."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mairust_core.app import Site, opened
from mairust_core.errors import Damaged
from mairust_core.restore import restore_site
from mairust_core.restore.rehearsal import compare, rehearse
from mairust_core.transfer.plain_reader import Reader
from mairust_core.transfer.repository import Repository
from tests.contract.backup.conftest import EmptySettings
from tests.support.sites import ANN, Post, back_up, deliver
from tests.support.stores import message

_WORK = "(SELECT id FROM mailbox WHERE name = 'Work')"
_WORKING = f"(SELECT message_id FROM placement WHERE mailbox_id = {_WORK})"


class Rehearsed:
    """A site restored from a snapshot, to be changed and compared."""

    def __init__(self, site: Site, repository: Repository, snapshot: str) -> None:
        self.site = site
        self._repository = repository
        self._snapshot = snapshot

    def differences(self) -> list[str]:
        """In what the site and the snapshot differ."""
        reader = Reader(self._repository.path)
        return list(compare(self.site, reader, reader.snapshot(self._snapshot)))

    def change(self, sql: str) -> None:
        """Change the site behind its own back."""
        with self.site.storage.write() as tx:
            self.site.storage.execute_many(tx, sql, [()])


@pytest.fixture
def rehearsed(embedded: Site, repository: Repository, empty: EmptySettings) -> Iterator[Rehearsed]:
    """A furnished site, restored."""
    snapshot = back_up(embedded, repository).snapshot
    settings = empty()
    restore_site(settings, repository, snapshot, os_user="tester")
    with opened(settings) as site:
        yield Rehearsed(site, repository, snapshot)


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        (f"UPDATE placement SET flags = flags + 8 WHERE mailbox_id = {_WORK}", "flags=13"),
        (f"UPDATE placement SET keywords = '[]' WHERE mailbox_id = {_WORK}", "keywords=[]"),
        (f"UPDATE placement SET uid = uid + 1 WHERE mailbox_id = {_WORK}", "uid=2"),
        (f"UPDATE placement SET received_ms = 5 WHERE mailbox_id = {_WORK}", "received_ms=5"),
        (f"UPDATE message SET tags = '[]' WHERE id IN {_WORKING}", "tags=[]"),
        ("UPDATE mailbox SET name = 'Play' WHERE name = 'Work'", "mailbox='Play'"),
        ("UPDATE mailbox SET name = 'Play' WHERE name = 'Work'", "mailbox Play of ann@example.org"),
        (f"DELETE FROM placement WHERE mailbox_id = {_WORK}", "was not restored"),
        (f"DELETE FROM placement WHERE mailbox_id = {_WORK}", "1 messages in the backup, 0 restored"),
        ("UPDATE mailbox SET uidvalidity = 5 WHERE name = 'Work'", "wanted, (5, "),
        ("UPDATE mailbox SET uidnext = uidnext - 1 WHERE name = 'Work'", "1000001"),
        ("UPDATE mailbox SET messages = 2 WHERE name = 'Work'", "2, 0) restored"),
        ("UPDATE mailbox SET unseen = 1 WHERE name = 'Work'", "1, 1) restored"),
    ],
)
def test_whatever_differs_is_told(rehearsed: Rehearsed, sql: str, told: str) -> None:
    """And nothing is told of a site that is the same."""
    assert rehearsed.differences() == []
    rehearsed.change(sql)
    assert any(told in one for one in rehearsed.differences()), rehearsed.differences()


def test_mail_that_is_not_in_the_backup_is_told(rehearsed: Rehearsed) -> None:
    """In a mailbox that is, and in one that is not."""
    deliver(rehearsed.site, ANN, message())
    deliver(rehearsed.site, ANN, message(), post=Post(mailbox="Beside"))
    told = rehearsed.differences()
    assert f"mailbox Beside of {ANN}: 0 messages in the backup, 1 restored" in told
    assert any(
        one.startswith(f"mailbox INBOX of {ANN}: ") and "messages in the backup" in one for one in told
    )


def test_other_bytes_are_told(rehearsed: Rehearsed) -> None:
    """By each message that has them."""
    segment = max(
        (rehearsed.site.settings.blobs.path / "segments").iterdir(), key=lambda one: one.stat().st_size
    )
    data = bytearray(segment.read_bytes())
    data[-10] ^= 1
    segment.write_bytes(data)
    assert any(one.startswith("message ") for one in rehearsed.differences())


@pytest.mark.parametrize("junk", [b"junk", b"\x01\0\0\0MRPK", b"\xff\xff\xff\x7fMRPK"])
def test_what_only_the_second_reader_cannot_read_is_named(
    embedded: Site, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, junk: bytes
) -> None:
    """A pack with something behind it, whose directory only the index has: a restore does without it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    snapshot = back_up(embedded, repository).snapshot
    (object_, *_) = repository.read_snapshot(snapshot).accounts[0].objects
    name, _ = repository.index.find(bytes.fromhex(object_))
    path = repository.pack_path(name)
    whole = path.read_bytes()
    path.write_bytes(whole + junk)
    with pytest.raises(Damaged, match=name):
        rehearse(Repository.open(repository.path), snapshot, "tester")
    path.write_bytes(whole)
    assert rehearse(Repository.open(repository.path), snapshot, "tester").differences == ()


def test_more_messages_than_are_compared_at_once(
    embedded: Site, repository: Repository, empty: EmptySettings
) -> None:
    """Rows in several objects, read side by side; one message of the last is told."""
    ids = deliver(embedded, ANN, *(message() for _ in range(1300)))
    snapshot = back_up(embedded, repository).snapshot
    settings = empty()
    restore_site(settings, repository, snapshot, os_user="tester")
    with opened(settings) as site:
        there = Rehearsed(site, repository, snapshot)
        assert there.differences() == []
        there.change(f"UPDATE placement SET flags = 16 WHERE message_id = {int(ids[-1])}")
        (told,) = there.differences()
    assert told.startswith(f"message {int(ids[-1])}: ")
