"""Who acts, and how far their power goes (rule G4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mairust_core.errors import Forbidden
from mairust_core.model.ids import Id

DEFAULT_TENANT = 1


class Scope(StrEnum):
    """What a credential may do; `admin` includes `read` and `write`."""

    READ = "read"
    WRITE = "write"
    SEND = "send"
    ADMIN = "admin"


class ReachKind(StrEnum):
    """How much of the site a credential sees, widest first."""

    SITE = "site"
    DOMAIN = "domain"
    ACCOUNT = "account"


_WIDTH = {ReachKind.ACCOUNT: 0, ReachKind.DOMAIN: 1, ReachKind.SITE: 2}
_INCLUDED = {Scope.ADMIN: frozenset({Scope.ADMIN, Scope.READ, Scope.WRITE})}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The part of the site: `id` is the domain's or the account's, None for the whole site."""

    kind: ReachKind = ReachKind.SITE
    id: Id | None = None

    def covers(self, kind: ReachKind) -> bool:
        """True when this reach is at least as wide as `kind`."""
        return _WIDTH[self.kind] >= _WIDTH[kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The caller of an operation: who (`name`, as audited), what (`scopes`), how far (`reach`)."""

    name: str
    scopes: frozenset[Scope]
    reach: Reach = Reach()
    tenant_id: int = DEFAULT_TENANT

    @classmethod
    def local(cls, os_user: str) -> Principal:
        """The owner of the data directory at a shell: everything, on the whole site."""
        return cls(name=f"local:{os_user}", scopes=frozenset(Scope))

    def may(self, scope: Scope) -> bool:
        """True when one of the scopes is, or includes, `scope`."""
        return any(scope == held or scope in _INCLUDED.get(held, ()) for held in self.scopes)

    def require(self, scope: Scope, reach: ReachKind) -> None:
        """Raise `Forbidden` unless the scope is held and the reach is wide enough."""
        if not self.may(scope):
            raise Forbidden("scope", scope=scope.value, who=self.name)
        if not self.reach.covers(reach):
            raise Forbidden("reach", reach=reach.value, who=self.name)
