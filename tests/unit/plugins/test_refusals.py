"""Refused tokens are written down in few transactions, and none is forgotten."""

from __future__ import annotations

from mairust_core.plugins.refusals import MAX_PLUGINS, MAX_TOKENS, WRITES_A_MINUTE, Refusals, Refused


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_plugin_makes_few_transactions_a_minute() -> None:
    """What comes beyond them waits, and is written with the next one."""
    clock = Clock()
    refusals = Refusals(clock)
    first = [refusals.to_write("p", "t") for _ in range(WRITES_A_MINUTE + 5)]
    assert first == [Refused(1, {"t": 1})] * WRITES_A_MINUTE + [None] * 5
    assert refusals.to_write("other", "t") == Refused(1, {"t": 1})
    clock.now = 60
    assert refusals.to_write("p", "u") == Refused(6, {"t": 5, "u": 1})
    assert refusals.to_write("p", "u") == Refused(1, {"u": 1})


def test_rule_d2_of_many_tokens_some_are_written_by_name_and_all_by_their_sum() -> None:
    """A transaction is short, whatever a plugin does."""
    clock = Clock()
    refusals = Refusals(clock)
    for _ in range(WRITES_A_MINUTE):
        refusals.to_write("p", "t")
    for number in range(MAX_TOKENS + 9):
        assert refusals.to_write("p", f"t{number}") is None
    clock.now = 60
    found = refusals.to_write("p", "t0")
    assert found is not None
    assert (found.times, len(found.tokens), found.tokens["t0"]) == (MAX_TOKENS + 10, MAX_TOKENS, 2)


def test_of_many_plugins_the_first_are_forgotten() -> None:
    """The memory is bounded."""
    refusals = Refusals(Clock())
    for _ in range(WRITES_A_MINUTE):
        refusals.to_write("p0", "t")
    assert refusals.to_write("p0", "t") is None
    for number in range(1, MAX_PLUGINS + 1):
        refusals.to_write(f"p{number}", "t")
    assert refusals.to_write("p0", "t") == Refused(1, {"t": 1})
