"""Envelope encryption: what opens, and what does not any more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mairust_core.vault.envelope import MasterKey, Unopened, open_sealed, rewrap, seal

MASTER = MasterKey.new()
DATA = b"the secret of a plugin"


def changed(data: bytes, at: int) -> bytes:
    """The same bytes with one bit turned over."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("data", [b"", DATA, bytes(range(256)) * 64])
def test_what_is_sealed_opens_again(data: bytes) -> None:
    """Under the same key, tenant and name; and nothing of it is in the row."""
    sealed = seal(MASTER, 1, "a", data)
    assert open_sealed(MASTER, 1, "a", sealed) == data
    assert not data or data not in sealed.ciphertext + sealed.wrapped_key
    assert sealed.key_id == MASTER.id


def test_no_two_are_alike() -> None:
    """The same secret twice: another data key, other nonces."""
    one, other = (seal(MASTER, 1, "a", DATA) for _ in range(2))
    assert one.ciphertext != other.ciphertext
    assert one.wrapped_key[12:] != other.wrapped_key[12:]


@pytest.mark.parametrize(("tenant_id", "name"), [(2, "a"), (1, "b"), (1, "a\0"), (11, "a")])
def test_a_row_under_another_name_or_tenant_does_not_open(tenant_id: int, name: str) -> None:
    """Both are bound into the encryption."""
    with pytest.raises(Unopened):
        open_sealed(MASTER, tenant_id, name, seal(MASTER, 1, "a", DATA))


@pytest.mark.parametrize("at", [0, 11, 12, -1])
def test_a_changed_row_does_not_open(at: int) -> None:
    """Neither with another nonce, nor with another bit anywhere."""
    sealed = seal(MASTER, 1, "a", DATA)
    for broken in (
        replace(sealed, ciphertext=changed(sealed.ciphertext, at % len(sealed.ciphertext))),
        replace(sealed, wrapped_key=changed(sealed.wrapped_key, at % len(sealed.wrapped_key))),
        replace(sealed, ciphertext=sealed.ciphertext[:10]),
        replace(sealed, wrapped_key=b""),
    ):
        with pytest.raises(Unopened):
            open_sealed(MASTER, 1, "a", broken)


def test_parts_of_two_secrets_do_not_fit_together() -> None:
    """The data key of one does not open the other, though both bear the same name."""
    one, other = seal(MASTER, 1, "a", DATA), seal(MASTER, 1, "a", b"older")
    with pytest.raises(Unopened):
        open_sealed(MASTER, 1, "a", replace(one, ciphertext=other.ciphertext))


def test_rewrapping_changes_the_key_and_nothing_else() -> None:
    """The old master key opens it no more, the new one does, and the secret's own bytes stay."""
    new = MasterKey.new()
    sealed = seal(MASTER, 1, "a", DATA)
    moved = replace(sealed, key_id=new.id, wrapped_key=rewrap(MASTER, new, 1, "a", sealed.wrapped_key))
    assert open_sealed(new, 1, "a", moved) == DATA
    with pytest.raises(Unopened):
        open_sealed(MASTER, 1, "a", moved)
    with pytest.raises(Unopened):
        rewrap(new, MASTER, 1, "a", sealed.wrapped_key)


def test_trap_a3_a_master_key_does_not_show_itself() -> None:
    """Its id is no part of it, and `repr` has the id only."""
    assert MASTER.key.hex() not in repr(MASTER)
    assert MASTER.id not in MASTER.key.hex()
    assert MasterKey.of(MASTER.key).id == MASTER.id != MasterKey.new().id
