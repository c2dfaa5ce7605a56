"""Operations on the record of which plugin saw which mail (B-5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mairust_core import store
from mairust_core.errors import NotFound
from mairust_core.model.forms import DEFAULT_LIMIT, Page
from mairust_core.model.ids import Id
from mairust_core.model.moment import Moment, ms_of
from mairust_core.model.plugin_life import PluginAccess
from mairust_core.model.principal import Scope
from mairust_core.operations import Service, operation
from mairust_core.services.pages import cut, limited

if TYPE_CHECKING:
    from mairust_core.store.plugin_accesses import Sought


class Accesses(Service):
    """Which plugin saw which mail, and what of it; kept for a year, also when plugin or mail are gone."""

    @operation("GET", "/plugins/{id}/accesses", scope=Scope.READ)
    def of_plugin(
        self, id: str, *, since: Moment | None = None, cursor: str = "", limit: int = DEFAULT_LIMIT
    ) -> Page[PluginAccess]:
        """List which mail a plugin saw, newest first.

        A key with domain or account reach is told of its own accounts only. A plugin that nobody knows saw
        none: it may have been removed.
        """
        return self._page(
            store.plugin_accesses.Sought(plugin=id, since_ms=ms_of(since, "since")), cursor, limit
        )

    @operation("GET", "/messages/{id}/accesses", scope=Scope.READ, errors=(NotFound,))
    def of_message(self, id: str, *, cursor: str = "", limit: int = DEFAULT_LIMIT) -> Page[PluginAccess]:
        """List which plugins saw a message, newest first; also one that is deleted for good.

        A key with domain or account reach finds messages that are still there.
        """
        message_id = int(Id.parse(id))
        found = self._page(store.plugin_accesses.Sought(message_id=message_id), cursor, limit)
        if not found.items and not cursor:
            with self.site.storage.read() as tx:
                if store.plugin_accesses.owner_of(tx, self.by, message_id) is None:
                    raise NotFound("message", id=id[:40])
        return found

    @operation("GET", "/accounts/{address:path}/accesses", scope=Scope.READ, errors=(NotFound,))
    def of_account(
        self, address: str, *, since: Moment | None = None, cursor: str = "", limit: int = DEFAULT_LIMIT
    ) -> Page[PluginAccess]:
        """List which plugins saw an account's mail, and which, newest first."""
        with self.site.storage.read() as tx:
            account = store.accounts.get(tx, self.by, address)
        return self._page(
            store.plugin_accesses.Sought(account_id=account.id, since_ms=ms_of(since, "since")), cursor, limit
        )

    def _page(self, sought: Sought, cursor: str, limit: int) -> Page[PluginAccess]:
        with self.site.storage.read() as tx:
            found = store.plugin_accesses.page(tx, self.by, sought, cursor, limited(limit) + 1)
        return cut(found, limit, lambda last: str(int(last.id)))
