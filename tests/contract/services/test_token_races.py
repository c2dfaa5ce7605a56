"""Tokens that stop counting while they are used: between the look at them and their effect (rule G3)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from mairust_core.errors import Forbidden, Locked, MaiRustError, Unauthenticated
from mairust_core.hooks.answers import Said
from mairust_core.hooks.effects import Applied, Spot
from mairust_core.hooks.rounds import delivery_id
from mairust_core.model.account import Account
from mairust_core.model.hook import HookType
from mairust_core.model.ids import Id
from mairust_core.model.message import Message
from mairust_core.model.plugin import Runnable
from mairust_core.model.plugin_life import NewPluginToken, TokenScope
from mairust_core.operations import BytesIn
from mairust_core.plugins import tokens
from mairust_core.plugins.callbacks import Callbacks
from mairust_core.plugins.refusals import WRITES_A_MINUTE, Refusals
from mairust_core.plugins.token_uses import TokenUses
from mairust_core.plugins.tokens import Claims
from mairust_core.receive.answering import apply_callback
from mairust_core.services.hooks import Hooks
from mairust_core.services.messages import Messages
from mairust_core.services.plugin_tokens import PluginTokens
from mairust_core.services.plugins import Plugins
from mairust_core.services.trust import Trust
from mairust_core.store import plugin_tokens
from tests.contract.services.conftest import Served
from tests.support.linking import link, manifest_text, new_id
from tests.support.packaging import Marketplace, Signing, install, made
from tests.support.waiting import OneMore

MAIL = b"Subject: later\r\n\r\nmore\r\n"
BODY = b'{"action": "deliver", "tags": ["t"]}'
Beside = Callable[[Connection], None]
HOOK = HookType.POST_RECEIVE.value


class Between(TokenUses):
    """The real thing, with something that happens right after the look."""

    def __init__(self, served: Served, happens: Callable[[], object]) -> None:
        super().__init__(served.site.storage, lambda: served.site.ids)
        self.happens = happens

    def admit(self, claims: Claims) -> Runnable:
        found = super().admit(claims)
        self.happens()
        return found


@pytest.fixture
def market(served: Served) -> Marketplace:
    """A marketplace that the site trusts."""
    found = Marketplace()
    found.trusted_on(served.site)
    return found


@pytest.fixture
def plugin(served: Served, market: Marketplace) -> Iterator[str]:
    """An approved plugin of a package, which is asked after storing."""
    id_ = install(served.site, made(manifest_text(new_id(), HOOK), Signing(key=market.root))).id
    served.here(Plugins).approve(id_)
    yield id_
    if id_ in {one.id for one in served.here(Plugins).browse(limit=500).items}:
        served.here(Plugins).remove(id_)


@pytest.fixture
def message(served: Served, ann: Account) -> Message:
    """A message of Ann's."""
    id_ = served.here(Messages).append(ann.address, BytesIn(chunks=[MAIL])).id
    return served.here(Messages).show(str(int(id_)))


def callbacks(served: Served, uses: TokenUses) -> Callbacks:
    """The doors of the site with other judges of tokens."""
    site = served.site
    return Callbacks(site.storage, site.plugin_key, partial(apply_callback, site), uses)


def delivery_of(plugin: str, message: Message) -> str:
    """The delivery of a message to the plugin's hook."""
    return delivery_id(str(int(message.id)), f"{plugin}:{HOOK}")


def delivered(served: Served, plugin: str, message: Message) -> str:
    """The token that goes with that delivery."""
    with served.site.storage.read() as tx:
        sql = f"SELECT mailbox_id, uid FROM placement WHERE message_id = {int(message.id)}"
        place = [*tx.exec_driver_sql(sql).one()]
    about = {"hook": f"{plugin}:{HOOK}", "message": str(int(message.id)), "place": place}
    key = served.site.plugin_key.get()
    return tokens.callback_token(key, plugin, delivery_of(plugin, message), int(time.time()) + 1, about)


def stops(served: Served, market: Marketplace, plugin: str, delivery: str) -> dict[str, Any]:
    """What may happen to a plugin or its token, and what is answered then."""
    digest = served.here(Plugins).show(plugin).package or ""
    return {
        "disabled": (lambda: served.here(Plugins).disable(plugin), Forbidden),
        "removed": (lambda: served.here(Plugins).remove(plugin), Forbidden),
        "blocked": (
            lambda: served.here(Trust).import_revocations(market.revoke(1, manifests=[digest])),
            Forbidden,
        ),
        "revoked": (lambda: served.here(PluginTokens).revoke(plugin, delivery), Unauthenticated),
        "hook": (lambda: served.here(Hooks).disable(f"{plugin}:{HOOK}"), Forbidden),
    }


@pytest.mark.parametrize("what", ["disabled", "removed", "blocked", "revoked", "hook"])
def test_rule_g3_what_stops_a_token_stops_its_effect(
    served: Served, market: Marketplace, plugin: str, message: Message, what: str
) -> None:
    """Answered before the effect was written: then there is none, and the callback is not used up."""
    delivery = delivery_of(plugin, message)
    stop, error = stops(served, market, plugin, delivery)[what]
    token = delivered(served, plugin, message)
    with pytest.raises(error):
        callbacks(served, Between(served, stop)).take(token, delivery, BODY)
    assert served.here(Messages).show(str(int(message.id))).tags == ()
    if what == "hook":
        served.here(Hooks).enable(f"{plugin}:{HOOK}")
        callbacks(served, served_uses(served)).take(token, delivery, BODY)
        assert served.here(Messages).show(str(int(message.id))).tags == ("t",)


def served_uses(served: Served) -> TokenUses:
    """Judges of tokens as the site has them."""
    return TokenUses(served.site.storage, lambda: served.site.ids)


@pytest.mark.parametrize("what", ["disabled", "revoked"])
def test_rule_g3_numbers_of_a_plugin_that_was_stopped_are_not_kept(
    served: Served, plugin: str, what: str
) -> None:
    """And the use counts as refused."""
    issued = served.here(PluginTokens).create(plugin, NewPluginToken(scopes=(TokenScope.METRICS,)))
    stop: dict[str, Callable[[], object]] = {
        "disabled": lambda: served.here(Plugins).disable(plugin),
        "revoked": lambda: served.here(PluginTokens).revoke(plugin, issued.token.id),
    }
    with pytest.raises(MaiRustError) as refused:
        callbacks(served, Between(served, stop[what])).tell(issued.jwt, b'{"metrics": {"a": 1}}')
    assert isinstance(refused.value, Forbidden if what == "disabled" else Unauthenticated)
    shown = served.here(Plugins).show(plugin)
    assert (shown.metrics, shown.usage_today.tokens, shown.usage_today.tokens_refused) == ({}, 0, 1)


def test_rights_that_were_taken_meanwhile_are_not_used(
    served: Served, message: Message, tmp_path: Path
) -> None:
    """The plugin asks again, and may what it may then."""
    text = partial(manifest_text, new_id(), HOOK)
    id_ = link(served.site, tmp_path, text(permissions="read_headers = true\nwrite_tags = true")).id
    served.here(Plugins).approve(id_)
    less = partial(link, served.site, tmp_path, text(permissions="read_headers = true"))
    token, delivery = delivered(served, id_, message), delivery_of(id_, message)
    with pytest.raises(Locked):
        callbacks(served, Between(served, less)).take(token, delivery, BODY)
    done = callbacks(served, served_uses(served)).take(token, delivery, BODY)
    assert len(done.left_out) == 1
    assert served.here(Messages).show(str(int(message.id))).tags == ()
    served.here(Plugins).remove(id_)


@pytest.mark.parametrize("served", ["postgresql"], indirect=True)
@pytest.mark.parametrize("what", ["disabled", "removed", "revoked", "hook"])
def test_rule_g3_whoever_stops_a_token_waits_for_what_it_does(
    served: Served, market: Marketplace, plugin: str, message: Message, what: str
) -> None:
    """Answered after the effect that was under way: none comes later. SQLite has one writer at a time."""
    delivery = delivery_of(plugin, message)
    stop, _ = stops(served, market, plugin, delivery)[what]
    site = served.site
    with OneMore() as other:

        def under_way(
            by: tuple[str, Runnable], id_: Id, seen_at: Spot | None, body: bytes, beside: Beside
        ) -> tuple[Said, Applied]:
            def then(tx: Connection) -> None:
                beside(tx)
                other.begin(stop)
                assert other.waits(site.storage.url)

            return apply_callback(site, by, id_, seen_at, body, then)

        doors = Callbacks(site.storage, site.plugin_key, under_way, served_uses(served))
        doors.take(delivered(served, plugin, message), delivery, BODY)
        other.end()
    assert served.here(Messages).show(str(int(message.id))).tags == ("t",)


@pytest.mark.parametrize("served", ["postgresql"], indirect=True)
def test_rule_g3_no_plugin_puts_off_its_end_by_using_its_token(served: Served, plugin: str) -> None:
    """Who stops it comes before every use that began later, however many there are at a time."""
    issued = served.here(PluginTokens).create(plugin, NewPluginToken(scopes=(TokenScope.METRICS,)))
    site, uses = served.site, served_uses(served)
    claims = tokens.read(site.plugin_key.get(), issued.jwt)
    with OneMore() as stops_it, OneMore() as uses_it:
        with site.storage.write() as tx:
            uses.count(tx, claims, uses.admit(claims))
            stops_it.begin(partial(served.here(Plugins).disable, plugin))
            assert stops_it.waits(site.storage.url)
            uses_it.begin(partial(callbacks(served, uses).tell, issued.jwt, b'{"metrics": {"a": 1}}'))
            assert uses_it.waits(site.storage.url, beside=1)
        stops_it.end()
        with pytest.raises(Forbidden):
            uses_it.end()
    assert served.here(Plugins).show(plugin).metrics == {}


@pytest.mark.parametrize("served", ["postgresql"], indirect=True)
def test_a_token_is_issued_anew_while_its_delivery_is_spoken_of(
    served: Served, plugin: str, message: Message
) -> None:
    """A callback holds the message and comes to the plugin: nobody goes the other way round."""
    delivery, site = delivery_of(plugin, message), served.site
    new = NewPluginToken(scopes=(TokenScope.CALLBACK,), delivery=delivery)
    issued = served.here(PluginTokens).create(plugin, new)
    again = partial(served.here(PluginTokens).reissue, plugin, issued.token.id)
    with OneMore() as other:

        def under_way(
            by: tuple[str, Runnable], id_: Id, seen_at: Spot | None, body: bytes, beside: Beside
        ) -> tuple[Said, Applied]:
            def then(tx: Connection) -> None:
                other.begin(again)
                assert not other.waits(site.storage.url)
                beside(tx)

            return apply_callback(site, by, id_, seen_at, body, then)

        doors = Callbacks(site.storage, site.plugin_key, under_way, served_uses(served))
        with pytest.raises(Unauthenticated):
            doors.take(issued.jwt, delivery, BODY)
        other.end()
    assert served.here(Messages).show(str(int(message.id))).tags == ()


@pytest.mark.parametrize("served", ["postgresql"], indirect=True)
def test_refusals_are_written_down_in_one_order(served: Served, plugin: str) -> None:
    """Of many tokens by their ids, however they came: two servers wait for each other at the most."""
    site, seconds = served.site, [0.0]
    new = NewPluginToken(scopes=(TokenScope.METRICS,))
    issued = [served.here(PluginTokens).create(plugin, new) for _ in range(2)]
    first, second = sorted(tokens.read(site.plugin_key.get(), one.jwt).id for one in issued)
    kept = Refusals(lambda: seconds[0])
    uses = TokenUses(site.storage, lambda: site.ids, kept)
    last = next(
        claims for one in issued if (claims := tokens.read(site.plugin_key.get(), one.jwt)).id == first
    )
    for _ in range(WRITES_A_MINUTE + 1):
        kept.to_write(plugin, second)
    seconds[0] = 60.0
    with OneMore() as other:
        with site.storage.write() as tx:
            plugin_tokens.count(tx, first, refused=True)
            other.begin(partial(uses.refuse, last))
            assert other.waits(site.storage.url)
            plugin_tokens.count(tx, second, refused=True)
        other.end()
    found = served.here(PluginTokens).browse(plugin).items
    assert [one.refused for one in sorted(found, key=lambda one: one.id)] == [2, 2]
