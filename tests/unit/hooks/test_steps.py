"""What traces and trials keep of a call."""

from __future__ import annotations

from mairust_core.hooks.steps import MAX_LOG, shown_log


def test_of_a_long_log_the_end_is_shown_too() -> None:
    """It is where a traceback says what went wrong; that something is left out is said."""
    whole = "x" * MAX_LOG
    assert shown_log(whole) == whole
    cut = shown_log("Traceback\n" + "y" * 10_000 + "\nKeyError: 'a'")
    assert len(cut) == MAX_LOG
    assert cut.startswith("Traceback\n")
    assert cut.endswith("\nKeyError: 'a'")
    assert "… left out …" in cut
