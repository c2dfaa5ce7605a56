"""The configuration in force, over the API too."""

from __future__ import annotations

from dataclasses import replace

from mairust_core import store
from mairust_core.model.forms import Page
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.model.settings import Export, Setting
from mairust_core.operations import Service, operation

MAX_ITEMS = 10_000


class Config(Service):
    """The settings of the server that answers."""

    @operation("GET", "/config", scope=Scope.READ, reach=ReachKind.SITE)
    def show(self) -> Page[Setting]:
        """Show every setting in force and where it comes from; secrets are masked."""
        return Page(items=self.site.shown_settings())

    @operation("GET", "/config/export", scope=Scope.READ, reach=ReachKind.SITE)
    def export(self) -> Export:
        """Give all settings, hooks and plugin.toml files as one document, without what is secret."""
        with self.site.storage.read() as tx:
            return replace(
                self.site.exported_settings(),
                hooks=tuple(store.hooks.page(tx, self.by, "", "", MAX_ITEMS)),
                plugins=tuple(self.site.exported_plugins(tx, self.by, MAX_ITEMS)),
            )
