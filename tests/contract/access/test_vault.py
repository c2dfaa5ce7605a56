"""Stored secrets, and the rotation of the key above them, on both databases."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest
from sqlalchemy import select, update

from mairust_core.app import Site, opened
from mairust_core.config import Settings
from mairust_core.errors import BadConfig, Damaged, Invalid, Locked, NotFound
from mairust_core.ids import now_ms
from mairust_core.model.principal import Principal
from mairust_core.services.secrets import Secrets
from mairust_core.store import secrets as rows
from mairust_core.store.tables import secret, tenant
from mairust_core.vault import MAX_SECRET_BYTES, rotation
from tests.support.postgres import end_sessions_with_locks

BY = Principal.local("tester")


def put(site: Site, name: str, data: bytes) -> None:
    """Store a secret in a transaction of its own."""
    with site.storage.write() as tx:
        site.secrets.put(tx, name, data)


def get(site: Site, name: str) -> bytes:
    """A secret."""
    with site.storage.read() as tx:
        return site.secrets.get(tx, name)


def key_ids(site: Site) -> set[str]:
    """The master keys that rows are under."""
    with site.storage.read() as tx:
        return set(tx.execute(select(secret.c.key_id)).scalars())


def test_a_secret_is_put_read_replaced_and_deleted(site: Site) -> None:
    """By its name; the row has nothing of it in the clear."""
    put(site, "plugin/a", b"one")
    put(site, "plugin/a", b"two")
    assert get(site, "plugin/a") == b"two"
    with site.storage.write() as tx:
        row = tx.execute(select(secret)).one()
        assert b"two" not in bytes(row.ciphertext) + bytes(row.wrapped_key)
        assert site.secrets.delete(tx, "plugin/a")
        assert not site.secrets.delete(tx, "plugin/a")
        with pytest.raises(NotFound, match="no secret plugin/a"):
            site.secrets.get(tx, "plugin/a")


def test_a_secret_belongs_to_the_transaction(site: Site) -> None:
    """What is undone leaves none."""
    with suppress(ZeroDivisionError), site.storage.write() as tx:
        site.secrets.put(tx, "a", b"x")
        raise ZeroDivisionError
    with pytest.raises(NotFound):
        get(site, "a")


def test_a_secret_ends_at_its_time(site: Site) -> None:
    """From then on it is not there; collection deletes its row."""
    with site.storage.write() as tx:
        site.secrets.put(tx, "a", b"x", expires_ms=1)
        site.secrets.put(tx, "b", b"y", expires_ms=now_ms() + 60_000)
    with pytest.raises(NotFound):
        get(site, "a")
    assert get(site, "b") == b"y"
    assert site.collect().expired == 1
    assert [one.name for one in site.service(Secrets, BY).browse().items] == ["b"]


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb", "a\x1b[31m", "a\u202eb"])
def test_a_name_is_one_printable_line(site: Site, name: str) -> None:
    """Control characters would reach a terminal."""
    with pytest.raises(Invalid, match="printable"):
        put(site, name, b"x")


def test_a_secret_has_a_bound(site: Site) -> None:
    """1 MiB goes in, a byte more does not."""
    put(site, "a", bytes(MAX_SECRET_BYTES))
    assert len(get(site, "a")) == MAX_SECRET_BYTES
    with pytest.raises(Invalid, match="larger"):
        put(site, "a", bytes(MAX_SECRET_BYTES + 1))


def test_trap_a2_a_row_moved_to_another_name_or_tenant_does_not_open(site: Site) -> None:
    """Whoever can write the database cannot make one secret pass for another."""
    put(site, "a", b"x")
    put(site, "b", b"y")
    with site.storage.write() as tx:
        tx.execute(tenant.insert().values(id=2, name="other"))
        with pytest.raises(NotFound):
            site.secrets.get(tx, "a", tenant_id=2)
        tx.execute(update(secret).where(secret.c.name == "a").values(name="c"))
        tx.execute(update(secret).where(secret.c.name == "b").values(tenant_id=2))
    with site.storage.read() as tx:
        for name, tenant_id in (("c", 1), ("b", 2)):
            with pytest.raises(Damaged, match=f"secret {name}"):
                site.secrets.get(tx, name, tenant_id=tenant_id)


def test_rotation_keeps_every_secret_and_no_old_key(site: Site) -> None:
    """More than one transaction's worth, with an internal one among them."""
    names = [f"s{number}" for number in range(rotation.BATCH + 3)] + ["~internal"]
    for name in names:
        put(site, name, name.encode())
    old = site.secrets.file.newest()
    done = site.service(Secrets, BY).rotate_master()
    assert done.rewrapped == len(names)
    assert done.key_id != old.id
    assert key_ids(site) == {done.key_id} == set(site.secrets.file.keys())
    assert all(get(site, name) == name.encode() for name in names)
    status = site.service(Secrets, BY).status()
    assert (status.key_id, status.secrets, status.waiting) == (done.key_id, len(names), 0)
    put(site, "later", b"x")
    assert key_ids(site) == {done.key_id}
    listed = site.service(Secrets, BY).browse(limit=500).items
    assert {one.name for one in listed} == {*names, "later"} - {"~internal"}


def test_every_process_uses_a_new_key_at_once(site: Site, site_settings: Settings) -> None:
    """One that was open before the rotation reads what is under the new key, and writes under it."""
    put(site, "a", b"x")
    with opened(site_settings) as elsewhere:
        assert get(elsewhere, "a") == b"x"
        done = site.rotate_master_key()
        assert get(elsewhere, "a") == b"x"
        put(elsewhere, "b", b"y")
    assert key_ids(site) == {done.key_id}
    assert get(site, "b") == b"y"


def test_secrets_put_while_it_rotates_are_not_lost(site: Site, site_settings: Settings) -> None:
    """Writers that go on through three rotations find all they wrote."""
    ended = threading.Event()
    written: list[str] = []

    def write() -> None:
        with opened(site_settings) as elsewhere:
            while not ended.is_set() or not written:
                name = f"s{len(written)}"
                put(elsewhere, name, name.encode())
                written.append(name)

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(3):
        site.rotate_master_key()
    ended.set()
    writer.join()
    assert all(get(site, name) == name.encode() for name in written)
    assert len(site.secrets.file.keys()) == 1


def test_a_prepared_key_is_the_one_that_comes_into_force(site: Site) -> None:
    """Preparing twice prepares once; until the rotation the old key is in force."""
    put(site, "a", b"x")
    old = site.secrets.file.newest()
    secrets = site.service(Secrets, BY)
    prepared = secrets.prepare_master()
    assert secrets.prepare_master() == prepared
    put(site, "b", b"y")
    assert key_ids(site) == {old.id}
    assert secrets.status().file_keys == (old.id, prepared.key_id)
    assert secrets.rotate_master().key_id == prepared.key_id
    assert (get(site, "a"), get(site, "b")) == (b"x", b"y")


def test_a_machine_without_the_key_in_force_says_so_and_mends_itself(
    site: Site, site_settings: Settings
) -> None:
    """Its file is an old copy until somebody brings the new one."""
    put(site, "a", b"x")
    path = site_settings.secrets.master_key_file
    old = path.read_bytes()
    site.rotate_master_key()
    new = path.read_bytes()
    path.write_bytes(old)
    with opened(site_settings) as elsewhere:
        for use in (
            lambda: get(elsewhere, "a"),
            lambda: put(elsewhere, "b", b"y"),
            elsewhere.rotate_master_key,
        ):
            with pytest.raises(BadConfig, match="rotated on another machine"):
                use()
        assert path.read_bytes() == old
        path.write_bytes(new)
        assert get(elsewhere, "a") == b"x"


def test_one_rotation_at_a_time(site: Site) -> None:
    """The second is told so, and nothing happens."""
    before = site.settings.secrets.master_key_file.read_bytes()
    with site.storage.alone(rotation.TASK):
        for use in (site.rotate_master_key, site.prepare_master_key):
            with pytest.raises(Locked):
                use()
    assert site.settings.secrets.master_key_file.read_bytes() == before


@pytest.mark.parametrize("site_settings", ["postgresql"], indirect=True)
def test_a_rotation_whose_lock_the_database_lost_leaves_the_rest_to_the_next(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would have taken the key out of the file that the others put in force meanwhile."""
    put(site, "a", b"x")
    others = list[str]()

    def at(step: str) -> None:
        if step == "secrets.all_rewrapped" and not others:
            others.append("")
            end_sessions_with_locks(site.settings.database.url)
            others.append(site.rotate_master_key().key_id)  # completes the first
            others.append(site.rotate_master_key().key_id)

    monkeypatch.setattr(rotation, "crash_point", at)
    with pytest.raises(Locked):
        site.rotate_master_key()
    assert list(site.secrets.file.keys()) == others[2:]
    assert key_ids(site) == set(others[2:])
    assert get(site, "a") == b"x"


def test_a_damaged_row_stops_it_before_the_old_key_is_gone(site: Site) -> None:
    """It names the secret; mended or deleted, the rotation is completed."""
    put(site, "a", b"x")
    put(site, "b", b"y")
    with site.storage.write() as tx:
        tx.execute(update(secret).where(secret.c.name == "a").values(wrapped_key=b"junk"))
    with pytest.raises(Damaged, match="secret a"):
        site.rotate_master_key()
    assert len(site.secrets.file.keys()) == 2
    assert get(site, "b") == b"y"
    with site.storage.write() as tx:
        assert rows.remove(tx, 1, "a")
    assert site.rotate_master_key().rewrapped == 1
    assert len(site.secrets.file.keys()) == 1
    assert get(site, "b") == b"y"
