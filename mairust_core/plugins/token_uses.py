"""Whether a plugin may use a token now, and that it did: every use is counted, what is new is audited.

A token says what it was made for; whether that still holds is asked of the tables each time (rule G3): it is
not revoked, and the plugin is enabled, and is the one that it was made for. It is asked before anything is
done, and again in the transaction of what is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mairust_core.errors import Forbidden, Locked, Unauthenticated
from mairust_core.ids import IdSource, now_ms
from mairust_core.model.plugin import Runnable, State
from mairust_core.model.principal import DEFAULT_TENANT, Principal
from mairust_core.plugins.book import as_runnable
from mairust_core.plugins.refusals import Refusals, Refused
from mairust_core.plugins.tokens import Claims
from mairust_core.store import StorageBackend, audits, plugin_tokens, plugin_usage, plugins
from mairust_core.store.plugins import Registered

if TYPE_CHECKING:
    from sqlalchemy import Connection

_NOBODY = Principal(name="plugin", scopes=frozenset(), tenant_id=DEFAULT_TENANT)


class TokenUses:
    """Judges and counts uses of tokens. Thread-safe."""

    def __init__(
        self, storage: StorageBackend, ids: Callable[[], IdSource], refusals: Refusals | None = None
    ) -> None:
        self._storage = storage
        self._ids = ids
        self._refusals = refusals or Refusals()

    def admit(self, claims: Claims) -> Runnable:
        """The plugin as approved now.

        Raises `Forbidden` for one that is not enabled, `Unauthenticated` for a token that counts no more.
        """
        self._ids()  # the first use leases a process number, which takes a transaction of its own
        with self._storage.read() as tx:
            return as_runnable(self._require(tx, claims))

    @contextmanager
    def noting(self, claims: Claims) -> Iterator[None]:
        """Note that a token was refused when the block says so; a transaction of it is over by then."""
        try:
            yield
        except (Forbidden, Unauthenticated):
            self.refuse(claims)
            raise

    def count(self, tx: Connection, claims: Claims, plugin: Runnable) -> None:
        """Note in the transaction of its effect that a token was taken; the first use is audited.

        Whoever disables, blocks or removes the plugin or revokes the token waits for that transaction, or
        was first: then it raises as `admit` does, and `Locked` when what may be written has changed since.
        """
        if self._require(tx, claims, held=True).generation != plugin.generation:
            raise Locked("plugin_changed", id=plugin.id, retry_after_s=1)
        seen = plugin_tokens.seen(tx, claims.plugin, claims.id)
        if seen is not None:
            plugin_tokens.count(tx, claims.id, refused=False)
            if not seen.uses:
                self._audit(tx, claims.plugin, claims.id, "use")
        plugin_usage.add(tx, {claims.plugin: {"tokens": 1}}, now_ms())

    def _require(self, tx: Connection, claims: Claims, *, held: bool = False) -> Registered:
        """The plugin, if it is enabled and the token counts; `held` as it is until the transaction ends.

        One use holds it at a time: were it shared, a plugin that always uses it could not be stopped.
        """
        found = plugins.find(tx, _NOBODY, claims.plugin, locked=held)
        if found is None or found.state is not State.ENABLED:
            raise Forbidden("plugin_not_enabled", id=claims.plugin[:200])
        seen = plugin_tokens.seen(tx, claims.plugin, claims.id)
        known = seen is not None or not claims.is_written_down
        older = (claims.issued_s + 1) * 1000 <= found.created_ms  # of one of this id that was removed
        if not known or older or (seen is not None and seen.revoked):
            raise Unauthenticated("plugin_token_revoked")
        return found

    def refuse(self, claims: Claims) -> None:
        """Note that a token of ours was refused; when there are many, with the next one that is written.

        Audited is the first time for each token that was issued, and the first of a day for those that went
        with deliveries: a plugin that is mistaken may be so very often.
        """
        found = self._refusals.to_write(claims.plugin, claims.id)
        if found is None:
            return
        self._ids()  # as above
        with self._storage.write() as tx:
            if plugins.find(tx, _NOBODY, claims.plugin, locked=True) is not None:
                self._write(tx, claims.plugin, found)

    def _write(self, tx: Connection, plugin: str, refused: Refused) -> None:
        is_first = not plugin_usage.of(tx, _NOBODY, [plugin], now_ms())[plugin].today.tokens_refused
        for token, times in sorted(refused.tokens.items()):  # two processes lock them in one order
            seen = plugin_tokens.seen(tx, plugin, token)
            is_news = is_first if seen is None else not seen.refused
            if seen is None:
                is_first = False
            else:
                plugin_tokens.count(tx, token, refused=True, times=times)
            if is_news:
                self._audit(tx, plugin, token, "refuse")
        plugin_usage.add(tx, {plugin: {"tokens_refused": refused.times}}, now_ms())

    def _audit(self, tx: Connection, plugin: str, token: str, what: str) -> None:
        by = Principal(name=f"plugin:{plugin}", scopes=frozenset())
        audits.record(tx, self._ids().next(), by, f"plugintokens.{what}", token[:300])
