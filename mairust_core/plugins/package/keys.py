"""Keys that sign packages: Ed25519 (RFC 8032), each known by its id, in files that other tools read too.

A private key is PEM, PKCS #8 (RFC 5958), under a passphrase if one is given; a public one is PEM,
SubjectPublicKeyInfo (RFC 8410).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mairust_core.errors import Invalid

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64
MAX_FILE_BYTES = 16 * 1024
_PRIVATE, _ENCRYPTED, _PUBLIC = b"-----BEGIN PRIVATE", b"-----BEGIN ENCRYPTED", b"-----BEGIN PUBLIC"


def key_id(public: bytes) -> str:
    """What a key is called: the first 16 hex digits of the SHA-256 of its 32 public bytes."""
    return hashlib.sha256(public).hexdigest()[:16]


def generate() -> Ed25519PrivateKey:
    """A new key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.generate()


def public_of(private: Ed25519PrivateKey) -> bytes:
    """The 32 bytes that anybody may have."""
    return private.public_key().public_bytes_raw()


def private_pem(private: Ed25519PrivateKey, passphrase: str | None = None) -> bytes:
    """The file of a private key."""
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    lock = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)


def public_pem(public: bytes) -> bytes:
    """The file of a public key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = Ed25519PublicKey.from_public_bytes(public)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def is_private(pem: bytes) -> bool:
    """Whether a file holds a private key, encrypted or not."""
    return _PRIVATE in pem or _ENCRYPTED in pem


def is_encrypted(pem: bytes) -> bool:
    """Whether a passphrase is needed to read it."""
    return _ENCRYPTED in pem


def is_public(pem: bytes) -> bool:
    """Whether a file holds a public key."""
    return _PUBLIC in pem


def read_public(pem: bytes, where: str = "KEY.pub") -> bytes:
    """The 32 bytes of the public key in a file; raises `Invalid`."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if is_private(pem):
        raise Invalid("key", "key_is_private", where=where)
    try:
        found = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise Invalid("key", "key_not_public", where=where) from None
    if not isinstance(found, Ed25519PublicKey):
        raise Invalid("key", "key_not_public", where=where)
    return found.public_bytes_raw()


def read_private(pem: bytes, passphrase: str | None = None, where: str = "KEY") -> Ed25519PrivateKey:
    """The private key in a file; raises `Invalid`, also without the passphrase that it needs."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if is_encrypted(pem) and not passphrase:
        raise Invalid("key", "key_needs_passphrase", where=where)
    secret = passphrase.encode() if passphrase and is_encrypted(pem) else None
    try:
        found = load_pem_private_key(pem, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        detail = "key_wrong_passphrase" if secret else "key_not_private"
        raise Invalid("key", detail, where=where) from None
    if not isinstance(found, Ed25519PrivateKey):
        raise Invalid("key", "key_not_private", where=where)
    return found


def is_signed(signature: bytes, data: bytes, public: bytes) -> bool:
    """Whether the holder of this key signed exactly these bytes."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True
