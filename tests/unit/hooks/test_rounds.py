"""One mail before its hooks: memory it waits for, and hooks that change meanwhile (rules B4, D3, E4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mairust_core.hooks import Asked, Told
from mairust_core.hooks.book import Registered
from mairust_core.hooks.breakers import NoBreakers
from mairust_core.hooks.calls import Caller
from mairust_core.hooks.filters import Sieve
from mairust_core.hooks.pool import Transports
from mairust_core.hooks.room import Rooms
from mairust_core.hooks.rounds import Round
from mairust_core.model.hook import Fallback, Filter, HookType, Mode
from mairust_core.model.plugin import Attachments, Body, Permissions
from mairust_core.model.verdict import Action
from tests.support.hooking import Plugins, asked, registered, runnable

WHOLE = Permissions(read_headers=True, read_body=Body.FULL, read_attachments=Attachments.FULL)
LARGE = b"Subject: x\r\n\r\n" + b"x" * (3 << 20)
REJECT = {"action": "reject"}


class Chain:
    """Hooks answered by functions, asked as the real chain asks them, within rooms of the test's size."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._threads = threads
        self.plugins = Plugins()
        self.transports = Transports(lambda _: self.plugins.open)
        self.sieve = Sieve(())
        self.rooms = Rooms()
        self.caller = Caller(self.transports, NoBreakers(), self._find)

    def _find(self, name: str) -> Registered | None:
        return next((one for one in self.sieve.hooks if one.hook.name == name), None)

    async def use(self, *hooks: Registered) -> None:
        """From now on these are in force."""
        self.sieve = Sieve(hooks)
        self.transports.prepare(one.plugin for one in hooks)
        self.transports.keep(one.plugin for one in hooks)

    async def ask(self, mail: Asked, budget_ms: int = 30_000) -> Told:
        """All there are."""
        round_ = Round(self.caller, mail, lambda: self.sieve, budget_ms, self._threads)
        return await round_.told_of(self.sieve.matching(mail), self.rooms)


@pytest.fixture
async def chain() -> AsyncIterator[Chain]:
    """A chain without hooks."""
    with ThreadPoolExecutor(2) as threads:
        made = Chain(threads)
        yield made
        await made.transports.close()


def _accounts(count: int) -> dict[int, Sequence[str]]:
    return {n: [f"u{n}@example.org"] for n in range(1, count + 1)}


class Held:
    """A plugin that answers when it is let; `asked` tells that it was asked."""

    def __init__(self) -> None:
        self.asked, self.gate = asyncio.Event(), asyncio.Event()

    async def __call__(self, _: dict[str, Any]) -> dict[str, Any]:
        """Reject, at last."""
        self.asked.set()
        await self.gate.wait()
        return REJECT


async def test_rule_b4_a_large_mail_to_many_is_asked_about_for_all_of_them(chain: Chain) -> None:
    """However many: as many at a time as fit, and nobody's copy passes unasked."""
    at_once = most = 0

    async def plugin(_: dict[str, Any]) -> dict[str, Any]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.005)
        at_once -= 1
        return REJECT

    chain.plugins.add("com.example.test", plugin)
    chain.rooms = Rooms(usual_bytes=1 << 20, large_bytes=1 << 20)
    hook = registered(
        type_=HookType.PRE_DELIVERY, plugin=runnable(permissions=WHOLE), on_error=Fallback.ALLOW,
        on_timeout=Fallback.ALLOW,
    )  # fmt: skip
    await chain.use(hook)
    told = await chain.ask(asked(LARGE, _accounts(9)))
    assert {one.action for one in told.verdicts.values()} == {Action.REJECT}
    assert most <= 2
    assert [step.outcome.body for step in told.steps] == [None] * 9


async def test_mail_that_finds_no_room_waits_and_is_put_off_at_last(chain: Chain) -> None:
    """Never `on_error`: that others fill memory is no failure of the hook. Small mail takes no notice."""
    held = Held()
    chain.plugins.add("com.example.test", held)
    chain.plugins.add("com.example.small", lambda _: REJECT)
    await chain.use(
        registered(plugin=runnable(permissions=WHOLE), on_error=Fallback.ALLOW, wanted=Filter(size_gt=1000)),
        registered("small", plugin=runnable("com.example.small"), on_error=Fallback.ALLOW, priority=200),
    )
    chain.rooms = Rooms(usual_bytes=1 << 20, large_bytes=1 << 20)
    first = asyncio.create_task(chain.ask(asked(LARGE)))
    await held.asked.wait()
    late = await chain.ask(asked(LARGE), 20)
    assert [one.action for one in late.verdicts.values()] == [Action.TEMPFAIL]
    assert late.steps == ()
    waiting = asyncio.create_task(chain.ask(asked(LARGE)))
    small = await chain.ask(asked(b"Subject: x\r\n\r\nhi"))
    assert [one.action for one in small.verdicts.values()] == [Action.REJECT]
    held.gate.set()
    for told in (await first, await waiting):
        assert [one.action for one in told.verdicts.values()] == [Action.REJECT]


async def test_shadows_beyond_their_bytes_are_left_out(chain: Chain) -> None:
    """What counts is asked all the same; shadows hold no more than there is for all of them."""
    chain.plugins.add("com.example.test", lambda _: {"action": "deliver"})
    plugin = runnable(permissions=WHOLE)
    shadows = [
        registered(f"shadow{n}", HookType.PRE_DELIVERY, plugin=plugin, mode=Mode.SHADOW) for n in range(9)
    ]
    await chain.use(registered("real", plugin=plugin), *shadows)
    told = await chain.ask(asked(LARGE, _accounts(2)))
    assert len(told.steps) == 1
    assert 0 < sum(len(one.request) for one in told.shadows) <= 64 << 20
    assert len(told.shadows) < 18


async def _changed_meanwhile(chain: Chain, *then: Registered) -> Told:
    """Two hooks, of which the second is something else by the time the first has answered."""

    async def slow(_: dict[str, Any]) -> dict[str, Any]:
        await chain.use(*(hook for hook in (one, *then)))
        return {"action": "deliver"}

    one = registered("one", plugin=runnable("com.example.one"), priority=1)
    two = registered("two", plugin=runnable("com.example.two"))
    chain.plugins.add("com.example.one", slow)
    chain.plugins.add("com.example.two", lambda _: REJECT)
    await chain.use(one, two)
    return await chain.ask(asked(b"Subject: x\r\n\r\nhi", _accounts(2)))


async def test_rule_d3_a_hook_that_is_gone_meanwhile_is_not_asked(chain: Chain) -> None:
    """The mail goes on as if it were not there."""
    told = await _changed_meanwhile(chain)
    assert [one.action for one in told.verdicts.values()] == [Action.DELIVER] * 2
    assert chain.plugins.requests("com.example.two") == []


async def test_rule_d3_a_hook_that_changed_meanwhile_is_asked_as_it_is_now(chain: Chain) -> None:
    """By its new permissions, about those whom it wants now."""
    rights = Permissions(read_headers=False)
    plugin = runnable("com.example.two", rights, generation=9)
    wanted = Filter(recipient_matches="^u2@")
    told = await _changed_meanwhile(chain, registered("two", plugin=plugin, wanted=wanted))
    assert {account: one.action for account, one in told.verdicts.items()} == {
        1: Action.DELIVER,
        2: Action.REJECT,
    }
    [request] = chain.plugins.requests("com.example.two")
    assert "headers" not in request["message"]


@pytest.mark.parametrize(("blocked", "expected"), [(False, Action.DELIVER), (True, Action.TEMPFAIL)])
async def test_rule_d3_a_call_of_a_plugin_that_is_gone_ends(
    chain: Chain, blocked: bool, expected: Action
) -> None:
    """At once: removed, it holds up no mail; blocked (rule G5), its `on_error` counts."""
    held = Held()
    chain.plugins.add("com.example.test", held)
    await chain.use(registered())
    asking = asyncio.create_task(chain.ask(asked(b"Subject: x\r\n\r\nhi")))
    await held.asked.wait()
    chain.sieve = Sieve([registered(blocked=True)] if blocked else [])
    chain.transports.keep([])
    told = await asking
    assert [one.action for one in told.verdicts.values()] == [expected]
    assert chain.plugins.opened["com.example.test"].closed
