"""What a request under an `Idempotency-Key` leaves behind, so that it can be repeated: who asked what."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

KEPT_MS = 86_400_000
"""A key means the same request for a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One request under an `Idempotency-Key`; of the key a hash, `fingerprint` that of the request."""

    tenant_id: int
    principal: str
    key_hash: bytes
    fingerprint: bytes

    @property
    def secret_name(self) -> str:
        """Under which name an answer that holds a secret is stored."""
        whole = f"{self.principal}\0".encode() + self.key_hash
        return f"~idempotency/{hashlib.sha256(whole).hexdigest()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is known of a request that came before: its fingerprint, and what it made or answered."""

    fingerprint: bytes
    subject: str | None
    """The id of what was made, when the answer is made from it."""
    answer: bytes | None
    sealed: bool
    """The answer is a stored secret."""
