"""Breakers, as pure decisions (rule E5)."""

from __future__ import annotations

from mairust_core.model.breaker import CLOSED, PROBING_MS, after_failed_probe, after_failure


def test_rule_e5_one_process_at_a_time_sends_the_probe() -> None:
    """Whoever sees the failure that is one too many; another one only when that one has not come back."""
    found = CLOSED
    probes = []
    for number, at_ms in enumerate((0, 1, 2, 3, 2 + PROBING_MS - 1, 2 + PROBING_MS)):
        found, probe = after_failure(found, f"mail {number}", "it crashed", 3, at_ms)
        probes.append(probe)
    assert probes == [False, False, True, False, False, True]
    again, probe = after_failure(after_failed_probe(found, 0), "mail", "it crashed", 3, PROBING_MS + 3)
    assert probe
    assert again.open_until_ms is not None
