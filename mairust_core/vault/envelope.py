"""Envelope encryption: a secret under a data key of its own, the data key under the master key.

Both are AES-256-GCM with a random 96-bit nonce in front (NIST SP 800-38D §8.2.2). A data key encrypts once,
so no nonce can repeat under it. What is encrypted is bound to tenant and name: a row that is moved to
another name, or into another tenant, opens no more.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field

from mairust_core.model.secret import Sealed

KEY_BYTES = 32
_NONCE_BYTES = 12


class Unopened(Exception):
    """What should be decrypted was changed, is of another name, or needs another key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterKey:
    """A master key; `id` is part of its hash, by which rows say which one they need."""

    id: str
    key: bytes = field(repr=False)

    @classmethod
    def of(cls, key: bytes) -> MasterKey:
        """The master key of these 32 bytes."""
        return cls(id=hashlib.sha256(b"mairust master key\0" + key).hexdigest()[:16], key=key)

    @classmethod
    def new(cls) -> MasterKey:
        """A random one."""
        return cls.of(secrets.token_bytes(KEY_BYTES))


def seal(master: MasterKey, tenant_id: int, name: str, data: bytes) -> Sealed:
    """Encrypt a secret under a new data key."""
    data_key = secrets.token_bytes(KEY_BYTES)
    ciphertext = _encrypt(data_key, data, _bound("secret", tenant_id, name))
    return Sealed(
        key_id=master.id, wrapped_key=_wrap(master, tenant_id, name, data_key), ciphertext=ciphertext
    )


def open_sealed(master: MasterKey, tenant_id: int, name: str, sealed: Sealed) -> bytes:
    """The secret; raises `Unopened`."""
    data_key = _decrypt(master.key, sealed.wrapped_key, _bound(f"key {master.id}", tenant_id, name))
    return _decrypt(data_key, sealed.ciphertext, _bound("secret", tenant_id, name))


def rewrap(old: MasterKey, new: MasterKey, tenant_id: int, name: str, wrapped_key: bytes) -> bytes:
    """The data key under another master key, the secret itself untouched; raises `Unopened`."""
    data_key = _decrypt(old.key, wrapped_key, _bound(f"key {old.id}", tenant_id, name))
    return _wrap(new, tenant_id, name, data_key)


def _wrap(master: MasterKey, tenant_id: int, name: str, data_key: bytes) -> bytes:
    return _encrypt(master.key, data_key, _bound(f"key {master.id}", tenant_id, name))


def _bound(what: str, tenant_id: int, name: str) -> bytes:
    return f"mairust 1\0{what}\0{tenant_id}\0{name}".encode()


def _encrypt(key: bytes, data: bytes, bound: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # slow: who reads only an id needs none

    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, bound)


def _decrypt(key: bytes, data: bytes, bound: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], bound)
    except (InvalidTag, ValueError) as error:
        raise Unopened from error
