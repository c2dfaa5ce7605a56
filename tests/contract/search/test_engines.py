"""Every engine on every database: exactly what a plain reading finds, newest first (rule J1, B-10)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from mairust_core.app import Site
from mairust_core.errors import BadQuery
from mairust_core.model.search import Found
from mairust_core.search.database import DatabaseEngine
from mairust_core.search.engine import Engine, MemoryEngine
from mairust_core.search.finding import find
from mairust_core.search.grammar import parse
from mairust_core.search.indexing import index_some
from mairust_core.search.query import Node
from mairust_core.store import indexing
from tests.support.extensions.acme_mairust.search import LineEngine
from tests.support.searching import START_MS, TESTER, Letter, Mailbag

WORDS = ["alpha", "beta", "gamma", "delta", "ann", "bob", "see", "you", "tomorrow", "at", "noon", "12", "x1"]
RUNS = ["東京都", "京都", "会議", "の", "は", "ますか", "カイギ", "ミーティング", "都市", "日本語"]
MARKS = [" ", " ", " ", ", ", "-", "。", "、", "\n", "\u3000", "!? "]
FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "\\Draft")


@pytest.fixture(params=["database", "memory", "extension"])
def engine(request: pytest.FixtureRequest, site: Site, tmp_path: Path) -> Engine:
    """The engine under test, put into the site."""
    made: Engine
    match request.param:
        case "database":
            made = DatabaseEngine(site.storage)
        case "memory":
            made = MemoryEngine()
        case _:
            made = LineEngine(tmp_path / "index")
    site.__dict__["engine"] = made
    return made


@pytest.fixture
def rng() -> random.Random:
    """A generator whose seed is printed."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    return random.Random(seed)


def text(rng: random.Random, count: int) -> str:
    """Some words and runs with marks between."""
    return "".join(rng.choice(rng.choice((WORDS, RUNS))) + rng.choice(MARKS) for _ in range(count))


def letter(rng: random.Random) -> Letter:
    """A letter with random words, facts and time."""
    return Letter(
        subject=text(rng, 3).replace("\n", " "),
        body=text(rng, rng.randrange(25)),
        from_=f"{rng.choice(WORDS)} <{rng.choice(WORDS)}@x.example>",
        cc=f"{rng.choice(WORDS)}@y.example" if rng.random() < 0.3 else "",
        filenames=(f"{rng.choice(WORDS)}.pdf",) if rng.random() < 0.3 else (),
        flags=tuple(flag for flag in FLAGS if rng.random() < 0.3),
        tags=tuple(tag for tag in ("red", "blue") if rng.random() < 0.3),
        mailbox=rng.choice(("INBOX", "Archive")),
        received_ms=START_MS + rng.randrange(50) * 86_400_000,
    )


def term(rng: random.Random) -> str:
    """A word, a phrase, a part of a run, or a condition."""
    word = rng.choice(WORDS)
    some = [
        word,
        f"{word}-{rng.choice(WORDS)}",
        f'"{text(rng, 2).strip()}a"',
        f"{rng.choice(('', 'subject:', 'from:'))}{word[: rng.randrange(1, len(word) + 1)]}*",
        f"{word}-{rng.choice(WORDS)[:1]}*",
        rng.choice(RUNS)[: rng.randrange(1, 4)],
        rng.choice(RUNS)[-2:] + rng.choice(RUNS)[:1],
        f"{rng.choice(('subject', 'from', 'to', 'cc', 'filename'))}:{rng.choice((word, '都', '会議'))}",
        f"is:{rng.choice(('read', 'unread', 'flagged', 'answered', 'draft'))}",
        f"{rng.choice(('after', 'before'))}:2026-{rng.choice(('09-25', '10-01', '10-20'))}",
        rng.choice(("has:attachment", "tag:red", "tag:none", "mailbox:inbox", "mailbox:Archive")),
    ]
    return rng.choice(("", "", "", "-")) + rng.choice(some)


def query(rng: random.Random) -> str:
    """A random search."""
    parts = [term(rng) for _ in range(rng.randrange(1, 4))]
    if len(parts) > 1 and rng.random() < 0.4:
        parts[0:2] = [f"{rng.choice(('', '-'))}({parts[0]} OR {parts[1]})"]
    return " ".join(parts)


def search(bag: Mailbag, asked: Node, cursor: str = "", limit: int = 500) -> Found:
    """A page."""
    return find(bag.site, TESTER, bag.address, asked, cursor, limit)


def ids(found: Found) -> list[int]:
    """The ids on a page."""
    return [int(one.id) for one in found.items]


def check(bag: Mailbag, asked: str) -> int:
    """One query in one page and in small ones, against a plain reading; how many hits it has."""
    node = parse(asked)
    expected = bag.expected(node)
    found = search(bag, node)
    assert ids(found) == expected, asked
    assert (found.complete, found.unsearched, found.next_cursor) == (True, 0, None)
    small: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        page = search(bag, node, cursor, 13)
        assert page.complete
        small += ids(page)
        cursor = page.next_cursor
    assert small == expected, asked
    return len(expected)


def queries(rng: random.Random, count: int) -> Sequence[str]:
    """So many that are understood: random ones may hold nothing to look for."""
    made: list[str] = []
    while len(made) < count:
        asked = query(rng)
        try:
            parse(asked)
        except BadQuery:
            continue
        made.append(asked)
    return made


def test_rule_j1_random_searches_find_what_a_plain_reading_finds(
    ann: Mailbag, engine: Engine, rng: random.Random
) -> None:
    """Before indexing, in the middle of it, and after; also when old mail comes late."""
    asked = queries(rng, 15)
    hits = 0
    for round_ in range(3):
        ann.put(*(letter(rng) for _ in range(30)))
        hits += sum(check(ann, one) for one in asked)
        if round_ != 1:
            assert index_some(ann.site, rest=no_rest) > 0
        hits += sum(check(ann, one) for one in asked)
    assert hits > 50


def no_rest(_: float) -> None:
    """Indexing without rests."""


def test_rule_j1_many_small_segments_and_their_merges(
    ann: Mailbag, engine: Engine, rng: random.Random
) -> None:
    """Mail that is indexed one by one is found between any two steps, in the order of its time."""
    for number in range(40):
        ann.put(letter(rng))
        index_some(ann.site, rest=no_rest)
        if number % 8 == 0:
            for one in ("alpha", "京都", "-gamma", "is:unread 会議"):
                check(ann, one)
    if isinstance(engine, DatabaseEngine):
        with ann.site.storage.read() as tx:
            sizes = [one.documents for one in indexing.sizes(tx, ann.account_id)]
        assert sum(sizes) == 40
        assert len(sizes) < 24


def test_rule_j1_japanese_is_found_by_any_two_characters(ann: Mailbag, engine: Engine) -> None:
    """Every part of a run of two characters and more, and single ones too."""
    run = "東京特許許可局長今日急遽休暇許可拒否"
    ann.put(Letter(body=f"前置き。{run}でした"), Letter(body="別の手紙"))
    index_some(ann.site, rest=no_rest)
    for start in range(len(run)):
        for stop in range(start + 1, len(run) + 1):
            assert check(ann, run[start:stop]) == 1, run[start:stop]


def test_trap_a2_an_account_finds_its_own_only(site: Site, ann: Mailbag, engine: Engine) -> None:
    """The same words in another account are never seen, indexed or not."""
    bob = Mailbag.of(site, "bob@example.org")
    for _ in range(2):
        ann.put(Letter(body="shared words"))
        bob.put(Letter(body="shared words"), Letter(body="words of bob"))
        assert check(ann, "words") == len(ann.letters)
        assert check(bob, "words") == len(bob.letters)
        assert check(ann, "bob -from:bob") == 0
        index_some(site, rest=no_rest)
        assert check(ann, "words") == len(ann.letters)


@pytest.mark.parametrize("same_time", [True, False])
def test_a_thousand_hits_come_in_order_through_pages(ann: Mailbag, engine: Engine, same_time: bool) -> None:
    """Each once, also when all of them came in the same millisecond."""
    ann.put(*(Letter(body="needle", received_ms=START_MS + at * (not same_time)) for at in range(1000)))
    index_some(ann.site, rest=no_rest)
    ann.put(Letter(body="needle", received_ms=START_MS + 500))
    node = parse("needle")
    found: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        page = search(ann, node, cursor, 90)
        found += ids(page)
        cursor = page.next_cursor
    assert found == ann.expected(node)
    assert len(found) == 1001
