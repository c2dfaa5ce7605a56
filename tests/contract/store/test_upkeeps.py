"""What is remembered of things that are done every so often, on both databases."""

from __future__ import annotations

import threading

from mairust_core.store import upkeeps
from tests.support.stores import Kit

WAITS_S = 0.5


def last_outcome(kit: Kit) -> dict[str, int] | None:
    """What the last run came to."""
    with kit.storage.read() as tx:
        done = upkeeps.last(tx, "sweep")
    return None if done is None else dict(done.outcome)


def record(kit: Kit, count: int) -> None:
    """A run has ended."""
    with kit.storage.write() as tx:
        upkeeps.record(tx, "sweep", 0.25, {"swept": count})


def test_the_last_run_is_remembered(kit: Kit) -> None:
    """And none but that."""
    assert last_outcome(kit) is None
    for count in (1, 2):
        record(kit, count)
        assert last_outcome(kit) == {"swept": count}
    with kit.storage.read() as tx:
        done = upkeeps.last(tx, "sweep")
    assert done is not None
    assert done.took_s == 0.25


def test_two_first_runs_that_end_at_once_are_both_good(kit: Kit) -> None:
    """The second one waits for the first and takes its place: on none of them is it an error."""
    raised: list[BaseException] = []

    def second() -> None:
        try:
            record(kit, 2)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=second)
    with kit.storage.write() as tx:
        upkeeps.record(tx, "sweep", 0.25, {"swept": 1})
        thread.start()
        thread.join(WAITS_S)
    thread.join()
    assert raised == []
    assert last_outcome(kit) == {"swept": 2}
