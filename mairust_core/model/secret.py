"""Stored secrets, as far as they may be seen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A secret as it is stored: the master key's id, the wrapped data key, the encrypted secret."""

    key_id: str
    wrapped_key: bytes
    ciphertext: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A stored secret without its content; `key_id` names the master key it is under."""

    name: str
    key_id: str
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsStatus:
    """Which master key is in force, and what waits for it."""

    key_id: str
    """Empty before the first secret is stored."""
    file_keys: tuple[str, ...]
    """The keys in this machine's file, the newest last; two while a rotation is prepared or unfinished."""
    secrets: int
    waiting: int
    """Secrets still under another master key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """What a rotation did: the master key in force now, and how many secrets this run brought under it."""

    key_id: str
    rewrapped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The master key that the next rotation puts in force; it is in this machine's file already."""

    key_id: str
