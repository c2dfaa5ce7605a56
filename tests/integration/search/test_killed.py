"""An indexer that is killed at any statement leaves a whole index, and the next one goes on (rule J1)."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from mairust_core.app import opened
from mairust_core.config import Settings
from mairust_core.first_run import create_site
from mairust_core.model.search import Rebuild
from mairust_core.search.database import STEP_ROWS
from mairust_core.search.finding import find
from mairust_core.search.grammar import parse
from mairust_core.search.indexing import index_some
from mairust_core.services.index import Index
from tests.support import forks
from tests.support.invariants import check_site
from tests.support.searching import TESTER, Letter, Mailbag

ROOT = Path(__file__).parents[3]
INDEX = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import event
from mairust_core.app import opened
from mairust_core.config import load_settings
from mairust_core.search.indexing import index_some
settings = load_settings(data_dir=Path(sys.argv[1]), env={}, overrides={"database.url": sys.argv[2]})
left = int(sys.argv[3])
def die(*_):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
with opened(settings) as site:
    event.listen(site.storage.engine, "before_cursor_execute", die)
    event.listen(site.storage.engine, "commit", die)
    index_some(site, rest=lambda _: None)
"""


def killed(settings: Settings, at: int) -> bool:
    """Index in a process that kills itself at its so-manieth statement or commit; False when it had fewer."""
    done = forks.run(
        [sys.executable, "-c", INDEX, str(settings.data_dir), settings.database.url, str(at)],
        cwd=ROOT,
        text=True,
        timeout=120,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def exact(bag: Mailbag) -> bool:
    """Whether a search finds what it should."""
    node = parse("京都 -two")
    found = find(bag.site, TESTER, bag.address, node, "", 500)
    return [int(one.id) for one in found.items] == bag.expected(node) and found.complete


def _body(at: int, words: int) -> str:
    """A text that some find, and so many words that no other has: rows of the index of their own."""
    return " ".join([f"京都 number {('one', 'two')[at % 2]} {at}", *(f"w{at}x{one}" for one in range(words))])


@pytest.mark.parametrize("work", ["queue", "rebuild", "fill", "large"])
def test_rule_j1_killed_at_any_step_nothing_is_lost(site_settings: Settings, work: str) -> None:
    """After each kill every message is queued or indexed, once, and searches are exact.

    A large segment is written in several transactions: what a kill leaves of it is never seen.
    """
    create_site(site_settings, "tester")
    with opened(site_settings) as site:
        ann = Mailbag.of(site, "ann@example.org")
        words = 2 * STEP_ROWS // 12 if work == "large" else 0
        ann.put(*(Letter(body=_body(at, words)) for at in range(12)))
        if work in ("rebuild", "fill"):
            index_some(site, rest=lambda _: None)
        if work == "fill":
            site.service(Index, TESTER).drop()
        if work in ("rebuild", "fill"):
            site.service(Index, TESTER).rebuild(Rebuild())
        kills = 0
        at = 2
        while killed(site_settings, at):
            kills += 1
            assert check_site(site_settings, site.blobs) == []
            assert exact(ann)
            at += 3
        assert kills >= 3
        assert exact(ann)
        found = site.service(Index, TESTER).status()
        assert (found.mode, found.documents, found.queued, found.stale) == ("on", 12, 0, 0)
