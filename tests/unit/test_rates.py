"""How many requests a client may make, by a clock that the test moves."""

from __future__ import annotations

import pytest

from mairust_core.api.rates import BURST_S, MAX_BUCKETS, Rates
from mairust_core.errors import TooMany


class Clock:
    """Seconds that stand still until they are moved."""

    now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def granted(rates: Rates, name: str = "a", most: int = 10_000) -> int:
    """How many requests are granted at once."""
    for count in range(most):
        try:
            rates.take(name)
        except TooMany:
            return count
    return most


@pytest.mark.parametrize(("per_minute", "at_once"), [(600, 100), (60, 10), (6, 1), (1, 1)])
def test_ten_seconds_worth_may_come_at_once(per_minute: int, at_once: int) -> None:
    """But one request at least, however low the rate."""
    assert granted(Rates(per_minute, Clock())) == at_once


def test_the_rate_is_granted_in_the_long_run() -> None:
    """Not one more over an hour, whenever they come."""
    clock = Clock()
    rates = Rates(60, clock)
    taken = granted(rates)
    for _ in range(3600):
        clock.now += 1.0
        taken += granted(rates)
    assert taken == 3600 + BURST_S


def test_a_refusal_says_how_long_and_costs_nothing() -> None:
    """Whoever goes on asking is not kept out for longer."""
    clock = Clock()
    rates = Rates(6, clock)
    assert granted(rates) == 1
    for _ in range(50):
        with pytest.raises(TooMany) as refused:
            rates.take("a")
        assert refused.value.values["retry_after_s"] == 10
    clock.now += 10
    rates.take("a")


def test_clients_are_counted_apart_and_zero_grants_all() -> None:
    """One that is out of requests keeps nobody else out."""
    rates = Rates(60, Clock())
    assert granted(rates, "a") == granted(rates, "b") == 10
    assert granted(Rates(0, Clock())) == 10_000


def test_the_memory_is_bounded() -> None:
    """Full buckets are forgotten, then the oldest; what is forgotten grants more, never less."""
    clock = Clock()
    rates = Rates(60, clock)
    for number in range(MAX_BUCKETS * 2):
        rates.take(str(number))
    assert len(rates._full_at) <= MAX_BUCKETS
    clock.now += 60
    rates.take("one more")
    rates.take("another")
    assert len(rates._full_at) <= MAX_BUCKETS


class Counted(Rates):
    """Counts how often all buckets are looked through."""

    looked = 0

    def _forget_full(self, now: float) -> None:
        self.looked += 1
        super()._forget_full(now)


def test_a_flood_of_new_clients_costs_each_little() -> None:
    """All buckets are looked through once for many of them, not for each."""
    rates = Counted(60, Clock())
    for number in range(MAX_BUCKETS * 2):
        rates.take(str(number))
    assert 1 <= rates.looked <= 17
