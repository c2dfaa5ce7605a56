"""Tokens that people issue to plugins, beside those that go with calls (rule G3, R-TOK-1).

One of scope `metrics` lets a plugin tell numbers of itself; one of scope `callback` is about one delivery,
for a plugin whose own token was over before it had something to say.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import TYPE_CHECKING, Any

from mairust_core.errors import Conflict, Invalid, NotFound
from mairust_core.hooks.effects import SYSTEM
from mairust_core.hooks.rounds import delivery_id
from mairust_core.ids import to_time
from mairust_core.model.hook import HookType
from mairust_core.model.ids import Id
from mairust_core.model.plugin import State
from mairust_core.model.plugin_life import TOKEN_S, IssuedPluginToken, NewPluginToken, PluginToken
from mairust_core.model.principal import Principal
from mairust_core.plugins import tokens
from mairust_core.plugins.site_key import SiteKey
from mairust_core.store import hooks, placements, plugin_tokens, plugins

if TYPE_CHECKING:
    from sqlalchemy import Connection

PREFIX = "pt_"
"""How ids of issued tokens begin; a delivery's token has the delivery's id."""
MAX_HOOKS = 500
_DELIVERY = re.compile(r"([0-9]{1,19})-[0-9a-f]{12}")


class TokenOffice:
    """Issues and revokes tokens of plugins, in transactions of others. Thread-safe."""

    def __init__(self, key: SiteKey) -> None:
        self._key = key

    def open(self) -> None:
        """Make the site's key if there is none: to be called before the transaction, for it takes one."""
        self._key.get()

    def issue(self, tx: Connection, by: Principal, plugin: str, new: NewPluginToken) -> IssuedPluginToken:
        """Make a token and write down that it is out.

        Raises `NotFound` without such a plugin or message, `Conflict` for a plugin that is blocked or not
        approved, `Invalid` for what is no delivery to a `post_receive` hook of it.
        """
        found = plugins.get(tx, by, plugin)
        if found.state is State.BLOCKED:
            raise Conflict("plugin_blocked", id=plugin)
        if found.manifest is None:
            raise Conflict("plugin_pending", id=plugin)
        more = {} if new.delivery is None else _about(tx, by, plugin, new.delivery)
        now_s = int(time.time())
        token = PluginToken(
            id=PREFIX + secrets.token_hex(10),
            plugin=plugin,
            scopes=new.scopes,
            delivery=new.delivery,
            created_by=by.name,
            created_at=to_time(now_s * 1000),
            expires_at=to_time((now_s + new.good_for_s) * 1000),
            revoked=False,
            uses=0,
            refused=0,
            used_at=None,
        )
        plugin_tokens.add(tx, by, token, (now_s + new.good_for_s) * 1000)
        when = (now_s, new.good_for_s)
        return IssuedPluginToken.of(token, tokens.issued_token(self._key.get(), token, when, more))

    def reissue(self, tx: Connection, by: Principal, plugin: str, id_: str) -> IssuedPluginToken:
        """The same token for an hour more, under another id; the one before is revoked. Raises as `issue`."""
        plugins.get(tx, by, plugin, locked=True)
        before = plugin_tokens.revoke(tx, by, plugin, id_)
        new = NewPluginToken(scopes=before.scopes, delivery=before.delivery)
        return self.issue(tx, by, plugin, new)

    def revoke(self, tx: Connection, by: Principal, plugin: str, id_: str) -> PluginToken:
        """Refuse a token from now on, by its `jti`: one that was issued, or that of a delivery.

        Waits for what is being done with the plugin's tokens. Raises `NotFound` without such a plugin, or for
        what is neither.
        """
        plugins.get(tx, by, plugin, locked=True)
        if not id_.startswith(PREFIX) and _hook_of(tx, by, plugin, id_) is not None:
            until_ms = (int(time.time()) + TOKEN_S) * 1000
            return plugin_tokens.revoke_delivery(tx, by, plugin, id_, until_ms)
        return plugin_tokens.revoke(tx, by, plugin, id_)


def _about(tx: Connection, by: Principal, plugin: str, delivery: str) -> dict[str, Any]:
    """The claims of a callback about a delivery: hook, message, and where that is now."""
    found = _hook_of(tx, by, plugin, delivery)
    if found is None:
        raise Invalid("delivery", "token_no_delivery", value=repr(delivery[:80]), plugin=plugin)
    hook, message_id = found
    place = placements.look(tx, SYSTEM, message_id).place  # no lock: callbacks hold the message first
    if place is None:
        raise NotFound("message", id=message_id)
    return {
        "delivery": delivery,
        "hook": hook,
        "message": str(int(message_id)),
        "place": [place.mailbox_id, place.uid],
    }


def _hook_of(tx: Connection, by: Principal, plugin: str, delivery: str) -> tuple[str, Id] | None:
    """Which `post_receive` hook of the plugin was asked about which message; None when none can have been."""
    parts = _DELIVERY.fullmatch(delivery)
    if parts is None:
        return None
    for hook in hooks.page(tx, by, plugin, "", MAX_HOOKS):
        if hook.type is HookType.POST_RECEIVE and delivery_id(parts[1], hook.name) == delivery:
            return hook.name, Id.parse(parts[1])
    return None
