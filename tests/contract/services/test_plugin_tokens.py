"""Tokens that people issue to plugins, on both databases, used over HTTP (rule G3, R-TOK-1)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from mairust_core.errors import Conflict, Invalid, NotFound
from mairust_core.hooks.rounds import delivery_id
from mairust_core.model.account import Account
from mairust_core.model.message import Message
from mairust_core.model.plugin_life import NewPluginToken, PluginToken, TokenScope
from mairust_core.model.principal import Principal
from mairust_core.operations import BytesIn
from mairust_core.plugins.tokens import callback_token
from mairust_core.services.audit import Audit
from mairust_core.services.messages import Messages
from mairust_core.services.plugin_tokens import PluginTokens
from mairust_core.services.plugins import Plugins
from mairust_core.store import plugin_tokens
from tests.contract.services.conftest import Served
from tests.contract.services.words import Ops
from tests.support.linking import approved, link, manifest_text, new_id

METRICS = NewPluginToken(scopes=(TokenScope.METRICS,))
MAIL = b"Subject: later\r\n\r\nmore\r\n"
ANSWER = {"action": "deliver", "tags": ["t"]}


@pytest.fixture
def plugin(served: Served, tmp_path: Path) -> Iterator[str]:
    """An approved plugin that is asked after storing."""
    id_ = approved(served.site, tmp_path, manifest_text(new_id(), "post_receive"))
    yield id_
    served.here(Plugins).remove(id_)


@pytest.fixture
def message(served: Served, ann: Account) -> Message:
    """A message of Ann's."""
    id_ = served.here(Messages).append(ann.address, BytesIn(chunks=[MAIL])).id
    return served.here(Messages).show(str(int(id_)))


def tell(served: Served, token: str, path: str = "metrics", what: Any = None) -> int:
    """The status of a request with a token: some numbers, or what is given."""
    url = f"{served.http.url}/api/v1/plugin/{path}"
    with httpx.Client(trust_env=False, timeout=60) as client:
        done = client.post(
            url, json=what or {"metrics": {"a": 1}}, headers={"authorization": f"Bearer {token}"}
        )
    return done.status_code


def show(served: Served, plugin: str, token: str) -> PluginToken:
    """An issued token as it stands."""
    [found] = (one for one in served.here(PluginTokens).browse(plugin).items if one.id == token)
    return found


def delivery_of(plugin: str, message: Message) -> str:
    """The delivery of a message to the plugin's hook."""
    return delivery_id(str(int(message.id)), f"{plugin}:post_receive")


def test_rule_g3_an_issued_token_is_signed_and_says_what_it_is_for(
    served: Served, ops: Ops, plugin: str
) -> None:
    """The site's key by its id, one algorithm, this plugin, one scope, an hour at the most."""
    issued = ops(PluginTokens).create(plugin, METRICS)
    key = served.site.plugin_key.get()
    assert jwt.get_unverified_header(issued.jwt) == {"alg": "EdDSA", "kid": key.id, "typ": "JWT"}
    claims = jwt.decode(issued.jwt, key.public, algorithms=["EdDSA"], audience=key.issuer, issuer=key.issuer)
    assert (claims["plugin"], claims["jti"]) == (plugin, issued.token.id)
    assert claims["scope"] == f"plugin:{plugin}:metrics"
    assert claims["exp"] - claims["iat"] == 3600
    assert issued.jwt not in repr(issued)
    assert issued.jwt not in str(ops(PluginTokens).browse(plugin))


def test_a_token_is_used_counted_and_audited_the_first_time(served: Served, ops: Ops, plugin: str) -> None:
    """Every use counts, of the token and of the plugin's day."""
    issued = ops(PluginTokens).create(plugin, METRICS)
    before = show(served, plugin, issued.token.id)
    assert (before.uses, before.refused, before.used_at) == (0, 0, None)
    assert [tell(served, issued.jwt) for _ in range(3)] == [200, 200, 200]
    after = show(served, plugin, issued.token.id)
    assert (after.uses, after.refused) == (3, 0)
    assert after.used_at is not None
    [entry] = served.here(Audit).browse(operation="plugintokens.use", subject=issued.token.id).items
    assert entry.actor == f"plugin:{plugin}"
    assert served.here(Plugins).show(plugin).usage_today.tokens == 3


def test_a_token_is_for_its_scope_only(served: Served, ops: Ops, plugin: str, message: Message) -> None:
    """A refused use is counted, and audited the first time."""
    issued = ops(PluginTokens).create(plugin, METRICS)
    path = f"callback/{delivery_of(plugin, message)}"
    assert [tell(served, issued.jwt, path, ANSWER) for _ in range(2)] == [403, 403]
    assert show(served, plugin, issued.token.id).refused == 2
    refused = served.here(Audit).browse(operation="plugintokens.refuse", subject=issued.token.id).items
    assert len(refused) == 1
    assert served.here(Plugins).show(plugin).usage_today.tokens_refused == 2


def test_rule_g3_a_token_is_revoked_by_its_id(served: Served, ops: Ops, plugin: str) -> None:
    """At once, and harmlessly twice; no other one with it."""
    issued, other = (ops(PluginTokens).create(plugin, METRICS) for _ in range(2))
    assert tell(served, issued.jwt) == 200
    assert ops(PluginTokens).revoke(plugin, issued.token.id).revoked
    assert ops(PluginTokens).revoke(plugin, issued.token.id).revoked
    assert tell(served, issued.jwt) == 401
    assert tell(served, other.jwt) == 200
    for wrong in ("pt_0", "x", "1-2", f"{'1' * 18}-{'0' * 12}"):
        with pytest.raises(NotFound):
            ops(PluginTokens).revoke(plugin, wrong)
    with pytest.raises(NotFound):
        ops(PluginTokens).revoke("com.example.none", issued.token.id)


def test_a_list_says_the_time_that_was_told_when_it_was_issued(ops: Ops, plugin: str) -> None:
    """To the second, as the token itself counts (RFC 7519)."""
    issued = ops(PluginTokens).create(plugin, NewPluginToken(scopes=(TokenScope.METRICS,)))
    [listed] = [one for one in ops(PluginTokens).browse(plugin, limit=500).items if one.id == issued.id]
    assert listed.created_at == issued.created_at


def test_a_token_is_issued_once_more(served: Served, ops: Ops, plugin: str) -> None:
    """With the same scopes for an hour, under another id; the one before is refused."""
    short = NewPluginToken(scopes=(TokenScope.METRICS,), good_for_s=60)
    issued = ops(PluginTokens).create(plugin, short)
    again = ops(PluginTokens).reissue(plugin, issued.token.id)
    assert again.token.id != issued.token.id
    assert again.token.scopes == issued.token.scopes
    assert again.token.expires_at > issued.token.expires_at
    assert (tell(served, issued.jwt), tell(served, again.jwt)) == (401, 200)
    with pytest.raises(NotFound):
        ops(PluginTokens).reissue(plugin, "pt_0")


def test_rule_g3_a_token_asks_for_the_present_state(served: Served, ops: Ops, plugin: str) -> None:
    """Of a plugin that is disabled, or was removed and came back: it was not made for that one."""
    issued = ops(PluginTokens).create(plugin, METRICS)
    ops(Plugins).disable(plugin)
    assert tell(served, issued.jwt) == 403
    ops(Plugins).enable(plugin)
    assert tell(served, issued.jwt) == 200


def test_rule_g3_a_plugin_that_came_back_has_none_of_the_old_tokens(
    served: Served, tmp_path: Path, message: Message
) -> None:
    """Neither those that were issued, nor those that went with deliveries."""
    text = manifest_text(new_id(), "post_receive")
    plugin = approved(served.site, tmp_path, text)
    issued = served.here(PluginTokens).create(plugin, METRICS)
    key, old_s = served.site.plugin_key.get(), int(time.time()) - 5
    about = {"hook": f"{plugin}:post_receive", "message": str(int(message.id)), "place": [1, 1]}
    delivered = callback_token(key, plugin, "d1", old_s, about)
    served.here(Plugins).remove(plugin)
    assert tell(served, issued.jwt) == 403
    approved(served.site, tmp_path, text)
    assert tell(served, issued.jwt) == 401
    assert tell(served, delivered) == 401
    fresh = callback_token(key, plugin, "d1", int(time.time()) + 1, about)
    assert tell(served, fresh) == 200
    served.here(Plugins).remove(plugin)


def test_a_callback_can_be_made_with_an_issued_token(
    served: Served, ops: Ops, plugin: str, message: Message
) -> None:
    """For a plugin that took longer than an hour; once, and for that delivery alone."""
    delivery = delivery_of(plugin, message)
    new = NewPluginToken(scopes=(TokenScope.CALLBACK,), delivery=delivery)
    issued = ops(PluginTokens).create(plugin, new)
    assert issued.token.delivery == delivery
    assert tell(served, issued.jwt, "callback/1-000000000000", ANSWER) == 401
    assert tell(served, issued.jwt) == 403  # it may tell no numbers
    assert tell(served, issued.jwt, f"callback/{delivery}", ANSWER) == 200
    assert served.here(Messages).show(str(int(message.id))).tags == ("t",)
    again = ops(PluginTokens).reissue(plugin, issued.token.id)
    assert tell(served, again.jwt, f"callback/{delivery}", ANSWER) == 409
    assert show(served, plugin, issued.token.id).uses == 1


def test_what_is_no_delivery_gets_no_token(
    served: Served, ops: Ops, plugin: str, message: Message, tmp_path: Path
) -> None:
    """Of another hook, of another plugin, of a message that is gone, or of nothing."""
    other = approved(served.site, tmp_path / "other", manifest_text(new_id(), "post_receive"))
    for wrong in (delivery_of(other, message), "probe", "x" * 300, f"{int(message.id)}-000000000000"):
        with pytest.raises(Invalid):
            ops(PluginTokens).create(plugin, NewPluginToken(scopes=(TokenScope.CALLBACK,), delivery=wrong))
    delivery = delivery_of(plugin, message)
    served.here(Messages).delete(str(int(message.id)), now=True)
    with pytest.raises(NotFound):
        ops(PluginTokens).create(plugin, NewPluginToken(scopes=(TokenScope.CALLBACK,), delivery=delivery))
    served.here(Plugins).remove(other)


def test_rule_g3_the_token_of_a_delivery_is_revoked_by_the_delivery(
    served: Served, ops: Ops, plugin: str, message: Message
) -> None:
    """Nothing was written down of it before."""
    delivery = delivery_of(plugin, message)
    key = served.site.plugin_key.get()
    with served.site.storage.read() as tx:
        sql = f"SELECT mailbox_id, uid FROM placement WHERE message_id = {int(message.id)}"
        place = [*tx.exec_driver_sql(sql).one()]
    about = {"hook": f"{plugin}:post_receive", "message": str(int(message.id)), "place": place}
    token = callback_token(key, plugin, delivery, int(time.time()), about)
    assert tell(served, token) == 200
    revoked = ops(PluginTokens).revoke(plugin, delivery)
    assert (revoked.revoked, revoked.delivery) == (True, delivery)
    assert tell(served, token) == 401
    assert tell(served, token, f"callback/{delivery}", ANSWER) == 401
    assert served.here(Messages).show(str(int(message.id))).tags == ()


def test_rule_g3_what_is_revoked_again_stays_so_for_as_long_again(
    served: Served, ops: Ops, plugin: str, message: Message
) -> None:
    """A delivery that is tried once more has a token of later: nothing may forget it before that is over."""
    delivery, by = delivery_of(plugin, message), Principal.local("tester")
    with served.site.storage.write() as tx:
        plugin_tokens.revoke_delivery(tx, by, plugin, delivery, 1)
    assert ops(PluginTokens).revoke(plugin, delivery).revoked
    with served.site.storage.write() as tx:
        plugin_tokens.expire(tx, 2, 100)
        seen = plugin_tokens.seen(tx, plugin, delivery)
    assert seen is not None
    assert seen.revoked


def test_refused_uses_of_deliveries_tokens_are_audited_once_a_day(
    served: Served, plugin: str, message: Message
) -> None:
    """A plugin that is mistaken may be so very often; each use is counted."""
    key = served.site.plugin_key.get()
    token = callback_token(
        key, plugin, "d1", int(time.time()), {"hook": "h", "message": "1", "place": [1, 1]}
    )
    served.here(Plugins).disable(plugin)
    assert [tell(served, token) for _ in range(4)] == [403] * 4
    served.here(Plugins).enable(plugin)
    assert served.here(Plugins).show(plugin).usage_today.tokens_refused == 4
    entries = served.here(Audit).browse(operation="plugintokens.refuse", actor=f"plugin:{plugin}").items
    assert len(entries) == 1


def test_nobody_issues_for_what_is_not_approved(served: Served, ops: Ops, tmp_path: Path) -> None:
    """A conflict, not a surprise for the plugin; one that is not there is not found."""
    pending = link(served.site, tmp_path, manifest_text(new_id())).id
    with pytest.raises(Conflict):
        ops(PluginTokens).create(pending, METRICS)
    with pytest.raises(NotFound):
        ops(PluginTokens).create("com.example.none", METRICS)
    with pytest.raises(NotFound):
        ops(PluginTokens).browse("com.example.none")
    assert ops(PluginTokens).browse(pending).items == ()


@pytest.mark.parametrize(
    ("scopes", "delivery", "good_for_s"),
    [
        ((), None, 3600),
        ((TokenScope.METRICS,), None, 3601),
        ((TokenScope.METRICS,), None, 59),
        ((TokenScope.METRICS,), "1-000000000000", 3600),
        ((TokenScope.CALLBACK,), None, 3600),
    ],
)
def test_rule_g3_no_token_is_good_for_longer_or_for_more(
    scopes: tuple[TokenScope, ...], delivery: str | None, good_for_s: int
) -> None:
    """Whoever asks is told what is wrong."""
    with pytest.raises(Invalid):
        NewPluginToken(scopes=scopes, delivery=delivery, good_for_s=good_for_s)


def test_trap_a3_a_token_is_told_and_not_shown(served: Served, plugin: str) -> None:
    """Nor is it in the tables."""
    issued = served.here(PluginTokens).create(plugin, METRICS)
    with served.site.storage.read() as tx:
        rows = tx.exec_driver_sql("SELECT * FROM plugin_token").all()
    assert issued.token.id in str(rows)
    assert issued.jwt.rpartition(".")[2] not in str(rows)
