"""Breakers: a plugin that is down is left alone, mails that break one switch nothing off (rule E5)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from mairust_core.errors import Temporary, Unauthenticated
from mairust_core.hooks.chain import HookChain
from mairust_core.hooks.transport import CallFailed
from mairust_core.model.breaker import BreakerState
from mairust_core.model.hook import Fallback, HookType
from mairust_core.plugins import tokens
from mairust_core.receive.road import open_road
from mairust_core.store import breakers
from tests.contract.hooks.conftest import House, mail, stored_id
from tests.support.hooking import registered, runnable

HOOK = "guard"


class Fragile:
    """A plugin that fails on everything, or on mails that hold a word; it counts what reached it."""

    def __init__(self, word: str | None = None) -> None:
        self.word = word
        self.down = True
        self.mails = 0
        self.probes = 0

    def __call__(self, told: dict[str, Any]) -> dict[str, Any]:
        probe = _is_probe(told)
        self.probes += probe
        self.mails += not probe
        broken = self.word is None or self.word in str(told["message"])
        if self.down and broken:
            raise CallFailed("it crashed")
        return {"action": "deliver", "tags": ["seen"]}


def _is_probe(told: dict[str, Any]) -> bool:
    return bool(told["envelope"]["mail_from"] != "eve@elsewhere.example")


LONG_AGO_MS = 2
"""Just after what `_let_time_pass` writes: whether a minute is over is the test's to say, not the clock's."""


def _state(house: House) -> BreakerState:
    with house.site.storage.read() as tx:
        found = breakers.states(tx, [HOOK]).get(HOOK)
    return BreakerState.CLOSED if found is None else found.state(LONG_AGO_MS)


def _let_time_pass(house: House) -> None:
    """The minute is over."""
    with house.site.storage.write() as tx:
        house.site.storage.execute_many(
            tx, "UPDATE hook_breaker SET open_until_ms = 1 WHERE open_until_ms IS NOT NULL", [()]
        )


async def _hook(house: House, plugin: Fragile, on_error: Fallback = Fallback.ALLOW) -> None:
    await house.hook(plugin, registered(HOOK, on_error=on_error))


@pytest.mark.parametrize("type_", [HookType.PRE_RECEIVE, HookType.PRE_DELIVERY])
async def test_rule_e5_it_opens_after_three_mails_and_a_failed_probe(house: House, type_: HookType) -> None:
    """From then on nobody is asked; the hook answers with its `on_error`, and the trace says why."""
    plugin = Fragile()
    await house.hook(plugin, registered(HOOK, type_, on_error=Fallback.ALLOW))
    for expected in (BreakerState.CLOSED, BreakerState.CLOSED, BreakerState.OPEN):
        await house.receive()
        assert _state(house) is expected
    assert (plugin.mails, plugin.probes) == (3, 1)
    [reply] = await house.receive()
    assert plugin.mails == 3
    [told] = house.trace(stored_id(reply))
    assert told["error"] == "its breaker is open: it crashed"
    assert "saw" not in told


async def test_rule_e5_the_same_mail_counts_once(house: House) -> None:
    """A sender that tries again and again opens nothing."""
    plugin = Fragile()
    await _hook(house, plugin, Fallback.TEMPFAIL)
    data = mail()
    for _ in range(6):
        [reply] = await house.receive(data=data)
        assert reply.code == 451
    assert (_state(house), plugin.probes) == (BreakerState.CLOSED, 0)


async def test_an_answer_between_two_failures_begins_the_count_anew(house: House) -> None:
    """Three in a row is what opens."""
    plugin = Fragile("poison")
    await _hook(house, plugin)
    for body in ("poison", "poison", "fine", "poison", "poison"):
        await house.receive(data=mail(body=body))
    assert (_state(house), plugin.probes) == (BreakerState.CLOSED, 0)


async def test_rule_e5_crafted_mails_neither_switch_a_hook_off_nor_stop_mail(house: House) -> None:
    """The probe is answered: the hook stays, and those mails are not shown to it again."""
    plugin = Fragile("poison")
    await _hook(house, plugin, Fallback.TEMPFAIL)
    crafted = [mail(body="poison") for _ in range(3)]
    for data in crafted:
        [reply] = await house.receive(data=data)
        assert reply.code == 451
    assert (_state(house), plugin.probes) == (BreakerState.CLOSED, 1)
    [reply] = await house.receive(data=mail(body="fine"))
    assert house.box(house.ann)[0].tags == ("seen",)
    asked = plugin.mails
    [reply] = await house.receive(data=crafted[0])
    assert reply.code == 451
    assert plugin.mails == asked


async def test_of_mails_that_were_forgotten_meanwhile_nothing_is_said(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """The breaker is reset while the probe is under way: it is answered, and no mail is held for poison."""

    async def plugin(told: dict[str, Any]) -> dict[str, Any]:
        if not _is_probe(told):
            raise CallFailed("it crashed")
        with house.site.storage.write() as tx:
            breakers.reset(tx, [HOOK])
        await house.chain.poll()
        return {"action": "deliver"}

    await house.hook(plugin, registered(HOOK))
    for _ in range(3):
        await house.receive()
    assert _state(house) is BreakerState.CLOSED
    assert "it sees them no more" not in caplog.text


async def test_rule_e5_after_storing_the_probe_has_a_callback_and_tags_as_mail_has(house: House) -> None:
    """A plugin that answers only where these are missing answers no mail, and its hook is left alone."""
    house.site.listening = {"http": ("127.0.0.1", 8025)}
    asked: list[dict[str, Any]] = []

    def plugin(told: dict[str, Any]) -> dict[str, Any]:
        asked.append(told)
        if told["callback"] or told["tags"]:
            raise CallFailed("it crashed")
        return {"action": "deliver"}

    tagger = registered("tagger", plugin=runnable("com.example.tagger"))
    await house.hook(lambda _: {"action": "deliver", "tags": ["blue"]}, tagger)
    await house.hook(plugin, registered(HOOK, HookType.POST_RECEIVE))
    for _ in range(10):
        await house.receive()
    for job in house.jobs("hook"):
        with pytest.raises(Temporary):
            await house.run(job)
    assert _state(house) is BreakerState.OPEN
    *_, failed, probe = asked
    assert (len(asked), probe["tags"], probe["callback"].keys()) == (11, ["blue"], failed["callback"].keys())
    assert probe["callback"]["url"].endswith(f"/api/v1/plugin/callback/{probe['delivery_id']}")
    with pytest.raises(Unauthenticated):
        tokens.read(house.site.plugin_key.get(), probe["callback"]["token"])


async def test_after_a_minute_one_call_decides(house: House) -> None:
    """Half-open: while it fails it opens again, once it answers it is closed."""
    plugin = Fragile()
    await _hook(house, plugin)
    for _ in range(3):
        await house.receive()
    _let_time_pass(house)
    await house.chain.poll()
    assert _state(house) is BreakerState.HALF_OPEN
    await house.receive()
    assert (plugin.mails, plugin.probes) == (4, 2)
    assert _state(house) is BreakerState.OPEN
    _let_time_pass(house)
    await house.chain.poll()
    plugin.down = False
    await house.receive()
    assert _state(house) is BreakerState.CLOSED
    assert house.box(house.ann)[0].tags == ("seen",)


async def test_half_open_lets_one_mail_through_of_many(house: House) -> None:
    """Also when they come at once."""
    plugin = Fragile()
    await _hook(house, plugin)
    for _ in range(3):
        await house.receive()
    _let_time_pass(house)
    await house.chain.poll()
    await asyncio.gather(*(house.receive() for _ in range(5)))
    assert plugin.mails == 4


async def test_half_open_lets_one_mail_through_of_all_processes(house: House) -> None:
    """Both saw that the minute is over: whoever writes it down first asks."""
    plugin = Fragile()
    await _hook(house, plugin)
    for _ in range(3):
        await house.receive()
    _let_time_pass(house)
    other = house.site.open_chain()
    try:
        await house.chain.poll()
        await other.poll()
        await house.receive()
        await _receive_at(house, other)
    finally:
        await other.close()
    assert plugin.mails == 4


@pytest.mark.parametrize(
    ("budget_ms", "timeout_ms", "expected"),
    [(300, 2000, BreakerState.CLOSED), (30_000, 300, BreakerState.OPEN)],
)
async def test_rule_e5_a_call_that_the_budget_cut_short_counts_for_no_breaker(
    house: House, monkeypatch: pytest.MonkeyPatch, budget_ms: int, timeout_ms: int, expected: BreakerState
) -> None:
    """It had less time than its hook has; one that takes longer than that does count."""
    await house.close()
    settings = house.site.settings
    given = replace(settings, hooks=replace(settings.hooks, budget_ms=budget_ms))
    monkeypatch.setattr(house.site, "settings", given)
    await house.open()

    async def slow(told: dict[str, Any]) -> dict[str, Any]:
        if _is_probe(told):
            raise CallFailed("it crashed")
        await asyncio.sleep(30)
        raise AssertionError

    await house.hook(slow, registered(HOOK, timeout_ms=timeout_ms))
    for _ in range(4):
        await house.receive()
    assert _state(house) is expected


async def test_every_process_sees_an_open_breaker(house: House) -> None:
    """It is in the database: another chain learns of it by its next poll, and of its reset."""
    plugin = Fragile()
    await _hook(house, plugin)
    for _ in range(3):
        await house.receive()
    other = house.site.open_chain()
    try:
        await other.poll()
        found = other.find(HOOK)
        assert found is not None
        assert await other._breakers.refusal(found.hook, "00") is not None
        with house.site.storage.write() as tx:
            breakers.reset(tx, [HOOK])
        await other.poll()
        assert await other._breakers.refusal(found.hook, "00") is None
    finally:
        await other.close()


async def test_two_processes_count_into_one_breaker(house: House) -> None:
    """Distinct mails at each of them add up, and one of them sends the probe."""
    plugin = Fragile()
    await _hook(house, plugin)
    other = house.site.open_chain()
    try:
        await other.poll()
        await house.receive()
        await house.receive()
        await _receive_at(house, other)
    finally:
        await other.close()
    assert (_state(house), plugin.probes) == (BreakerState.OPEN, 1)


async def _receive_at(house: House, chain: HookChain) -> None:
    """One mail in at another process."""
    kept = house.chain, house.road
    house.chain, house.road = chain, open_road(house.site, refusals=house.refusals, hooks=chain)
    try:
        await house.receive()
    finally:
        house.road.close()
        house.chain, house.road = kept


async def test_post_receive_opens_after_ten(house: House) -> None:
    """R-HOOK: what runs later may fail more often."""
    plugin = Fragile()
    await house.hook(plugin, registered(HOOK, HookType.POST_RECEIVE))
    replies = [(await house.receive())[0].code for _ in range(10)]
    jobs = house.jobs("hook")
    assert (replies, len(jobs)) == ([250] * 10, 10)
    for number, job in enumerate(jobs, 1):
        assert _state(house) is BreakerState.CLOSED, number
        with pytest.raises(Exception, match="it crashed"):
            await house.run(job)
    assert _state(house) is BreakerState.OPEN
    assert (plugin.mails, plugin.probes) == (10, 1)


async def test_rule_e4_a_bulkhead_keeps_a_slow_hook_from_taking_everything(house: House) -> None:
    """Thirty-two calls wait; further ones are `on_error` after a moment, and no breaker counts them."""
    release = asyncio.Event()
    waiting = 0

    async def slow(_: dict[str, Any]) -> dict[str, Any]:
        nonlocal waiting
        waiting += 1
        await release.wait()
        return {"action": "deliver", "tags": ["answered"]}

    await house.hook(slow, registered(HOOK, on_error=Fallback.REJECT, timeout_ms=5000))
    tasks = [asyncio.create_task(house.road.receive(*_mail(house))) for _ in range(40)]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    while len(done) < 8:
        more, _ = await asyncio.wait(set(tasks) - done, return_when=asyncio.FIRST_COMPLETED)
        done |= more
    assert waiting == 32
    release.set()
    codes = sorted([(await task)[0].code for task in tasks])
    assert codes == [250] * 32 + [550] * 8
    assert _state(house) is BreakerState.CLOSED


def _mail(house: House) -> tuple[Any, Any]:
    from datetime import UTC, datetime

    from mairust_core.model.blob import Bytes
    from mairust_core.model.envelope import Envelope, Recipient
    from tests.support.hooking import CLIENT

    with house.site.storage.read() as tx:
        [[owner]] = house.site.storage.fetch_all(tx, "SELECT id FROM account WHERE address = ?", (house.ann,))
    envelope = Envelope(
        mail_from="eve@elsewhere.example",
        recipients=(Recipient(address=house.ann, accounts=(owner,)),),
        connection=CLIENT,
        received_at=datetime.now(UTC),
    )
    return envelope, Bytes.of(mail())
