"""The key by which plugins know that a call is this site's, and this site its own tokens (rule G3).

Ed25519 (RFC 8032), made when the first token is needed, and `cryptography` loaded for it only then; stored
under envelope encryption. Its public half is what plugins fetch, a JSON Web Key (RFC 8037); it is known by
its thumbprint (RFC 7638).
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mairust_core.errors import NotFound
from mairust_core.store import StorageBackend, sites

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from sqlalchemy import Connection

    from mairust_core.vault import Vault

NAME = "site/plugin-key"
"""Under which name it is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """The key: `id` its thumbprint, `issuer` what tokens say of who made them."""

    id: str
    issuer: str
    private: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> Ed25519PublicKey:
        """The half that anybody may have."""
        return self.private.public_key()

    def jwk(self) -> dict[str, Any]:
        """The public half as a JSON Web Key."""
        return {**_members(self.public), "kid": self.id, "use": "sig", "alg": "EdDSA"}


class SiteKey:
    """The key of one site, read once. Thread-safe."""

    def __init__(self, storage: StorageBackend, vault: Vault, name: str = NAME) -> None:
        self._storage = storage
        self._vault = vault
        self._name = name
        self._lock = threading.Lock()
        self._key: Key | None = None

    def get(self) -> Key:
        """The key, made when there is none; raises `StorageDown`, `BadConfig` without its master key."""
        return self.find() or self._make()

    def find(self) -> Key | None:
        """The key, None before the first token was made."""
        with self._lock:
            if self._key is None:
                with self._storage.read() as tx:
                    self._key = self._read(tx)
            return self._key

    def _make(self) -> Key:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        with self._lock, self._storage.write() as tx:
            self._storage.serialise(tx, self._name)  # two processes may need the first one at once
            found = self._read(tx)
            if found is None:
                self._vault.put(tx, self._name, Ed25519PrivateKey.generate().private_bytes_raw())
                found = self._read(tx)
        assert found is not None
        self._key = found
        return found

    def _read(self, tx: Connection) -> Key | None:
        try:
            octets = self._vault.get(tx, self._name)
        except NotFound:
            return None
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        private = Ed25519PrivateKey.from_private_bytes(octets)
        text = json.dumps(_members(private.public_key()), sort_keys=True, separators=(",", ":"))
        return Key(
            id=_base64(hashlib.sha256(text.encode()).digest()),
            issuer=f"mairust:{sites.name(tx)}",
            private=private,
        )


def _members(public: Ed25519PublicKey) -> dict[str, str]:
    """What of a JSON Web Key is the key itself."""
    return {"crv": "Ed25519", "kty": "OKP", "x": _base64(public.public_bytes_raw())}


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
