"""Whether a plugin may use a token now, and that it did: every use is counted, what is new is audited.

A token says what it was made for; whether that still holds is asked of the tables each time (rule G3): it is
not revoked, and the plugin is enabled, and is the one that it was made for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mairust_core.errors import Forbidden, Unauthenticated
from mairust_core.ids import IdSource, now_ms
from mairust_core.model.plugin import Runnable, State
from mairust_core.model.principal import DEFAULT_TENANT, Principal
from mairust_core.plugins.book import as_runnable
from mairust_core.plugins.tokens import Claims
from mairust_core.store import StorageBackend, audits, plugin_tokens, plugin_usage, plugins
from mairust_core.store.plugin_tokens import Seen

if TYPE_CHECKING:
    from sqlalchemy import Connection

_NOBODY = Principal(name="plugin", scopes=frozenset(), tenant_id=DEFAULT_TENANT)


class TokenUses:
    """Judges and counts uses of tokens. Thread-safe: it holds nothing."""

    def __init__(self, storage: StorageBackend, ids: Callable[[], IdSource]) -> None:
        self._storage = storage
        self._ids = ids

    def admit(self, claims: Claims) -> Runnable:
        """The plugin as approved now; raises `Unauthenticated` for a revoked token, `Forbidden` otherwise."""
        self._ids()  # the first use leases a process number, which takes a transaction of its own
        with self._storage.read() as tx:
            found = plugins.find(tx, _NOBODY, claims.plugin)
            seen = plugin_tokens.seen(tx, claims.plugin, claims.id)
        if found is None or found.state is not State.ENABLED:
            self.refuse(claims)
            raise Forbidden("plugin_not_enabled", id=claims.plugin[:200])
        known = seen is not None or not claims.is_written_down
        older = (claims.issued_s + 1) * 1000 <= found.created_ms  # of one of this id that was removed
        if not known or older or (seen is not None and seen.revoked):
            self.refuse(claims)
            raise Unauthenticated("plugin_token_revoked")
        return as_runnable(found)

    def count(self, tx: Connection, claims: Claims) -> None:
        """Note in the transaction of its effect that a token was taken; the first use is audited."""
        seen = plugin_tokens.seen(tx, claims.plugin, claims.id)
        if seen is not None:
            plugin_tokens.count(tx, claims.id, refused=False)
            if not seen.uses:
                self._audit(tx, claims, "use")
        plugin_usage.add(tx, {claims.plugin: {"tokens": 1}}, now_ms())

    def refuse(self, claims: Claims) -> None:
        """Note that a token of ours was refused.

        Audited is the first time for each token that was issued, and the first of a day for those that went
        with deliveries: a plugin that is mistaken may be so very often.
        """
        self._ids()  # as above
        with self._storage.write() as tx:
            if plugins.find(tx, _NOBODY, claims.plugin) is None:
                return
            seen = plugin_tokens.seen(tx, claims.plugin, claims.id)
            if seen is not None:
                plugin_tokens.count(tx, claims.id, refused=True)
            plugin_usage.add(tx, {claims.plugin: {"tokens_refused": 1}}, now_ms())
            if self._is_news(tx, claims, seen):
                self._audit(tx, claims, "refuse")

    def _is_news(self, tx: Connection, claims: Claims, seen: Seen | None) -> bool:
        if seen is not None:
            return not seen.refused
        today = plugin_usage.of(tx, _NOBODY, [claims.plugin], now_ms())[claims.plugin].today
        return today.tokens_refused == 1

    def _audit(self, tx: Connection, claims: Claims, what: str) -> None:
        by = Principal(name=f"plugin:{claims.plugin}", scopes=frozenset())
        audits.record(tx, self._ids().next(), by, f"plugintokens.{what}", claims.id[:300])
