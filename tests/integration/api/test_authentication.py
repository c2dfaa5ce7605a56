"""Who asks: traps A1 and A4, rules D3 and G4, with a clock that the test moves."""

from __future__ import annotations

from typing import Any

import pytest

from mairust_core.api.authentication import CACHE_S, Authentication, Key, key_of
from mairust_core.errors import Forbidden, Unauthenticated
from mairust_core.model.principal import Principal, Scope
from mairust_core.model.token import IssuedToken, NewToken
from mairust_core.networks import is_loopback
from mairust_core.services.tokens import Tokens, hash_secret
from tests.integration.api.conftest import Web

BY = Principal.local("tester")


class Clock:
    """A monotonic clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def scope_of(
    authorization: str | None = "Bearer mk_a_b",
    client: tuple[str, int] | None = ("127.0.0.1", 1),
    server: tuple[str, int | None] = ("127.0.0.1", 8025),
    scheme: str = "http",
) -> dict[str, Any]:
    """An ASGI scope with what authentication looks at."""
    headers = [] if authorization is None else [(b"authorization", authorization.encode("latin-1"))]
    return {"headers": headers, "client": client, "server": server, "scheme": scheme}


def issue(web: Web) -> IssuedToken:
    """A new key."""
    return web.site.service(Tokens, BY).create(NewToken(name="x", scopes=(Scope.READ,)))


def key_from(text: str) -> Key:
    """The key in a header."""
    return key_of(scope_of(f"Bearer {text}"))


def test_rule_d3_a_key_is_remembered_for_less_than_a_second(web: Web) -> None:
    """Within a second nothing is read; from then on the database decides."""
    clock = Clock()
    keys = Authentication(web.site.storage, clock)
    issued = issue(web)
    key = key_from(issued.key)
    assert keys.remembered(key) is None
    by = keys.check(key)
    assert by.name == f"token:{issued.token.id}"
    web.site.service(Tokens, BY).revoke(issued.token.id)
    clock.now += CACHE_S - 0.001
    assert keys.remembered(key) == by
    clock.now += 0.001
    assert keys.remembered(key) is None
    with pytest.raises(Unauthenticated):
        keys.check(key)
    assert CACHE_S <= 1.0


def test_trap_a1_a_remembered_id_does_not_let_another_secret_in(web: Web) -> None:
    """The public id finds the key, the whole secret opens it; a prefix of it does not."""
    keys = Authentication(web.site.storage, Clock())
    issued = issue(web)
    keys.check(key_from(issued.key))
    for wrong in (issued.key[:-1], issued.key + "x", issued.key.rpartition("_")[0] + "_x"):
        assert keys.remembered(key_from(wrong)) is None
        with pytest.raises(Unauthenticated):
            keys.check(key_from(wrong))


def test_trap_a1_keys_that_share_a_prefix_are_kept_apart(web: Web) -> None:
    """Twelve keys each open as themselves, whatever they have in common."""
    keys = Authentication(web.site.storage, Clock())
    for issued in [issue(web) for _ in range(12)]:
        assert keys.check(key_from(issued.key)).name == f"token:{issued.token.id}"


def test_trap_a4_every_wrong_key_gets_the_same_answer(web: Web) -> None:
    """Unknown id, wrong secret, revoked, malformed: one text, and one look at the database each."""
    keys = Authentication(web.site.storage, Clock())
    revoked, good = issue(web), issue(web)
    web.site.service(Tokens, BY).revoke(revoked.token.id)
    texts = set()
    for wrong in (
        f"mk_0000000000000000_{good.key.rpartition('_')[2]}",
        f"mk_{good.token.id}_wrong",
        revoked.key,
        "mk_",
        "mk__",
        "x",
        "'; DROP TABLE token; --",
        "mk_" + "a" * 10_000,
        "mk_é_ü",
    ):
        with pytest.raises(Unauthenticated) as refused:
            keys.check(key_from(wrong))
        texts.add(str(refused.value))
    assert len(texts) == 1


@pytest.mark.parametrize("authorization", [None, "", "Basic YTpi", "mk_a_b", "Bearer", "Token mk_a_b"])
def test_another_scheme_is_no_key(authorization: str | None) -> None:
    """Without a bearer key nobody is known."""
    if authorization == "Bearer":
        assert key_of(scope_of(authorization)) == Key(public_id="", secret_hash=hash_secret(""))
    else:
        missing = not authorization
        with pytest.raises(Unauthenticated, match="No API key" if missing else "another scheme than Bearer"):
            key_of(scope_of(authorization))


def test_two_keys_are_none() -> None:
    """A request that says two things is not guessed at."""
    scope = scope_of()
    scope["headers"] *= 2
    with pytest.raises(Unauthenticated):
        key_of(scope)


@pytest.mark.parametrize(
    ("scope", "taken"),
    [
        (scope_of(client=("127.0.0.1", 5)), True),
        (scope_of(client=("127.8.9.1", 5)), True),
        (scope_of(client=("::1", 5)), True),
        (scope_of(client=("::ffff:127.0.0.1", 5)), True),
        (scope_of(client=None, server=("/run/http.sock", None)), True),
        (scope_of(client=("192.0.2.7", 5), scheme="https"), True),
        (scope_of(client=("192.0.2.7", 5)), False),
        (scope_of(client=("10.0.0.1", 5), server=("127.0.0.1", 80)), False),
        (scope_of(client=("::ffff:192.0.2.7", 5)), False),
        (scope_of(client=("2001:db8::1", 5)), False),
        (scope_of(client=None), False),
        (scope_of(client=("", 0)), False),
        (scope_of(client=("localhost", 5)), False),
    ],
)
def test_rule_g4_bearer_over_plain_http_only_from_loopback(scope: dict[str, Any], taken: bool) -> None:
    """A key from elsewhere in the clear is refused, before it is looked at."""
    if taken:
        assert key_of(scope).public_id == "a"
    else:
        with pytest.raises(Forbidden, match="plain http"):
            key_of(scope)


def test_rule_g4_a_proxy_header_makes_nobody_local(web: Web) -> None:
    """X-Forwarded-For is not believed, in either direction."""
    forwarded = {"x-forwarded-for": "192.0.2.7", "x-forwarded-proto": "http", "forwarded": "for=192.0.2.7"}
    assert web.client.get("/api/v1/domains", headers=forwarded).status_code == 200


@pytest.mark.parametrize(
    ("host", "local"), [("127.0.0.1", True), ("::1%lo", True), ("8.8.8.8", False), ("x", False)]
)
def test_loopback_is_an_address_not_a_name(host: str, local: bool) -> None:
    """Only an address of this machine's loopback counts."""
    assert is_loopback(host) is local


def test_a_refusal_says_how_to_authenticate(web: Web) -> None:
    """401 carries WWW-Authenticate (RFC 6750 §3), with the error only when a key came."""
    url = f"{web.http.url}/api/v1/domains"
    without = web.client.get(url, headers={"authorization": ""})
    assert without.status_code == 401
    wrong = web.client.get(url, headers={"authorization": "Bearer mk_a_b"})
    assert wrong.headers["www-authenticate"] == 'Bearer realm="mairust", error="invalid_token"'
    for scheme in ("Basic YTpi", "Digest x", "mk_a_b"):
        other = web.client.get(url, headers={"authorization": scheme})
        assert other.status_code == 401
        assert "another scheme" in other.json()["detail"]
        assert other.headers["www-authenticate"] == 'Bearer realm="mairust"'
