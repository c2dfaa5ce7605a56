"""Names looked up for plugins: on threads of their own, shared, bounded, failures remembered."""

from __future__ import annotations

import asyncio
import threading

import pytest

from mairust_core.sandbox.names import AT_ONCE, Found, Names

HERE: Found = [(2, 1, 6, "", ("127.0.0.1", 1))]


class _Resolver:
    """One that answers when it is let; `begun` counts the look-ups."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun: list[str] = []
        self.threads: set[str] = set()

    def __call__(self, host: str, port: int) -> Found:
        """Wait, then answer; names with `no` lead nowhere."""
        self.begun.append(host)
        self.threads.add(threading.current_thread().name)
        self.gate.wait(30)
        if "no" in host:
            raise OSError(f"{host} is not known")
        return HERE


async def test_rule_e4_slow_names_hold_no_thread_of_the_server() -> None:
    """Two look-ups at a time for any number of callers, cancelled ones included; the default pool is free."""
    resolver = _Resolver()
    names = Names(resolver)
    asking = [asyncio.create_task(names.find(f"slow{n}.example", 1)) for n in range(24)]
    given_up = asking[:12]
    await asyncio.to_thread(lambda: None)  # whose threads they would be, if they were anybody's
    for one in given_up:
        one.cancel()
    await asyncio.gather(*given_up, return_exceptions=True)
    assert len(resolver.begun) == AT_ONCE
    resolver.gate.set()
    assert await asyncio.gather(*asking[12:]) == [HERE] * 12
    assert resolver.threads == {"names"}


async def test_who_wants_the_same_shares_a_look_up() -> None:
    """However many, and though the first of them gives up."""
    resolver = _Resolver()
    names = Names(resolver)
    asking = [asyncio.create_task(names.find("one.example", 1)) for _ in range(9)]
    await asyncio.sleep(0)
    asking[0].cancel()
    resolver.gate.set()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert found[1:] == [HERE] * 8
    assert resolver.begun == ["one.example"]


@pytest.mark.parametrize(("failed_s", "looked_up"), [(60.0, 1), (0.0, 2)])
async def test_a_name_that_led_nowhere_is_not_looked_up_again_at_once(
    failed_s: float, looked_up: int
) -> None:
    """For some seconds it fails by itself."""
    resolver = _Resolver()
    resolver.gate.set()
    names = Names(resolver, failed_s)
    for _ in range(2):
        with pytest.raises(OSError, match="not known"):
            await names.find("no.example", 1)
    assert len(resolver.begun) == looked_up


async def test_an_address_is_nothing_to_look_up() -> None:
    """And a name that cannot be one is an error like others."""
    resolver = _Resolver()
    assert [one[4][:2] for one in await Names(resolver).find("127.0.0.1", 80)] == [("127.0.0.1", 80)]
    assert resolver.begun == []
    with pytest.raises(OSError, match=r"."):
        await Names().find("a" * 64 + ".example", 80)
