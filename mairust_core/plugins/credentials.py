"""What goes with a call of a plugin: the secrets it is signed with, its token, where to call back."""

from __future__ import annotations

import time
from collections.abc import Callable as Call
from collections.abc import Sequence
from urllib.parse import quote

from mairust_core.errors import NotFound
from mairust_core.hooks.book import Registered
from mairust_core.hooks.payload import Callback
from mairust_core.ids import to_time
from mairust_core.model.hook import HookType, Mode
from mairust_core.model.ids import Id
from mairust_core.model.plugin import Runnable
from mairust_core.plugins import tokens
from mairust_core.plugins.registry import previous_name, secret_name
from mairust_core.plugins.site_key import SiteKey
from mairust_core.store import StorageBackend
from mairust_core.vault import Vault

PATH = "/api/v1/plugin/callback/"


class SiteCredentials:
    """The secrets and tokens of a site's plugins. Thread-safe; remembers nothing but the site's key."""

    def __init__(self, storage: StorageBackend, vault: Vault, key: SiteKey, base: Call[[], str]) -> None:
        """`base` says where plugins reach our API; empty where they cannot."""
        self._storage = storage
        self._vault = vault
        self._key = key
        self._base = base

    def secrets(self, plugin: Runnable) -> Sequence[str]:
        """The secret in force, then the one before while its grace period lasts (rule G2).

        Reads the database, and makes the site's key if there is none: `call_token` waits for nothing then.
        """
        self._key.get()
        with self._storage.read() as tx:
            found = []
            for name in (secret_name(plugin.id), previous_name(plugin.id)):
                try:
                    found.append(self._vault.get(tx, name).decode())
                except NotFound:
                    break
        return found

    def call_token(self, plugin: Runnable, delivery_id: str) -> str:
        """The token of one call."""
        return tokens.call_token(self._key.get(), plugin.id, delivery_id, int(time.time()))

    def callback(
        self, registered: Registered, delivery_id: str, message_id: Id, place: tuple[int, int]
    ) -> Callback | None:
        """Where and with which token the plugin may say more, once (rule F3).

        None for other hooks than `post_receive`, for shadows, which have no effect, and where no plugin
        reaches our API.
        """
        hook, base = registered.hook, self._base()
        if hook.type is not HookType.POST_RECEIVE or hook.mode is Mode.SHADOW or not base:
            return None
        now_s = int(time.time())
        more = {"hook": hook.name, "message": str(int(message_id)), "place": list(place)}
        token = tokens.callback_token(self._key.get(), registered.plugin.id, delivery_id, now_s, more)
        return Callback(
            url=f"{base}{PATH}{quote(delivery_id, safe='')}",
            token=token,
            expires_at=to_time((now_s + tokens.CALLBACK_S) * 1000),
        )
