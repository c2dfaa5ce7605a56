"""Operations on tokens of plugins (rule G3, R-TOK-1)."""

from __future__ import annotations

from mairust_core import store
from mairust_core.errors import Conflict, NotFound
from mairust_core.model.forms import DEFAULT_LIMIT, Page
from mairust_core.model.plugin_life import IssuedPluginToken, NewPluginToken, PluginToken
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.operations import Service, operation
from mairust_core.services.changes import change
from mairust_core.services.pages import cut, limited

ADMIN, SITE = Scope.ADMIN, ReachKind.SITE
_OF = "/plugins/{id}/tokens"


class PluginTokens(Service):
    """Tokens with which plugins come back: short-lived, each for what it names, revoked by their id."""

    @operation("POST", _OF, scope=ADMIN, reach=SITE, status=201, errors=(NotFound, Conflict))
    def create(self, id: str, new: NewPluginToken) -> IssuedPluginToken:
        """Issue a token to a plugin, shown this once; it is good for an hour at the most.

        Scope `metrics` lets it tell numbers of itself; `callback` lets it say more of one delivery, once,
        beside or in place of the token that went with it.
        """
        office = self.site.token_office
        office.open()
        with change(self, "create", id) as tx:
            return office.issue(tx, self.by, id, new)

    @operation("GET", _OF, scope=ADMIN, reach=SITE, errors=(NotFound,))
    def browse(self, id: str, *, cursor: str = "", limit: int = DEFAULT_LIMIT) -> Page[PluginToken]:
        """List the tokens that were issued to a plugin, or revoked, without the tokens themselves."""
        with self.site.storage.read() as tx:
            found = store.plugin_tokens.page(tx, self.by, id, cursor, limited(limit) + 1)
            if not found:
                store.plugins.get(tx, self.by, id)
        return cut(found, limit, lambda last: last.id)

    @operation("POST", f"{_OF}/{{jti}}/reissue", scope=ADMIN, reach=SITE, errors=(NotFound, Conflict))
    def reissue(self, id: str, jti: str) -> IssuedPluginToken:
        """Issue a token once more for an hour, under another id; the one before is revoked."""
        office = self.site.token_office
        office.open()
        with change(self, "reissue", jti[:300]) as tx:
            return office.reissue(tx, self.by, id, jti)

    @operation("DELETE", f"{_OF}/{{jti}}", scope=ADMIN, reach=SITE, errors=(NotFound,))
    def revoke(self, id: str, jti: str) -> PluginToken:
        """Revoke a token by its id, at once: one that was issued, or that of a delivery."""
        with change(self, "revoke", jti[:300]) as tx:
            return self.site.token_office.revoke(tx, self.by, id, jti)
