"""The places of one hook: in order, in time, and none is lost."""

from __future__ import annotations

import asyncio

import pytest

from mairust_core.hooks.bulkhead import Bulkhead

LONG_S = 60.0


async def waiting(places: Bulkhead, count: int, within_s: float = LONG_S) -> list[asyncio.Task[bool]]:
    """So many who want a place, each asking after the one before."""
    found = [asyncio.create_task(places.take(within_s)) for _ in range(count)]
    await asyncio.sleep(0)
    return found


async def test_rule_e4_no_more_than_its_places_in_the_order_in_which_they_are_wanted() -> None:
    """A place that is given back is the next one's."""
    places = Bulkhead(2)
    assert [await places.take(LONG_S) for _ in range(2)] == [True, True]
    first, second = await waiting(places, 2)
    assert not first.done()
    places.give_back()
    assert await first
    assert not second.done()
    places.give_back()
    assert await second


async def test_rule_e4_who_waits_too_long_gets_none_and_holds_up_nobody() -> None:
    """The place goes to whoever still wants it."""
    places = Bulkhead(1)
    assert await places.take(LONG_S)
    assert not await places.take(0.001)
    [patient] = await waiting(places, 1)
    places.give_back()
    assert await patient


async def test_rule_e4_a_place_given_back_is_one_place() -> None:
    """Also when nobody waits for it."""
    places = Bulkhead(1)
    for _ in range(2):
        assert await places.take(0)
        assert not await places.take(0)
        places.give_back()


@pytest.mark.parametrize("given", [False, True])
async def test_no_place_is_lost_with_who_is_cancelled(given: bool) -> None:
    """Neither while it waits nor at the very moment when the place becomes its own."""
    places = Bulkhead(1)
    await places.take(LONG_S)
    gone, next_ = await waiting(places, 2)
    if given:
        places.give_back()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    if not given:
        places.give_back()
    assert await next_
    places.give_back()
    assert await places.take(0)


async def test_a_place_given_back_as_somebody_is_cancelled_is_the_next_ones() -> None:
    """Whoever was cancelled has not noticed yet: its own end stays a cancellation."""
    places = Bulkhead(1)
    await places.take(LONG_S)
    gone, next_ = await waiting(places, 2)
    gone.cancel()
    places.give_back()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert await next_
