"""Operations on API keys (rule G4, trap A1)."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime

from mairust_core import store
from mairust_core.errors import Forbidden, Invalid, NotFound
from mairust_core.model.forms import DEFAULT_LIMIT, Page
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.model.token import IssuedToken, NewToken, Token
from mairust_core.operations import Service, operation
from mairust_core.services.changes import change
from mairust_core.services.pages import cut, limited
from mairust_core.wire import encode_time

PREFIX = "mk"


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
        public_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32).replace("_", "-")
        with change(self, "create", public_id) as tx:
            token = store.tokens.add(tx, self.by, public_id, hash_secret(secret), new)
        return IssuedToken(token=token, key=f"{PREFIX}_{public_id}_{secret}")

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
            return store.tokens.revoke(tx, self.by, id)


def hash_secret(secret: str) -> bytes:
    """What is stored of a secret: 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).digest()
