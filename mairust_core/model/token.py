"""API keys: `mk_<public id>_<secret>`, of which only a hash of the secret is kept (contract §3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from mairust_core.errors import Invalid
from mairust_core.model.forms import request
from mairust_core.model.principal import ReachKind, Scope

MAX_NAME_LENGTH = 200


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
            raise Invalid("name", f"it is not a line of 1 to {MAX_NAME_LENGTH} printable characters")
        object.__setattr__(self, "scopes", tuple(dict.fromkeys(Scope(s) for s in self.scopes)))
        if not self.scopes:
            raise Invalid("scopes", "a key needs at least one scope", "choose of read, write, send, admin")
        if (self.reach is ReachKind.SITE) != (self.subject is None):
            raise Invalid("subject", "domain and account reach need a subject, site reach has none")
        if self.expires_at is not None and self.expires_at.tzinfo is None:
            raise Invalid("expires_at", "it has no time zone", "write it like 2027-01-31T00:00:00Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A new key with its secret, shown this once."""

    token: Token
    key: str = field(repr=False)
