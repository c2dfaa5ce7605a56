"""API keys: `mk_<public id>_<secret>`, of which only a hash of the secret is kept (contract §3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from mairust_core.errors import Invalid
from mairust_core.model.forms import request, values_of
from mairust_core.model.principal import ReachKind, Scope

MAX_NAME_LENGTH = 200
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
"""Between these a key may expire: no time zone and no rounding leads out of what a datetime holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An API key without its secret; `id` is the public part, `subject` the domain or address it reaches."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    reach: ReachKind
    subject: str | None
    expires_at: datetime | None
    revoked: bool
    created_at: datetime


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """What is needed to create a key; it can never exceed the key or person that creates it."""

    name: str
    scopes: tuple[Scope, ...]
    reach: ReachKind = ReachKind.SITE
    subject: str | None = None
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        if not self.name.isprintable() or not 1 <= len(self.name) <= MAX_NAME_LENGTH:
            raise Invalid("name", "not_a_line", limit=MAX_NAME_LENGTH)
        object.__setattr__(self, "scopes", tuple(dict.fromkeys(Scope(s) for s in self.scopes)))
        if not self.scopes:
            raise Invalid("scopes", "no_scope", known=", ".join(Scope))
        if (self.reach is ReachKind.SITE) != (self.subject is None):
            raise Invalid("subject", "reach_subject")
        if self.expires_at is not None:
            object.__setattr__(self, "expires_at", _utc(self.expires_at))


def _utc(at: datetime) -> datetime:
    """The same moment in UTC; raises `Invalid` for one that not every zone and database can tell."""
    if at.tzinfo is None:
        raise Invalid("expires_at", "no_time_zone")
    try:
        moment = at.astimezone(UTC)
    except OverflowError:
        moment = LAST
    if not FIRST <= moment < LAST:
        raise Invalid("expires_at", "time_range")
    return moment


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken(Token):
    """A new key with its secret, shown this once; `token` says all but the secret once more."""

    token: Token
    key: str = field(repr=False)

    @classmethod
    def of(cls, token: Token, key: str) -> IssuedToken:
        """This key, which is `key` in full."""
        return cls(**values_of(token), token=token, key=key)
