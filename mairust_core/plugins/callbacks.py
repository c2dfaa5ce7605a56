"""What plugins say later: of one delivery, once, and of themselves (rules F3, G3).

A token says what it was made for; whether that still holds is asked of the tables each time, and again in the
transaction of the effect: the plugin is enabled, the hook still there, and what it may write is what is
approved now.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from mairust_core.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from mairust_core.hooks.answers import Said
from mairust_core.hooks.effects import Applied
from mairust_core.hooks.transport import CallFailed
from mairust_core.model.hook import HookType, Mode
from mairust_core.model.ids import Id
from mairust_core.model.plugin import Runnable
from mairust_core.model.plugin_forms import CalledBack, Told
from mairust_core.model.principal import DEFAULT_TENANT, Principal
from mairust_core.plugins import tokens
from mairust_core.plugins.site_key import SiteKey
from mairust_core.plugins.token_uses import TokenUses
from mairust_core.plugins.tokens import Claims, Use
from mairust_core.store import StorageBackend, hooks, plugins

if TYPE_CHECKING:
    from sqlalchemy import Connection

MAX_METRICS = 64
METRIC_PATTERN = "[a-zA-Z_:][a-zA-Z0-9_:]{0,99}"
_METRIC = re.compile(METRIC_PATTERN)
_NOBODY = Principal(name="plugin", scopes=frozenset(), tenant_id=DEFAULT_TENANT)


class Apply(Protocol):
    """Applies an answer to a stored message, and does `beside` in the same transaction."""

    def __call__(
        self,
        by: tuple[str, Runnable],
        message_id: Id,
        seen_at: tuple[int, int] | None,
        body: bytes,
        beside: Callable[[Connection], None],
        /,
    ) -> tuple[Said, Applied]:
        """Raises `CallFailed` when `body` is no answer."""
        ...


class Callbacks:
    """The doors for plugins. Thread-safe."""

    def __init__(self, storage: StorageBackend, key: SiteKey, apply: Apply, uses: TokenUses) -> None:
        self._uses = uses
        self._storage = storage
        self._key = key
        self._apply = apply

    def take(self, token: str, delivery_id: str, body: bytes) -> CalledBack:
        """Apply what a plugin says of a delivery, once; no hook is asked about it.

        Raises `Unauthenticated` for another token, `Forbidden` when the plugin may not any more, `Conflict`
        for the second time, `Locked` when the plugin changes at this moment, `Invalid` when it is no answer.
        """
        claims = self._claims(token, Use.CALLBACK)
        with self._uses.noting(claims):
            if claims.delivery != delivery_id:
                raise Unauthenticated("plugin_token")
            return self._taken(claims, body)

    def _taken(self, claims: Claims, body: bytes) -> CalledBack:
        plugin = self._uses.admit(claims)
        hook, message_id, place = _delivery(claims)
        with self._storage.read() as tx:
            _require_hook(tx, claims, hook)

        def once(tx: Connection) -> None:
            self._uses.count(tx, claims, plugin)
            _require_hook(tx, claims, hook, held=True)
            if not plugins.use_callback(tx, DEFAULT_TENANT, plugin.id, claims.delivery):
                raise Conflict("callback_used", id=claims.delivery[:200])

        try:
            said, applied = self._apply((hook, plugin), message_id, place, body, once)
        except CallFailed as error:
            raise Invalid("body", "no_answer", why=str(error)) from None
        left_out = (*said.refused, *applied.left_out)
        return CalledBack(delivery_id=claims.delivery, moved_to=applied.moved_to, left_out=left_out)

    def tell(self, token: str, body: bytes) -> Told:
        """Keep numbers that a plugin tells of itself, in place of earlier ones of the same names.

        Raises `Unauthenticated`, `Forbidden` as above, `Invalid` for what is no such number.
        """
        claims = self._claims(token, Use.METRICS)
        with self._uses.noting(claims):
            plugin = self._uses.admit(claims)
            metrics = _metrics(body)
            with self._storage.write() as tx:
                self._uses.count(tx, claims, plugin)
                if plugins.tell(tx, DEFAULT_TENANT, plugin.id, metrics) > MAX_METRICS:
                    raise Invalid("metrics", "too_many_metrics", limit=MAX_METRICS)
        return Told(metrics=len(metrics))

    def _claims(self, token: str, use: Use) -> Claims:
        key = self._key.find()
        if key is None:
            raise Unauthenticated("plugin_token")
        claims = tokens.read(key, token)
        if not claims.allows(use):
            self._uses.refuse(claims)
            raise Forbidden("plugin_scope", scope=tokens.scope(claims.plugin, use))
        return claims


def _require_hook(tx: Connection, claims: Claims, name: str, *, held: bool = False) -> None:
    """The hook that was asked is still there and has effect; `held` until the transaction ends."""
    try:
        hook = hooks.get(tx, _NOBODY, name, shared=held)
    except NotFound:
        raise Forbidden("hook_gone", name=name[:200]) from None
    mine = hook.plugin == claims.plugin and hook.type is HookType.POST_RECEIVE
    if not mine or not hook.enabled or hook.mode is not Mode.ENFORCE:
        raise Forbidden("hook_gone", name=name[:200])


def _delivery(claims: Claims) -> tuple[str, Id, tuple[int, int]]:
    """The hook, the message and where it was; they are in the token, so that nothing is kept meanwhile."""
    more = claims.more
    mailbox_id, uid = more["place"]
    return str(more["hook"]), Id(int(more["message"])), (int(mailbox_id), int(uid))


def _metrics(body: bytes) -> dict[str, float]:
    """`{"metrics": {NAME: NUMBER}}`, names as Prometheus has them."""
    found = _object(body)
    if not isinstance(found, dict) or set(found) != {"metrics"} or not isinstance(found["metrics"], dict):
        raise Invalid("body", "no_metrics")
    for name, value in found["metrics"].items():
        if not _is_finite(value) or not _METRIC.fullmatch(name):
            raise Invalid("metrics", "no_metric", value=repr(name[:80]))
    return {name: float(value) for name, value in found["metrics"].items()}


def _is_finite(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer of hundreds of digits
        return False


def _object(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Invalid("body", "no_metrics") from None
