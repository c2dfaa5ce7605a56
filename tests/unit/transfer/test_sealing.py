"""Encrypted repositories: read by who has the key, written by who has not, opened with `age`."""

from __future__ import annotations

import base64
import dataclasses
import errno
import os
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from mairust_core.errors import Conflict, Damaged, DiskFull, Forbidden, StorageDown, Usage
from mairust_core.transfer.plain_reader import Reader
from mairust_core.transfer.repository import Repository
from mairust_core.transfer.repository.files import on_disk
from mairust_core.transfer.repository.pruning import Keep, execute, plan
from mairust_core.transfer.repository.repository import CONFIG, KEY, Config
from mairust_core.transfer.repository.sealing import Keys, new_identity
from mairust_core.transfer.repository.verifying import verify
from tests.support.repositories import FakeSite, fill, mail_in, run

IDENTITY, RECIPIENT = new_identity()
TO_US = Keys(recipients=(RECIPIENT,))
OURS = Keys(identities=(IDENTITY,))

PASSPHRASE = "correct horse battery staple"
CHEAP_RECIPIENT = "age1l4y5f6hazh9es0hfe5pj9trkpeq5clecafq77dtxzm5tq35h6fysrlsfhz"
CHEAP_KEY = base64.b64decode(
    "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCBibVQ2YlpKVlp4dHFoR3Q3U2QyMCtRIDEKNjl1dmxqUmRISTM2"
    "U0hzcDQ0VEJ2b2lQUFM2cjBhS1JXRU05M2dIaG52MAotLS0gTDVJR3ZramtwQXU5bHVUTkhnTGJ5a2pkeU5BTm5WZnpO"
    "UTRNNGpxdEY4ZwrKmFhzDEBTEhFYCPPLM/Rdm0R31CquplEzLghUTSAiBshvMc5Zh/D07jWFeBVVdxHhzYfYKlZEtoMn"
    "jx0VXdbs+qE1jlJkqiqYkIt5c8Dxaon8MPtbUiMTpjifxAnd/IfyPwnapA2FTDj1"
)
"""`key.age` as age writes it, but with scrypt's N = 2 for the 2^18 that takes a second each time."""


def clear_text(path: Path) -> bytes:
    """Everything in a repository, one file after the other."""
    return b"".join(one.read_bytes() for one in sorted(path.rglob("*")) if one.is_file())


def lock_cheaply(path: Path) -> None:
    """Make a repository with `PASSPHRASE`; tests of the commands pay for one with age's own work factor."""
    Repository.create(path, Keys(recipients=(CHEAP_RECIPIENT,)))
    made = Config.from_bytes((path / CONFIG).read_bytes())
    (path / CONFIG).write_bytes(dataclasses.replace(made, passphrase=True).to_bytes())
    (path / KEY).write_bytes(CHEAP_KEY)


def test_a_passphrase_is_all_that_is_needed(tmp_path: Path) -> None:
    """The same one each time; another one, or none, opens nothing."""
    lock_cheaply(tmp_path / "r")
    keys = Keys(passphrase=PASSPHRASE)
    site = FakeSite(mail={"ann@x": [b"a secret"]})
    first = run(tmp_path / "r", site, keys)
    site.mail["ann@x"].append(b"another")
    site.at += timedelta(days=1)
    assert run(tmp_path / "r", site, keys).objects_new == 2
    assert mail_in(Repository.open(tmp_path / "r", keys), first.snapshot) == {"ann@x": [b"a secret"]}
    with pytest.raises(Forbidden):
        Repository.open(tmp_path / "r", Keys(passphrase="wrong"))
    with pytest.raises(Forbidden):
        Repository.open(tmp_path / "r").read_snapshot(first.snapshot)


def test_nothing_is_in_the_clear(tmp_path: Path) -> None:
    """Neither mail nor rows, addresses, or the hashes of mail."""
    site = FakeSite(mail={"ann@example.org": [b"a secret"]})
    taken = run(tmp_path / "r", site, TO_US)
    text = clear_text(tmp_path / "r")
    for part in (b"a secret", b"ann@example.org", b"accounts", b"MRPK"):
        assert part not in text
    repository = Repository.open(tmp_path / "r", OURS)
    assert all(one.encode() not in text for one in repository.read_snapshot(taken.snapshot).objects())
    assert verify(repository, read_data=True).damaged == ()


def test_who_only_writes_needs_no_key(tmp_path: Path) -> None:
    """What the machine wrote it remembers, and cannot read; with the memory gone it starts anew."""
    cache = tmp_path / "cache"
    site = FakeSite(mail={"ann@x": [b"one"], "bob@x": [b"two"]})
    first = run(tmp_path / "r", site, TO_US, cache)
    assert first.objects_new == 6
    site.mail["ann@x"].append(b"three")
    assert run(tmp_path / "r", site, TO_US, cache).objects_new == 2
    blind = Repository.open(tmp_path / "r", None, cache)
    with pytest.raises(Forbidden):
        blind.read_object(blind.read_snapshot(first.snapshot).accounts[0].objects[0])
    for path in cache.rglob("*"):
        if path.is_file():
            path.unlink()
    assert run(tmp_path / "r", site, TO_US, cache).objects_new == 7
    repository = Repository.open(tmp_path / "r", OURS)
    assert verify(repository, read_data=True).damaged == ()
    assert mail_in(repository, repository.find_snapshot("")) == site.mail


def test_what_the_site_remembers_is_not_called_the_repository(tmp_path: Path) -> None:
    """Where its place cannot be used, that is no fault of the repository."""
    cache = tmp_path / "cache"
    cache.write_text("no directory")
    site = FakeSite(mail={"ann@x": [b"a secret"]})
    with pytest.raises(StorageDown, match="remembers of its backups") as found:
        run(tmp_path / "r", site, TO_US, cache)
    assert Path(str(found.value.values["path"])).is_relative_to(cache)
    with pytest.raises(DiskFull, match="remembers of its backups"), on_disk(cache, "backup_cache"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as a write does, which names no file


def test_pruning_needs_the_key(tmp_path: Path) -> None:
    """And does it."""
    _, names = fill(tmp_path / "r", 5, TO_US)
    blind = Repository.open(tmp_path / "r")
    with pytest.raises(Forbidden):
        plan(blind, Keep(last=1))
    repository = Repository.open(tmp_path / "r", OURS)
    with repository.writing(deleting=True) as writer:
        assert execute(writer, plan(repository, Keep(last=1))) > 0
    repository = Repository.open(tmp_path / "r", OURS)
    assert repository.snapshot_names() == names[-1:]
    assert verify(repository, read_data=True).damaged == ()


@pytest.mark.parametrize(
    ("made", "used", "error"),
    [
        (None, TO_US, Conflict),
        (None, Keys(passphrase="x"), Conflict),
        (TO_US, Keys(identities=(new_identity()[0],)), Forbidden),
        (TO_US, Keys(recipients=(new_identity()[1],)), Conflict),
        (TO_US, Keys(identities=("nonsense",)), Usage),
        (TO_US, Keys(recipients=("age1nonsense",)), Conflict),
    ],
    ids=range(6),
)
def test_wrong_keys_are_refused(
    tmp_path: Path, made: Keys | None, used: Keys, error: type[Exception]
) -> None:
    """Before anything is written."""
    run(tmp_path / "r", FakeSite(mail={"ann@x": [b"m"]}), made)
    before = clear_text(tmp_path / "r")
    with pytest.raises(error):
        Repository.create(tmp_path / "r", used)
    assert clear_text(tmp_path / "r") == before


@pytest.mark.parametrize("keys", [Keys(recipients=("age1x",)), OURS], ids=["no recipient", "identity only"])
def test_no_repository_is_made_for_nobody(tmp_path: Path, keys: Keys) -> None:
    """A recipient that is none, or an identity alone."""
    with pytest.raises(Usage):
        Repository.create(tmp_path / "r", keys)
    assert not (tmp_path / "r" / CONFIG).exists()


@pytest.mark.parametrize("kind", ["packs/*/*", "index/*", "snapshots/*"])
def test_a_flipped_bit_is_found_in_encrypted_files_too(tmp_path: Path, kind: str) -> None:
    """By the name of the file, and by age itself."""
    run(tmp_path / "r", FakeSite(mail={"ann@x": [b"m" * 1000]}), TO_US)
    path = max((tmp_path / "r").glob(kind), key=lambda one: one.stat().st_size)
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    found = verify(Repository.open(tmp_path / "r", OURS), read_data=True)
    assert any(path.name.startswith(one.name) for one in found.damaged)


def test_a_damaged_pack_of_ciphertext_gives_nothing(tmp_path: Path) -> None:
    """Not even what was decrypted before the damage."""
    taken = run(tmp_path / "r", FakeSite(mail={"ann@x": [bytes(300_000)]}), TO_US)
    for path in (tmp_path / "r").glob("packs/*/*"):
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    repository = Repository.open(tmp_path / "r", OURS)
    with pytest.raises(Damaged):
        mail_in(repository, taken.snapshot)


def test_age_opens_every_file(tmp_path: Path) -> None:
    """With the command of that name, and then it is the plain format; a second reader finds the mail."""
    site = FakeSite(mail={"ann@x": [b"to be read with age"]})
    taken = run(tmp_path / "r", site, TO_US)
    reader = Reader(tmp_path / "r", [IDENTITY])
    (account,) = reader.snapshot(taken.snapshot)["accounts"]
    (row,) = reader.rows(account["objects"], "message")
    assert reader.object(row["sha256"]) == b"to be read with age"
    age = shutil.which("age")
    if age is None:
        pytest.skip("age is not installed")
    (tmp_path / "key").write_text(IDENTITY)
    for path in (tmp_path / "r").rglob("*.age"):
        done = subprocess.run([age, "-d", "-i", tmp_path / "key", path], capture_output=True, check=True)
        assert done.stdout
    assert not (tmp_path / "r" / KEY).exists()
