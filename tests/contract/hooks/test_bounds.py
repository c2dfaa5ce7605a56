"""What one process holds of hooks at a time, and what happens beyond it (rules B4, E4, E5, J3)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from mairust_core.hooks import Told
from mairust_core.hooks.answers import fallback
from mairust_core.hooks.breakers import NoBreakers
from mairust_core.hooks.calls import BULKHEAD, SLOT_MS, Caller, Outcome
from mairust_core.hooks.log import Line, Lines, Noted
from mairust_core.hooks.pool import Transports
from mairust_core.hooks.shadows import Shadow, Shadows
from mairust_core.hooks.steps import Step
from mairust_core.jobs.lease import Lease
from mairust_core.model.hook import Fallback, HookType, Mode
from mairust_core.receive.afterwards import Afterwards
from mairust_core.store import breakers
from tests.contract.hooks.conftest import House, mail
from tests.support.hooking import NoLog, Plugins, registered

POST = HookType.POST_RECEIVE
BODY = b'{"message": {}}'


class Together:
    """A plugin that counts how many are asked at a time."""

    def __init__(self) -> None:
        self.asked = self.now = self.most = 0
        self.patience_s = 0.05

    async def __call__(self, _: dict[str, Any]) -> dict[str, Any]:
        self.asked += 1
        self.now += 1
        self.most = max(self.most, self.now)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.patience_s):
                while self.most < 2:  # noqa: ASYNC110 - nobody says when another one comes
                    await asyncio.sleep(0.01)
        self.now -= 1
        return {"action": "deliver"}


async def test_rule_b4_large_messages_are_asked_about_one_by_one(house: House) -> None:
    """Small ones beside each other."""
    plugin = Together()
    await house.hook(plugin, registered("p", POST))
    small, large = mail(), mail(body="x" * 500)
    for data in (small, small, large, large, large):
        await house.receive(data=data)
    jobs = house.jobs("hook")
    handler = Afterwards(house.site, house.chain, large_bytes=len(small) + 50, large_at_once=1).ask

    async def run(some: Sequence[Any], patience_s: float) -> int:
        plugin.most, plugin.patience_s = 0, patience_s
        held = [house.leased(one) for one in some]
        await asyncio.gather(*(handler(house.site, one.payload, Lease(one)) for one in held))
        return plugin.most

    assert (await run(jobs[:2], 20), await run(jobs[2:], 0.05)) == (2, 1)


def _shadow(number: int, size_bytes: int = len(BODY)) -> Shadow:
    return Shadow(
        registered=registered("shadow", mode=Mode.SHADOW),
        accounts=(),
        delivery_id=f"d{number}",
        recipient="ann@example.org",
        request=BODY.ljust(size_bytes),
        mail="00" * 32,
    )


async def test_shadow_calls_beyond_a_bound_are_left_out_and_counted(house: House) -> None:
    """In number, and in bytes; they are not to hold up or fill a server."""
    plugin = Together()
    plugins = Plugins(com_example_test=plugin)
    transports = Transports(lambda _: plugins.open)
    transports.prepare([registered().plugin])
    caller = Caller(transports, NoBreakers())
    threads = house.chain._threads
    for most, most_bytes in ((2, 1000), (9, 60)):
        shadows = Shadows(house.site.storage, threads, caller, Lines(NoLog()), most, most_bytes)
        plugin.asked = 0
        for number in range(3):
            shadows.begin(Told(verdicts={}, shadows=[_shadow(number, 25)]), 1, {})
        assert shadows.left_out == 1
        await shadows.close()
    await transports.close()


def test_lines_of_the_log_beyond_a_bound_are_left_out() -> None:
    """Until the next flush."""
    written: list[Line] = []

    class Log:
        def record(self, noted: Noted) -> None:
            written.extend(noted.lines)

    lines = Lines(Log(), most=2)
    for _ in range(2):
        lines.note([_step()] * 3, None, {})
        lines.flush()
    assert len(written) == 4


def _step() -> Step:
    said = fallback(Fallback.ALLOW, "x")
    return Step(
        registered=registered(), accounts=(), at_ms=0, delivery_id="d", recipient="", request=b"",
        outcome=Outcome(said=said, ms=0.0),
    )  # fmt: skip


async def test_a_job_waits_longer_for_its_turn_than_mail_does() -> None:
    """Rule E4: nobody waits for its reply, and a burst of mail makes more jobs than calls."""
    release = asyncio.Event()
    waiting: list[int] = []

    async def slow(_: dict[str, Any]) -> dict[str, Any]:
        waiting.append(1)
        await release.wait()
        return {"action": "deliver"}

    plugins = Plugins(com_example_test=slow)
    transports = Transports(lambda _: plugins.open)
    one = registered("p", POST, timeout_ms=60_000)
    transports.prepare([one.plugin])
    caller = Caller(transports, NoBreakers())
    calls = [
        asyncio.create_task(caller.ask(one, f"d{number}", BODY, "00", 60_000))
        for number in range(BULKHEAD + 1)
    ]
    await asyncio.sleep(2 * SLOT_MS / 1000)
    assert len(waiting) == BULKHEAD
    release.set()
    assert [(await call).error for call in calls] == [None] * (BULKHEAD + 1)
    await transports.close()


def test_rule_e5_no_more_than_so_many_mails_are_remembered(house: House) -> None:
    """Whoever sends mail that breaks a hook does not fill the table; each is there once."""
    storage, hashes = house.site.storage, [f"{number:02x}" * 32 for number in range(4)]
    with storage.write() as tx:
        for _ in range(2):
            for one in hashes:
                breakers.fail(storage, tx, "guard", one, "it crashed", 4)
            breakers.poison(storage, tx, "guard", most=3)
        known = breakers.load(storage, tx).poison
    assert len([1 for hook, _ in known if hook == "guard"]) == 3
