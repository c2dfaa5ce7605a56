"""The transports that need no socket: a function on the loop, a function on a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from mairust_core.hooks.inprocess import THREADS, InProcess
from mairust_core.hooks.memory import MemoryTransport
from mairust_core.hooks.pool import Transports
from mairust_core.hooks.transport import MAX_ANSWER_BYTES, Call, CallEnded, CallFailed, CallTimedOut
from mairust_core.model.plugin import Protocol, Runnable
from tests.support.hooking import runnable

CALL = Call(delivery_id="d", hook="h", body=b'{"a":1}', timeout_ms=5000)
SHORT = Call(delivery_id="d", hook="h", body=b'{"a":1}', timeout_ms=50)


async def test_a_function_of_ours_runs_on_a_thread_and_answers() -> None:
    """It gets the request as an object."""
    seen: list[tuple[dict[str, Any], bool]] = []

    def plugin(told: dict[str, Any]) -> Mapping[str, Any]:
        seen.append((told, threading.current_thread() is threading.main_thread()))
        return {"action": "deliver"}

    assert (await InProcess(plugin).call(CALL)).body == b'{"action": "deliver"}'
    assert seen == [({"a": 1}, False)]


@pytest.mark.parametrize(
    ("answer", "why"),
    [(ZeroDivisionError(), "ZeroDivisionError"), (object(), "TypeError"), (float("nan"), "ValueError"),
     ("x" * MAX_ANSWER_BYTES, "larger than")],
)  # fmt: skip
async def test_trap_h1_whatever_it_raises_is_its_failure(answer: Any, why: str) -> None:
    """With a word, without its text."""

    def plugin(_: dict[str, Any]) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(CallFailed, match=why):
        await InProcess(plugin).call(CALL)


async def test_one_that_does_not_return_is_left_behind() -> None:
    """The call ends in time; when all threads are taken the next one waits, and that counts (rule E4)."""
    release = threading.Event()

    def plugin(_: dict[str, Any]) -> Mapping[str, Any]:
        release.wait(30)
        return {"action": "deliver"}

    transport = InProcess(plugin)
    late = await asyncio.gather(*(transport.call(SHORT) for _ in range(THREADS + 2)), return_exceptions=True)
    assert {type(one) for one in late} == {CallTimedOut}
    release.set()
    assert (await transport.call(CALL)).body == b'{"action": "deliver"}'


async def test_memory_keeps_what_was_asked() -> None:
    """And answers with bytes as they are."""
    transport = MemoryTransport(lambda _: b"raw")
    assert (await transport.call(CALL)).body == b"raw"
    assert transport.requests == [{"a": 1}]
    with pytest.raises(CallFailed, match="larger than"):
        await MemoryTransport(lambda _: b"x" * (MAX_ANSWER_BYTES + 1)).call(CALL)


class _Way:
    """A transport that notes that it was closed."""

    def __init__(self) -> None:
        self.closed = False
        self.release = asyncio.Event()

    async def call(self, call: Call) -> Any:
        """Wait."""
        await self.release.wait()

    async def close(self) -> None:
        """Note it."""
        self.closed = True


def _pool() -> tuple[Transports, list[_Way]]:
    """A pool, and the ways that it opened."""
    made: list[_Way] = []

    def opener(_: Runnable) -> Any:
        made.append(_Way())
        return made[-1]

    pool = Transports(lambda _: opener)
    pool.prepare([runnable()])
    return pool, made


async def test_a_transport_is_replaced_when_its_plugin_changes_and_closed_after_its_calls() -> None:
    """Calls under way end on the old one."""
    pool, made = _pool()
    pool.keep([runnable(generation=1)])
    async with pool.to(runnable(generation=1)) as first:
        async with pool.to(runnable(generation=1)) as same:
            assert same is first
        pool.keep([runnable(generation=2)])
        async with pool.to(runnable(generation=2)) as second:
            assert second is not first
        await asyncio.sleep(0)
        assert not made[0].closed
    await asyncio.sleep(0.01)
    assert [one.closed for one in made] == [True, False]
    pool.keep([])
    await pool.close()
    assert [one.closed for one in made] == [True, True]


class _Slow(_Way):
    """One that takes its time to close."""

    ending: asyncio.Event

    async def close(self) -> None:
        """Wait, then note it."""
        await self.ending.wait()
        self.closed = True


async def test_nobody_waits_for_a_way_that_is_slow_to_close() -> None:
    """Neither the last call of the old one, whose answer would come too late, nor the first of the new."""
    made: list[_Slow] = []
    ending = asyncio.Event()

    def opener(_: Runnable) -> Any:
        made.append(_Slow())
        made[-1].ending = ending
        return made[-1]

    pool = Transports(lambda _: opener)
    pool.prepare([runnable()])
    pool.keep([runnable(generation=1)])
    async with asyncio.timeout(5):
        async with pool.to(runnable(generation=1)):
            pool.keep([runnable(generation=2)])
        async with pool.to(runnable(generation=2)) as new:
            assert new is made[1]
        assert not made[0].closed
        closing = asyncio.ensure_future(pool.close())
        await asyncio.sleep(0)
        ending.set()
        await closing
    assert made[0].closed


async def test_mail_that_came_before_a_change_asks_the_version_that_was_in_force() -> None:
    """On a way of its own, which takes nothing from the new one and is closed after it."""
    pool, made = _pool()
    pool.keep([runnable(generation=2)])
    async with pool.to(runnable(generation=2)) as new, pool.to(runnable(generation=1)) as old:
        assert old is not new
    async with pool.to(runnable(generation=2)) as same:
        assert same is new
    await asyncio.sleep(0.01)
    assert [one.closed for one in made] == [False, True]
    await pool.close()
    assert [one.closed for one in made] == [True, True]


async def test_a_way_that_is_not_ready_is_a_failure_until_it_is() -> None:
    """With what went wrong; each preparation tries again, and one that worked is not repeated."""
    tried: list[int] = []

    def find(name: str) -> Any:
        if name != Protocol.INPROCESS:
            return None
        tried.append(1)
        if len(tried) == 1:
            raise OSError(28, "No space left on device")
        return lambda _: _Way()

    pool = Transports(find)
    pool.prepare([runnable()])
    with pytest.raises(CallFailed, match="No space left"):
        async with pool.to(runnable()):
            pass
    pool.prepare([runnable()])
    pool.prepare([runnable(), runnable(protocol=Protocol.HTTP)])
    async with pool.to(runnable()) as way:
        assert isinstance(way, _Way)
    assert len(tried) == 2


async def test_a_plugin_whose_files_cannot_be_had_is_a_failure_until_they_can() -> None:
    """With why; others are asked meanwhile."""
    spam, other = runnable(), replace(runnable(), id="com.example.other")
    missing = {spam.id: "its package cannot be unpacked: No space left"}
    pool = Transports(lambda _: lambda _: _Way(), lambda _: dict(missing))
    pool.prepare([spam, other])
    with pytest.raises(CallFailed, match="No space left"):
        async with pool.to(spam):
            pass
    async with pool.to(other) as way:
        assert isinstance(way, _Way)
    missing.clear()
    pool.prepare([spam, other])
    async with pool.to(spam) as way:
        assert isinstance(way, _Way)


async def test_a_way_that_nobody_knows_is_a_failure() -> None:
    """Such as a process where there is no sandbox."""
    with pytest.raises(CallFailed, match="cannot speak stdin"):
        async with Transports(lambda _: None).to(runnable(protocol=Protocol.STDIN)):
            pass


class _SlowToClose(_Way):
    async def close(self) -> None:
        await asyncio.sleep(0)
        await super().close()


async def test_calls_that_meet_a_new_generation_at_once_share_one_way() -> None:
    """And none is forgotten open."""
    made: list[_Way] = []

    def opener(_: Runnable) -> Any:
        made.append(_SlowToClose())
        return made[-1]

    pool = Transports(lambda _: opener)
    pool.prepare([runnable()])

    async def use(generation: int) -> None:
        async with pool.to(runnable(generation=generation)):
            await asyncio.sleep(0)

    await use(1)
    await asyncio.gather(use(2), use(2), use(2))
    assert [one.closed for one in made] == [True, False]
    await pool.close()
    assert all(one.closed for one in made)


async def test_rule_d3_a_plugin_that_is_gone_is_let_go_at_once() -> None:
    """Its calls under way end, nobody reaches it again, and another plugin's calls go on."""
    ways: dict[str, _Way] = {}

    def opener(plugin: Runnable) -> Any:
        return ways.setdefault(plugin.id, _Way())

    pool = Transports(lambda _: opener)
    one, other = runnable("com.example.one"), runnable("com.example.other")
    pool.prepare([one, other])
    pool.keep([one, other])

    async def use(plugin: Runnable) -> str:
        async with pool.to(plugin):
            await asyncio.sleep(0.05)
        return plugin.id

    calls = [asyncio.create_task(use(plugin)) for plugin in (one, one, other)]
    await asyncio.sleep(0)
    pool.keep([other])
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(it) for it in found] == [CallEnded, CallEnded, str]
    assert (ways["com.example.one"].closed, ways["com.example.other"].closed) == (True, False)
    for plugin in (one, runnable("com.example.other", generation=7)):
        with pytest.raises(CallEnded):
            await use(plugin)
    await pool.close()
