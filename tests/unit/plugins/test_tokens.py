"""Tokens for plugins and of plugins: who made them, for what, until when (R-TOK-1, rule G3)."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mairust_core.errors import Unauthenticated
from mairust_core.plugins import tokens
from mairust_core.plugins.site_key import Key
from mairust_core.plugins.tokens import Use, call_token, callback_token, read

KEY = Key(id="kid", issuer="mairust:site", private=Ed25519PrivateKey.generate())
PLUGIN = "com.example.spam"


def now() -> int:
    """The time, in seconds."""
    return int(time.time())


def test_the_token_of_a_call_tells_a_plugin_who_calls() -> None:
    """Contract §4: EdDSA, a key id, `aud` the plugin, `jti` the delivery, five minutes."""
    token = call_token(KEY, PLUGIN, "d1", now())
    assert jwt.get_unverified_header(token) == {"alg": "EdDSA", "kid": "kid", "typ": "JWT"}
    public = jwt.PyJWK(KEY.jwk())
    claims = jwt.decode(token, public, algorithms=["EdDSA"], audience=PLUGIN, issuer="mairust:site")
    assert (claims["jti"], claims["plugin"], claims["scope"]) == ("d1", PLUGIN, f"plugin:{PLUGIN}:call")
    assert claims["exp"] - claims["iat"] == 300


def test_a_callback_token_comes_back_with_what_it_holds() -> None:
    """For callback and metrics, nothing else; further claims are kept."""
    token = callback_token(KEY, PLUGIN, "d1", now(), {"message": "7", "place": [1, 2]})
    claims = read(KEY, token)
    assert (claims.plugin, claims.id, claims.more) == (PLUGIN, "d1", {"message": "7", "place": [1, 2]})
    assert claims.allows(Use.CALLBACK)
    assert claims.allows(Use.METRICS)
    assert not claims.allows(Use.CALL)


def made(key: Ed25519PrivateKey | str = "", algorithm: str = "EdDSA", **changed: Any) -> str:
    """A token with some claims changed, or left out where they are None."""
    claims = {
        "iss": KEY.issuer,
        "aud": KEY.issuer,
        "plugin": PLUGIN,
        "jti": "d1",
        "scope": f"plugin:{PLUGIN}:callback",
        "iat": now(),
        "exp": now() + 60,
    } | changed
    given = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(given, key or KEY.private, algorithm=algorithm, headers={"kid": "kid"})


def test_tokens_made_here_are_good_for_the_changes_below() -> None:
    """Otherwise the next test would prove nothing."""
    assert read(KEY, made()).id == "d1"


REFUSED: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "no token": lambda: "x.y.z",
    "api key": lambda: "mk_0123_secret",
    "issuer": lambda: made(iss="mairust:other"),
    "audience": lambda: made(aud=PLUGIN),
    "no audience": lambda: made(aud=None),
    "no end": lambda: made(exp=None),
    "no beginning": lambda: made(iat=None),
    "no delivery": lambda: made(jti=None),
    "no plugin": lambda: made(plugin=None),
    "ended": lambda: made(exp=now() - 60, iat=now() - 120),
    "too long": lambda: made(exp=now() + tokens.CALLBACK_S + 60),
    "not begun": lambda: made(iat=now() + 600, exp=now() + 700),
    "another key": lambda: made(Ed25519PrivateKey.generate()),
    "hmac": lambda: made("a secret that both could know, long enough for HMAC", algorithm="HS256"),
    "unsigned": lambda: jwt.encode({"plugin": PLUGIN}, "", algorithm="none"),
    "of a call": lambda: call_token(KEY, PLUGIN, "d1", now()),
}
"""Made within the test: what is made when tests are collected may have run out since."""


@pytest.mark.parametrize("what", REFUSED)
def test_rule_g3_another_token_is_refused_alike(what: str) -> None:
    """Other makers, audiences, algorithms and times; the token of a call is none to come back with."""
    token = REFUSED[what]()
    with pytest.raises(Unauthenticated, match="none of this site's"):
        read(KEY, token)


def test_a_token_that_was_changed_is_refused() -> None:
    """Any bit of it."""
    head, body, signature = made().split(".")
    other = made(plugin="com.example.other").split(".")[1]
    bits = bytearray(base64.urlsafe_b64decode(signature + "=="))
    bits[32] ^= 1
    flipped = base64.urlsafe_b64encode(bits).decode().rstrip("=")
    for token in (f"{head}.{other}.{signature}", f"{head}.{body}.{flipped}", f"{head}.{body}."):
        with pytest.raises(Unauthenticated):
            read(KEY, token)


def test_the_key_is_not_shown() -> None:
    """Neither by `repr` nor in its public form."""
    private = KEY.private.private_bytes_raw()
    assert "private" not in repr(KEY)
    assert set(KEY.jwk()) == {"kty", "crv", "x", "kid", "use", "alg"}
    assert private.hex() not in repr(KEY.jwk())
