"""Accounts: who owns mail."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from mairust_core.errors import Invalid
from mairust_core.model.address import Address
from mairust_core.model.forms import UNSET, Unset, request, unset
from mairust_core.model.ids import Id

MIN_PASSWORD_LENGTH = 8
MAX_PASSWORD_LENGTH = 1024
"""Longer ones only cost hashing time."""
MAX_QUOTA_BYTES = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person or programme with mailboxes; sizes in bytes, `quota_bytes` null for no limit."""

    id: Id
    address: str
    admin: bool
    enabled: bool
    quota_bytes: int | None
    used_bytes: int
    messages: int
    created_at: datetime


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """What is needed to add an account; without a password nobody can log in to it."""

    address: str
    password: str | None = field(default=None, repr=False)
    admin: bool = False
    quota_bytes: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "address", str(Address.parse(self.address)))
        if "+" in Address.parse(self.address).local:
            raise Invalid("address", "plus_detail")
        if self.password is not None:
            _check_password(self.password)
        if self.quota_bytes is not None:
            _check_quota(self.quota_bytes)


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChange:
    """What to change of an account; what is left out stays. `quota_bytes` null takes the limit away."""

    quota_bytes: int | Unset | None = field(default_factory=unset)
    admin: bool | Unset = field(default_factory=unset)

    def __post_init__(self) -> None:
        if self.quota_bytes is not None and self.quota_bytes is not UNSET:
            _check_quota(self.quota_bytes)


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class NewPassword:
    """The password that holds from now on."""

    password: str = field(repr=False)

    def __post_init__(self) -> None:
        _check_password(self.password)


def _check_password(password: str) -> None:
    if len(password) < MIN_PASSWORD_LENGTH:
        raise Invalid("password", "too_short", limit=MIN_PASSWORD_LENGTH)
    if len(password) > MAX_PASSWORD_LENGTH:
        raise Invalid("password", "too_long", limit=MAX_PASSWORD_LENGTH)


def _check_quota(quota_bytes: int) -> None:
    if quota_bytes < 0:
        raise Invalid("quota_bytes", "negative")
    if quota_bytes > MAX_QUOTA_BYTES:
        raise Invalid("quota_bytes", "too_big", limit=MAX_QUOTA_BYTES)
