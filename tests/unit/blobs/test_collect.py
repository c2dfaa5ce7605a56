"""A mail while it arrives: memory first, then disk, and nothing left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mairust_core.blobs.collect import Budget, Held, Spooled
from mairust_core.blobs.fs import FsBlobStore
from mairust_core.model.blob import MEMORY_LIMIT_BYTES, Content


def collected(store: FsBlobStore, *chunks: bytes) -> Content:
    """A content that came in these chunks."""
    collector = store.collector()
    for chunk in chunks:
        collector.write(chunk)
    return collector.finish()


def test_rule_b4_a_mail_of_a_mebibyte_stays_in_memory(tmp_path: Path) -> None:
    """At the limit it is in memory, one byte beyond it is on disk."""
    store = FsBlobStore(tmp_path)
    within = collected(store, bytes(MEMORY_LIMIT_BYTES - 1), b"x")
    beyond = collected(store, bytes(MEMORY_LIMIT_BYTES - 1), b"xy")
    assert isinstance(within, Held)
    assert isinstance(beyond, Spooled)
    beyond.close()


def test_trap_s11_a_large_mail_costs_no_budget(tmp_path: Path) -> None:
    """From the moment it goes to disk it counts nothing; while in memory it counts whole."""
    budget = Budget(2 * MEMORY_LIMIT_BYTES)
    store = FsBlobStore(tmp_path, budget=budget)
    collector = store.collector()
    collector.write(bytes(MEMORY_LIMIT_BYTES))
    assert budget.in_flight_bytes == MEMORY_LIMIT_BYTES
    for _ in range(20):
        collector.write(bytes(MEMORY_LIMIT_BYTES))
        assert budget.in_flight_bytes == 0
    content = collector.finish()
    assert content.size_bytes == 21 * MEMORY_LIMIT_BYTES
    content.close()
    assert budget.in_flight_bytes == 0


def test_what_is_discarded_or_closed_leaves_nothing(tmp_path: Path) -> None:
    """No file, no descriptor: for discarded collectors, closed contents, published ones."""
    store = FsBlobStore(tmp_path)
    store.put_many([])
    before = len(os.listdir("/proc/self/fd"))
    data = bytes(MEMORY_LIMIT_BYTES + 1)
    dropped = store.collector()
    dropped.write(data)
    dropped.discard()
    dropped.discard()
    unpublished, published = collected(store, data), collected(store, data)
    store.put_many([published])
    for content in (unpublished, unpublished, published):
        content.close()
    assert len(os.listdir("/proc/self/fd")) == before
    assert list((tmp_path / "tmp").iterdir()) == []
    assert len(list((tmp_path / "files").glob("*/*"))) == 1


def test_a_view_outlives_nothing_but_itself(tmp_path: Path) -> None:
    """A map that is dropped is gone; a closed content gives no new one."""
    store = FsBlobStore(tmp_path)
    content = collected(store, bytes(MEMORY_LIMIT_BYTES), b"needle")
    view = content.view()
    assert (len(view), view.find(b"needle")) == (MEMORY_LIMIT_BYTES + 6, MEMORY_LIMIT_BYTES)
    content.close()
    assert view[-6:] == b"needle"
    with pytest.raises(ValueError, match="closed"):
        content.view()


def test_content_collected_by_another_store_is_copied(tmp_path: Path) -> None:
    """A part cannot be published into a directory it does not lie in."""
    one, two = FsBlobStore(tmp_path / "one"), FsBlobStore(tmp_path / "two")
    content = collected(one, os.urandom(MEMORY_LIMIT_BYTES + 1))
    [locator] = two.put_many([content])
    assert two.get(locator, content.sha256) == content.view()[:]
    content.close()


def test_parts_of_living_processes_are_not_discarded(tmp_path: Path) -> None:
    """A temporary file goes only when it is old enough and nobody holds it."""
    store = FsBlobStore(tmp_path)
    content = collected(store, bytes(MEMORY_LIMIT_BYTES + 1))
    (tmp_path / "tmp" / "left-by-a-crash").write_bytes(b"x")
    assert store.discard_abandoned(3600) == 0
    assert store.discard_abandoned(-1) == 1
    [locator] = store.put_many([content])
    assert store.get(locator, content.sha256) == content.view()[:]
    content.close()


def test_own_files_are_listed_by_age(tmp_path: Path) -> None:
    """Collection sees every published file that is old enough, referenced or not."""
    store = FsBlobStore(tmp_path)
    contents = [collected(store, bytes(MEMORY_LIMIT_BYTES + 1)) for _ in range(2)]
    locators = store.put_many(contents)
    for content in contents:
        content.close()
    assert sorted(store.locators_of_files(-1)) == sorted(locators)
    assert list(store.locators_of_files(3600)) == []
    store.delete_many(locators[:1])
    assert list(store.locators_of_files(-1)) == locators[1:]
