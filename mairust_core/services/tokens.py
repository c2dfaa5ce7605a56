"""Operations on API keys (rule G4, trap A1)."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mairust_core import store
from mairust_core.errors import Forbidden, Invalid, NotFound
from mairust_core.model.audit import EntryDetails
from mairust_core.model.forms import DEFAULT_LIMIT, Page
from mairust_core.model.ids import Id
from mairust_core.model.principal import Principal, ReachKind, Scope
from mairust_core.model.token import IssuedToken, NewToken, Token
from mairust_core.operations import Service, operation
from mairust_core.operations.asked import told
from mairust_core.services.changes import change, note_before
from mairust_core.services.pages import cut, limited
from mairust_core.wire import encode_time

if TYPE_CHECKING:
    from sqlalchemy import Connection

PREFIX = "mk"
FIRST = "first administrator"


class Tokens(Service):
    """API keys with scopes and a reach."""

    @operation(
        "POST", "/tokens", scope=Scope.ADMIN, reach=ReachKind.DOMAIN, status=201, errors=(NotFound, Forbidden)
    )
    def create(self, new: NewToken) -> IssuedToken:
        """Create an API key; its secret is shown this once.

        Nobody creates a key that may do more, or reaches further, than they do themselves.
        """
        for scope in new.scopes:
            self.by.require(scope, new.reach)
        if new.expires_at is not None and new.expires_at <= datetime.now(UTC):
            raise Invalid("expires_at", "time_past", value=encode_time(new.expires_at))
        public_id, secret = _fresh()
        with change(self, "create", public_id) as tx:
            token = store.tokens.add(tx, self.by, public_id, hash_secret(secret), new)
        return IssuedToken.of(token, _key(public_id, secret))

    @operation("GET", "/tokens", scope=Scope.ADMIN, reach=ReachKind.DOMAIN)
    def browse(self, *, cursor: str = "", limit: int = DEFAULT_LIMIT) -> Page[Token]:
        """List the API keys in reach, without their secrets."""
        with self.site.storage.read() as tx:
            found = store.tokens.page(tx, self.by, cursor, limited(limit) + 1)
        return cut(found, limit, lambda last: last.id)

    @operation("DELETE", "/tokens/{id}", scope=Scope.ADMIN, reach=ReachKind.DOMAIN, errors=(NotFound,))
    def revoke(self, id: str) -> Token:
        """Revoke an API key; it is refused within a second."""
        with change(self, "revoke", id) as tx:
            note_before(store.tokens.get(tx, self.by, id, locked=True))
            return store.tokens.revoke(tx, self.by, id)


def first_key(tx: Connection, entry_id: Id, by: Principal) -> str:
    """The key of a site's first administrator, made and audited by the transaction that fills the site."""
    public_id, secret = _fresh()
    new = NewToken(name=FIRST, scopes=tuple(Scope))
    store.tokens.add(tx, by, public_id, hash_secret(secret), new)
    details = EntryDetails(asked=told(new))
    store.audits.record(tx, entry_id, by, f"{Tokens.noun}.create", public_id, details)
    store.generations.advance(tx)
    return _key(public_id, secret)


def _fresh() -> tuple[str, str]:
    return secrets.token_hex(8), secrets.token_urlsafe(32).replace("_", "-")


def _key(public_id: str, secret: str) -> str:
    return f"{PREFIX}_{public_id}_{secret}"


def hash_secret(secret: str) -> bytes:
    """What is stored of a secret: 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).digest()
