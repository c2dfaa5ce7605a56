"""What plugins wrote, as their log keeps it: cleaned, cut, without secrets, and not too much at once."""

from __future__ import annotations

import pytest

from mairust_core.hooks.answers import Said, fallback
from mairust_core.hooks.calls import Outcome
from mairust_core.hooks.figures import Figure, Figures
from mairust_core.hooks.sayings import MAX_LINE_BYTES, MAX_WAITING, Sayings, cleaned
from mairust_core.hooks.steps import Step
from mairust_core.hooks.transport import Used
from mairust_core.model.hook import Fallback
from mairust_core.model.plugin import Protocol
from mairust_core.model.plugin_life import LogOrigin
from mairust_core.model.verdict import Action
from tests.support.hooking import registered, runnable

SAID = Said(action=Action.DELIVER)


def step(log: str = "", error: str | None = None, plugin: str = "com.example.a") -> Step:
    """A question, what the plugin wrote meanwhile, and why it failed."""
    one = registered("a", plugin=runnable(plugin))
    said = SAID if error is None else fallback(Fallback.ALLOW, error)
    return Step(
        registered=one, accounts=(1,), at_ms=5, delivery_id="1", recipient="a@b", request=b"",
        outcome=Outcome(said=said, ms=1.0, error=error, log=log),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("plain words", "plain words"),
        ("\x1b[31mred\x1b[0m\ttab\x00nul\u202eoffer\u2028line", "[31mred [0m tab nul offer line"),
        ("token=abcdefgh12345678 rest", "token=*** rest"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ('{"password": "hunter2!"}', '{"password": "***"}'),
        ("got mps_abcdefghijklmnop!", "got ***!"),
        ("key mk_0123456789_abcdefgh", "key ***"),
        ("jwt eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJtIn0.c2ln ends", "jwt *** ends"),
        ("the token expired", "the token expired"),
        ("password wrong", "password wrong"),
        ("件名\ud800", "件名"),
        ("x" * 600, "x" * (MAX_LINE_BYTES - 3) + "…"),
    ],
)
def test_trap_a3_a_line_is_clean_short_and_tells_no_secret(written: str, kept: str) -> None:
    """No escape, no bidi override, nothing that looks like a key of ours; cut between two characters."""
    assert cleaned(written) == kept
    assert len(cleaned(written).encode()) <= MAX_LINE_BYTES


def test_a_character_is_not_broken_by_the_cut() -> None:
    """Whatever its bytes."""
    found = cleaned("漢" * 300)
    assert found == "漢" * 169 + "…"


def test_lines_and_reasons_are_kept_apart() -> None:
    """What the plugin wrote, and what we say of the call; empty lines are none."""
    sayings = Sayings()
    sayings.add(step("one\n\n  \ntwo\r\n", "it ended"))
    sayings.add(step())
    found = sayings.take()
    assert [(one.origin, one.text) for one in found] == [
        (LogOrigin.STDERR, "one"), (LogOrigin.STDERR, "two"), (LogOrigin.ERROR, "it ended"),
    ]  # fmt: skip
    assert {(one.plugin, one.hook, one.at_ms) for one in found} == {("com.example.a", "a", 5)}
    assert sayings.take() == []


def test_trap_h8_a_plugin_that_floods_its_log_fills_only_its_own() -> None:
    """What is too much is counted; other plugins lose nothing."""
    sayings = Sayings()
    for _ in range(3):
        sayings.add(step("\n".join(["flood"] * MAX_WAITING)))
    sayings.add(step("calm", plugin="com.example.b"))
    found = sayings.take()
    of_flooder = [one for one in found if one.plugin == "com.example.a"]
    assert len(of_flooder) == MAX_WAITING + 1
    assert of_flooder[-1].text == f"{2 * MAX_WAITING} more lines are left out: there were too many at once"
    assert [one.text for one in found if one.plugin == "com.example.b"] == ["calm"]


def test_calls_are_added_up_for_each_plugin() -> None:
    """Time, CPU, the most memory; failures, those too late among them, and what was not asked."""
    figures = Figures()
    local, remote = runnable("com.example.a"), runnable("com.example.b", protocol=Protocol.HTTP)
    figures.add(local, Outcome(said=SAID, ms=1.5, used=Used(cpu_us=10, memory_bytes=7)), 5)
    figures.add(local, Outcome(said=SAID, ms=2.5, error="x", used=Used(cpu_us=5, memory_bytes=3)), 5)
    figures.add(local, Outcome(said=SAID, ms=1.0, error="late", late=True), 5)
    figures.add(local, Outcome(said=SAID, ms=0, error="open", called=False), 5)
    figures.add(remote, Outcome(said=SAID, ms=1.0), 5)
    taken = figures.take()
    found = taken["com.example.a"]
    assert (found.calls, found.failures, found.timeouts, found.skipped, found.signed) == (3, 2, 1, 1, 0)
    assert (found.wall_us, found.cpu_us, found.peak_bytes) == (5000, 15, 7)
    assert (taken["com.example.b"].calls, taken["com.example.b"].signed) == (1, 1)
    assert figures.take() == {}


def test_what_could_not_be_written_counts_the_next_time() -> None:
    """Together with what came meanwhile; what was handed out is not changed."""
    figures = Figures()
    figures.add(runnable("a"), Outcome(said=SAID, ms=1.0, used=Used(memory_bytes=9)), 5)
    taken = figures.take()
    figures.add(runnable("a"), Outcome(said=SAID, ms=1.0, used=Used(memory_bytes=4)), 5)
    figures.put_back(taken)
    figures.put_back({"b": Figure(calls=2)})
    found = figures.take()
    assert (found["a"].calls, found["a"].peak_bytes, found["b"].calls) == (2, 9, 2)
    assert taken["a"].calls == 1
