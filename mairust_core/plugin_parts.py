"""The parts of a site that are about plugins; `app.py` has all others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from mairust_core.errors import Invalid

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from mairust_core.config import Settings
    from mairust_core.hooks.book import HookBook
    from mairust_core.hooks.credentials import Credentials
    from mairust_core.hooks.log import HookLog
    from mairust_core.hooks.ways import Ways
    from mairust_core.ids import IdSource
    from mairust_core.model.hook import Filter
    from mairust_core.model.isolation import Isolation
    from mairust_core.model.plugin import Manifest, Runnable
    from mairust_core.model.plugin_forms import Installed, Plugin
    from mairust_core.model.principal import Principal
    from mairust_core.model.settings import ExportedPlugin
    from mairust_core.operations import BytesIn
    from mairust_core.plugins.going_back import GoingBack
    from mairust_core.plugins.installing import Installer
    from mairust_core.plugins.issuing import TokenOffice
    from mairust_core.plugins.manifest import Ground
    from mairust_core.plugins.package.revocations import RevocationList
    from mairust_core.plugins.registry import Registry
    from mairust_core.plugins.revoking import Revoking
    from mairust_core.plugins.rotation import Secrets as PluginSecrets
    from mairust_core.plugins.site_key import SiteKey
    from mairust_core.plugins.trust import Trust
    from mairust_core.plugins.unpacked import Unpacked
    from mairust_core.store import StorageBackend
    from mairust_core.store.plugin_health import Checked
    from mairust_core.store.plugins import Registered
    from mairust_core.vault import Vault


class PluginParts:
    """What of a site is about plugins; every part that is not needed is never loaded."""

    settings: Settings
    storage: StorageBackend

    if TYPE_CHECKING:

        @property
        def ids(self) -> IdSource: ...

        @cached_property
        def secrets(self) -> Vault: ...

        @cached_property
        def ways_to_plugins(self) -> Ways: ...

    @cached_property
    def plugins(self) -> Registry:
        """What is registered, and with which rights."""
        from mairust_core.plugins.registry import Registry

        return Registry(self.settings.plugins, self.secrets, self.check_filter, self.isolation)

    def shown_plugins(self, tx: Connection, by: Principal, found: Sequence[Registered]) -> list[Plugin]:
        """Plugins as people see them."""
        from mairust_core.plugins.showing import shown

        return shown(tx, by, found, self.isolation)

    def exported_plugins(self, tx: Connection, by: Principal, limit: int) -> list[ExportedPlugin]:
        """The plugins that were approved, each with its plugin.toml."""
        from mairust_core.plugins.showing import exported

        return exported(tx, by, limit)

    def installed_plugin(self, tx: Connection, by: Principal, found: Registered) -> Installed:
        """What became of the version of a plugin that came in last."""
        from mairust_core.plugins.showing import installed

        return installed(tx, by, found, found.pending or found.shown)

    def isolation(self) -> Isolation:
        """How well local plugins are held by the server, or else here; tried out at the first call."""
        from mairust_core.sandbox.noted import isolation_on

        return isolation_on(self.settings)

    def read_plugin(self, directory: Path) -> Manifest:
        """The plugin.toml of a directory, judged; raises `Invalid`."""
        from mairust_core.plugins.manifest import read_directory

        return read_directory(directory, self._ground)

    @cached_property
    def _ground(self) -> Ground:
        from mairust_core.plugins.joined import ground_of

        return ground_of(self.settings)

    @cached_property
    def installer(self) -> Installer:
        """What takes packages in."""
        from mairust_core.plugins.arriving import Reader
        from mairust_core.plugins.installing import Installer

        reader = Reader(self.storage, self.settings.data_dir, self._ground)
        return Installer(self.storage, lambda: self.ids, self.plugins, reader, self._ground)

    @cached_property
    def going_back(self) -> GoingBack:
        """What leads back to the package that ran before."""
        from mairust_core.plugins.going_back import GoingBack

        return GoingBack(self.plugins, self._ground)

    @cached_property
    def unpacked(self) -> Unpacked:
        """The files of packages, on this node."""
        from mairust_core.plugins.unpacked import Unpacked

        return Unpacked(self.storage, self.settings.packages_dir)

    @cached_property
    def trust(self) -> Trust:
        """Whom to trust with plugins."""
        from mairust_core.plugins.trust import Trust

        return Trust(lambda: self.ids)

    @cached_property
    def revoking(self) -> Revoking:
        """What puts lists of revocations in force."""
        from mairust_core.plugins.revoking import Revoking

        return Revoking(self.storage, lambda: self.ids)

    def read_revocations(self, content: BytesIn) -> RevocationList:
        """The list of revocations that these bytes are; raises `TooLarge`, `Invalid`."""
        from mairust_core.plugins.revoking import read_revocations

        return read_revocations(content)

    def check_plugin_directory(self, directory: Path) -> None:
        """Raise `Invalid` for a directory that no plugin can be run from: the site's own, or exchangeable."""
        from mairust_core.sandbox.directories import Unsafe, identified, too_near
        from mairust_core.sandbox.site import hidden_paths

        if (path := too_near(directory, hidden_paths(self.settings))) is not None:
            raise Invalid("directory", "plugin_too_near", value=str(directory), path=str(path))
        try:
            identified(directory)
        except Unsafe as error:
            raise Invalid("directory", "plugin_unsafe", why=str(error)) from None

    def check_filter(self, wanted: Filter) -> None:
        """Raise `Invalid` for an expression that cannot be matched in linear time (trap H5)."""
        from mairust_core.hooks.filters import check

        check(wanted)

    def check_hook_name(self, name: str, plugin: str) -> None:
        """Raise `Invalid` for what cannot be the name of a hook of this plugin (rule J5)."""
        from mairust_core.plugins.identity import is_hook_name

        if not is_hook_name(name, plugin):
            raise Invalid("name", "hook_name", value=repr(name[:80]), plugin=plugin)

    def runnable(self, by: Principal, plugin: str) -> Runnable:
        """A plugin with its approved rights; raises `NotFound`, `Conflict` before its approval."""
        from mairust_core.plugins.book import runnable

        with self.storage.read() as tx:
            return runnable(tx, by, plugin, self.settings.packages_dir)

    def check_plugins(self, confirm: Callable[[Connection], None]) -> list[Checked]:
        """Ask plugins how they are, and write it down in a transaction that `confirm` may refuse."""
        from mairust_core.plugins.health import check_all

        return check_all(self.storage, self.ids, self.ways_to_plugins.health, confirm)

    @cached_property
    def plugin_secrets(self) -> PluginSecrets:
        """The shared secrets of plugins."""
        from mairust_core.plugins.rotation import Secrets

        return Secrets(self.storage, self.secrets)

    @cached_property
    def token_office(self) -> TokenOffice:
        """Where people issue tokens to plugins."""
        from mairust_core.plugins.issuing import TokenOffice

        return TokenOffice(self.plugin_key)

    @cached_property
    def hook_book(self) -> HookBook:
        """Which hooks there are, and the plugins that answer them."""
        from mairust_core.plugins.book import Book

        return Book(self.storage, self.settings.packages_dir)

    @cached_property
    def hook_log(self) -> HookLog:
        """Where is written down what came of each call of a hook."""
        from mairust_core.hooks.call_log import CallLog

        return CallLog(self.storage, lambda: self.ids)

    @cached_property
    def credentials(self) -> Credentials:
        """By what plugins know us, and we know them."""
        from mairust_core.plugins.credentials import SiteCredentials

        return SiteCredentials(
            self.storage, self.secrets, self.plugin_key, lambda: self.ways_to_plugins.callback_base()
        )

    @cached_property
    def plugin_key(self) -> SiteKey:
        """The key under which tokens for plugins are made."""
        from mairust_core.plugins.site_key import SiteKey

        return SiteKey(self.storage, self.secrets)
