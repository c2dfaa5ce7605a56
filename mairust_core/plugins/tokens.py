"""Tokens between this site and plugins: JSON Web Tokens under the site's key, one algorithm (rule G3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mairust_core.errors import Unauthenticated
from mairust_core.model.plugin_life import TOKEN_S, PluginToken
from mairust_core.plugins.site_key import Key

ALGORITHM = "EdDSA"
CALL_S = 300
"""How long the token of one call is good (contract §4)."""
CALLBACK_S = TOKEN_S
"""How long a plugin may take to say more; no token is good for longer (rule G3)."""
LEEWAY_S = 5
ISSUED = "issued"
_NEEDED = ["iss", "aud", "plugin", "jti", "scope", "iat", "exp"]


class Use(StrEnum):
    """What a token is for; in a token it is `plugin:ID:USE`."""

    CALL = "call"
    CALLBACK = "callback"
    METRICS = "metrics"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a token of ours says; `more` are the claims beside those that all have."""

    plugin: str
    id: str
    scopes: frozenset[str]
    issued_s: int = 0
    """When it was made, seconds since 1970."""
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def delivery(self) -> str:
        """The delivery that it is about."""
        return str(self.more.get("delivery", self.id))

    @property
    def is_written_down(self) -> bool:
        """Whether somebody issued it, so that there is a row of it."""
        return ISSUED in self.more

    def allows(self, use: Use) -> bool:
        """Whether it is for that."""
        return scope(self.plugin, use) in self.scopes


def scope(plugin: str, use: Use) -> str:
    """The word of a token for one use."""
    return f"plugin:{plugin}:{use.value}"


def call_token(key: Key, plugin: str, delivery_id: str, now_s: int) -> str:
    """The token by which a plugin tells us from others, for one call."""
    return _made(key, plugin, delivery_id, (Use.CALL,), (plugin, now_s, CALL_S), {})


def callback_token(key: Key, plugin: str, delivery_id: str, now_s: int, more: dict[str, Any]) -> str:
    """The token with which a plugin may say more about one delivery, and tell numbers of itself.

    `more` are further claims, which come back with it.
    """
    uses = (Use.CALLBACK, Use.METRICS)
    return _made(key, plugin, delivery_id, uses, (key.issuer, now_s, CALLBACK_S), more)


def issued_token(key: Key, token: PluginToken, when: tuple[int, int], more: dict[str, Any]) -> str:
    """A token that somebody issues; `when` is now and for how long, in seconds."""
    now_s, good_s = when
    uses = tuple(Use(scope.value) for scope in token.scopes)
    claims = {**more, ISSUED: True}
    return _made(key, token.plugin, token.id, uses, (key.issuer, now_s, good_s), claims)


def _made(
    key: Key,
    plugin: str,
    jti: str,
    uses: Sequence[Use],
    when: tuple[str, int, int],
    more: dict[str, Any],
) -> str:
    import jwt  # with cryptography 9 MB of every worker, also where there are no plugins

    audience, now_s, good_s = when
    claims = {
        **more,
        "iss": key.issuer,
        "aud": audience,
        "plugin": plugin,
        "jti": jti,
        "scope": " ".join(scope(plugin, use) for use in uses),
        "iat": now_s,
        "exp": now_s + good_s,
    }
    return jwt.encode(claims, key.private, algorithm=ALGORITHM, headers={"kid": key.id})


def read(key: Key, token: str) -> Claims:
    """What a token says that a plugin brought back; whether it still may is for the caller to ask.

    Raises `Unauthenticated`, alike whatever is wrong with it.
    """
    import jwt  # as above

    try:
        found = jwt.decode(
            token,
            key.public,
            algorithms=[ALGORITHM],
            audience=key.issuer,
            issuer=key.issuer,
            leeway=LEEWAY_S,
            options={"require": _NEEDED},
        )
    except jwt.InvalidTokenError:
        raise Unauthenticated("plugin_token") from None
    if found["exp"] - found["iat"] > CALLBACK_S:
        raise Unauthenticated("plugin_token")
    more = {name: value for name, value in found.items() if name not in _NEEDED}
    scopes = frozenset(str(found["scope"]).split())
    return Claims(
        plugin=str(found["plugin"]),
        id=str(found["jti"]),
        scopes=scopes,
        issued_s=int(found["iat"]),
        more=more,
    )
