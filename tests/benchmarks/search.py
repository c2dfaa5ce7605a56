"""Search over many messages: time of a page, rate and size of the index, beside LIKE and notmuch.

``python -m tests.benchmarks.search [--database sqlite|postgresql|both] [--messages 200000] [--queries 200]``

One account holds the mail, made and half Japanese, its texts extracted already. Indexing runs on one thread
without rests. A query is the operation as the API calls it, first page of 50, newest first, every hit decided
on its text; classes are asked in turn. LIKE scans a plain table of the same texts in the same database for
the newest fifty; notmuch, when it is installed, has the same mail in a Maildir and answers each query with a
process (fewer queries of both). Prefixes are beside: no index holds them, so they are read. Real mail
(``MAIRUST_CORPORA``) is indexed beside, with its extraction told apart. Seeds are printed.

With ``--wait`` it says before each measured piece what comes, and begins at a line on stdin: for a machine
that has to be quieted first. ``--no-real`` and ``--no-notmuch`` leave those out. notmuch has the newest
20,000 messages only (``--notmuch-messages``): it indexes one or two hundred a second.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text

from mairust_core.app import Site
from mairust_core.search.indexing import index_some
from mairust_core.services.index import Index
from mairust_core.services.search import Search
from tests.benchmarks.contenders import Engine, engines
from tests.benchmarks.corpus import read_corpus
from tests.benchmarks.filled import ADDRESS, BENCHER, GAP_MS, new_site, store
from tests.benchmarks.notmuch import Notmuch, is_installed
from tests.benchmarks.pieces import piece
from tests.benchmarks.table import Goal, render, verdict
from tests.benchmarks.wordy import Mail, mails

PAGE = 50
P95_GOAL_MS = {"sqlite": 5.0, "postgresql": 15.0}
RATE_GOAL = {"sqlite": 3_000.0, "postgresql": 1_500.0}
SIZE_GOAL = {"sqlite": 0.8, "postgresql": 1.0}
LIKE_QUERIES = 10
NOTMUCH_QUERIES = 40
PREFIXES = 20
PREFIX_LETTERS = 5
COMMONEST = 50
RAREST = 1000

TABLES = ("index_segment", "index_document", "index_posting")
OURS = ("queries", "asked", "hits", "p50 ms", "p95 ms", "max ms", "CPU p95")
HEADING = (*OURS, "LIKE p50", "LIKE max", "notmuch p50", "notmuch p95")


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    """Queries of one kind; `patterns` are what LIKE looks for instead."""

    name: str
    queries: Sequence[str]
    patterns: Sequence[str]


def classes(made: Sequence[Mail], count: int, rng: random.Random) -> list[Class]:
    """The four classes of the goal, drawn from the mail itself."""
    english = [mail for mail in made if not mail.japanese]
    compounds = [mail for mail in made if mail.japanese]
    seen = Counter(word for mail in english for word in set(mail.words))
    by_count = [word for word, _ in seen.most_common()]
    common, rare = by_count[:COMMONEST], by_count[-RAREST:]
    phrases = []
    for mail in rng.choices(english, k=count):
        at, length = rng.randrange(len(mail.words) - 3), rng.choice((2, 3))
        phrases.append(" ".join(mail.words[at : at + length]))
    pairs = [w for mail in rng.choices(compounds, k=4 * count) for w in mail.words if len(w) == 2]
    return [
        _class("rare word", rng.choices(rare, k=count)),
        _class("common word", rng.choices(common, k=count)),
        _class("phrase", phrases, quote='"'),
        _class("Japanese, two characters", rng.choices(pairs, k=count), space=""),
    ]


def _class(name: str, words: Sequence[str], quote: str = "", space: str = " ") -> Class:
    return Class(
        name=name,
        queries=[f"{quote}{word}{quote}" for word in words],
        patterns=[f"%{space}{word}{space}%" for word in words],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Milliseconds of each query of a class, of all and of this thread's CPU alone, and what they found."""

    wall: Sequence[float]
    cpu: Sequence[float]
    hits: int


def ask(site: Site, asked: Sequence[Class]) -> dict[str, Times]:
    """Times of every query by class, on first pages; a warm-up of a few goes before."""
    search = site.service(Search, BENCHER)
    for kind in asked:
        for query in kind.queries[:3]:
            search.find(q=query, account=ADDRESS, limit=PAGE)
    return {kind.name: _ask_each(search, kind) for kind in asked}


def _ask_each(search: Search, kind: Class) -> Times:
    wall, cpu, hits = [], [], 0
    for query in kind.queries:
        began, began_cpu = time.perf_counter(), time.thread_time()
        page = search.find(q=query, account=ADDRESS, limit=PAGE)
        cpu.append((time.thread_time() - began_cpu) * 1000)
        wall.append((time.perf_counter() - began) * 1000)
        assert page.complete, f"{query}: the page is not complete"
        hits += len(page.items)
    return Times(wall=wall, cpu=cpu, hits=hits)


def scan(site: Site, asked: Sequence[Class], made: Sequence[Mail]) -> dict[str, list[float]]:
    """Times of LIKE over a plain table of the same texts, newest fifty."""
    with site.storage.write() as tx:
        tx.execute(text("CREATE TABLE plain (id BIGINT PRIMARY KEY, body TEXT)"))
        rows = [(at, f" {one.text} ") for at, one in enumerate(made)]
        site.storage.execute_many(tx, "INSERT INTO plain (id, body) VALUES (?, ?)", rows)
    like = "SELECT id FROM plain WHERE body LIKE ? ORDER BY id DESC LIMIT 50"
    times: dict[str, list[float]] = {}
    with site.storage.read() as tx:
        for kind in asked:
            times[kind.name] = []
            for pattern in kind.patterns[:LIKE_QUERIES]:
                began = time.perf_counter()
                site.storage.fetch_all(tx, like, (pattern,))
                times[kind.name].append((time.perf_counter() - began) * 1000)
    with site.storage.write() as tx:
        tx.execute(text("DROP TABLE plain"))
    return times


def prefixes(made: Sequence[Mail], rng: random.Random) -> Class:
    """Beginnings of words, `invo*`; judged by nobody: the index holds whole words."""
    words = [w for mail in made if not mail.japanese for w in mail.words if len(w) > PREFIX_LETTERS]
    chosen = [word[:PREFIX_LETTERS] for word in rng.choices(words, k=PREFIXES)]
    return Class(
        name="prefix", queries=[f"{one}*" for one in chosen], patterns=[f"% {one}%" for one in chosen]
    )


def ask_prefixes(site: Site, asked: Class) -> str:
    """A line on the first pages of beginnings of words: their times, and how many were complete."""
    search = site.service(Search, BENCHER)
    wall, complete = [], 0
    for query in asked.queries:
        began = time.perf_counter()
        complete += search.find(q=query, account=ADDRESS, limit=PAGE).complete
        wall.append((time.perf_counter() - began) * 1000)
    return (
        f"beside: {len(wall)} beginnings of words (`{asked.queries[0]}`): p50 {percentile(wall, 0.5):.1f} ms,"
        f" max {max(wall):.0f} ms, {complete} of them complete"
    )


def ask_notmuch(found: Notmuch | None, asked: Sequence[Class]) -> dict[str, list[float]]:
    """Times of notmuch's answers by class; none when it is not there."""
    if found is None:
        return {}
    for kind in asked:
        found.ask(kind.queries[0], PAGE)
    return {kind.name: [found.ask(one, PAGE)[0] for one in kind.queries[:NOTMUCH_QUERIES]] for kind in asked}


def percentile(times: Sequence[float], share: float) -> float:
    """The time that so large a share stays below."""
    return sorted(times)[min(int(share * len(times)), len(times) - 1)]


def index(site: Site, count: int) -> float:
    """Messages indexed a second, on this thread, without rests."""
    began = time.perf_counter()
    done = 0
    while done < count:
        done += index_some(site, rest=lambda _: None)
    return count / (time.perf_counter() - began)


def index_bytes(site: Site) -> int:
    """What the index takes in the database's files, without the texts; drops it, to see what comes free."""
    if site.storage.name == "postgresql":
        size = "SELECT pg_total_relation_size(CAST(? AS text)::regclass)"
        with site.storage.read() as tx:
            return sum(int(site.storage.fetch_all(tx, size, (name,))[0][0]) for name in TABLES)
    before = _used_bytes(site)
    site.service(Index, BENCHER).drop()
    return before - _used_bytes(site)


def _used_bytes(site: Site) -> int:
    with site.storage.read() as tx:
        ask = ("page_count", "freelist_count", "page_size")
        pages, free, size = (site.storage.fetch_all(tx, f"PRAGMA {name}", ())[0][0] for name in ask)
    return int((pages - free) * size)


def measure(
    engine: Engine, options: Any, scratch: Path, made: Sequence[Mail], notmuch: Notmuch | None = None
) -> int:
    """Measure one engine and print; 0 when every goal is met."""
    print(f"\n{engine.name}: {options.messages:,} messages", flush=True)
    with new_site(scratch / engine.name, engine.fresh()) as site:
        text_bytes = store(site, [content_of(mail) for mail in made])
        with piece("index", wait=options.wait):
            rate = index(site, options.messages)
        rng = random.Random(options.seed)
        asked = classes(made, options.queries, rng)
        with piece("queries", wait=options.wait):
            times = ask(site, asked)
            others = (scan(site, asked, made), ask_notmuch(notmuch, asked))
            beside = ask_prefixes(site, prefixes(made, rng))
        segments = site.service(Index, BENCHER).status().segments
        size = index_bytes(site) / text_bytes
    print(f"{text_bytes / len(made):,.0f} bytes of text a message, {segments} segments")
    print(render(HEADING, list(_rows(asked, times, *others))))
    print(beside)
    goals = [
        Goal(f"{name}: p95", percentile(one.wall, 0.95), P95_GOAL_MS[engine.name], unit="ms")
        for name, one in times.items()
    ]
    goals.append(Goal("index rate", rate, RATE_GOAL[engine.name], at_least=True, unit="messages/s"))
    goals.append(Goal("index / text", size, SIZE_GOAL[engine.name]))
    return verdict(goals)


def _rows(
    asked: Sequence[Class],
    times: dict[str, Times],
    scanned: dict[str, list[float]],
    notmuch: dict[str, list[float]],
) -> Iterator[tuple[object, ...]]:
    for kind in asked:
        one, like = times[kind.name], scanned[kind.name]
        ours = (percentile(one.wall, 0.5), percentile(one.wall, 0.95), max(one.wall))
        others = [percentile(one.cpu, 0.95), percentile(like, 0.5), max(like)]
        beside = notmuch.get(kind.name)
        others += [percentile(beside, 0.5), percentile(beside, 0.95)] if beside else []
        cells = [f"{ms:.2f}" for ms in (*ours, *others)]
        yield (kind.name, len(one.wall), one.hits, *cells, *["-"] * (len(HEADING) - 3 - len(cells)))


def content_of(mail: Mail) -> bytes:
    """The mail as it would have come."""
    head = (
        f"From: <{mail.sender}>\r\nTo: <{ADDRESS}>\r\nSubject: {mail.subject}\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    )
    return f"{head}{mail.text}\r\n".encode()


def real_mail(engine: Engine, scratch: Path) -> None:
    """Print what real mail costs: extraction and indexing, one thread."""
    corpus = read_corpus()
    contents = [message.whole(b"%d." % at) for at, message in enumerate(corpus.messages)]
    with new_site(scratch / f"{engine.name}-real", engine.fresh()) as site:
        began = time.perf_counter()
        text_bytes = store(site, contents)
        stored_s = time.perf_counter() - began
        rate = index(site, len(contents))
        size = index_bytes(site) / text_bytes
    print(
        f"beside: {corpus}; {text_bytes / len(contents):,.0f} bytes of text each; indexed {rate:,.0f}/s,"
        f" index {size:.2f} x its text; described, extracted and stored {len(contents) / stored_s:,.0f}/s"
    )


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.search", description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=200, help="of each class")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--wait", action="store_true", help="begin each piece at a line on stdin")
    parser.add_argument("--real", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--notmuch", action=argparse.BooleanOptionalAction, default=is_installed())
    parser.add_argument("--notmuch-messages", type=int, default=20_000)
    return parser.parse_args(arguments)


def _notmuch(directory: Path, made: Sequence[Mail]) -> Notmuch:
    notmuch = Notmuch(directory=directory)
    rate = notmuch.build([content_of(mail) for mail in made], GAP_MS // 1000)
    print(f"notmuch: {len(made):,} messages, indexed {rate:,.0f}/s, reading them included", flush=True)
    return notmuch


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0 when every goal is met."""
    options: Any = parse_arguments(arguments)
    made = mails(options.messages, options.seed)
    gc.freeze()  # lest each collection looks through all that mail
    failed = 0
    with (
        tempfile.TemporaryDirectory(prefix="mairust-search-", dir="/tmp") as directory,
        engines(options.database) as chosen,
    ):
        scratch = Path(directory)
        print(f"seed {options.seed}, in {scratch}")
        newest = made[-options.notmuch_messages :]
        notmuch = _notmuch(scratch / "notmuch", newest) if options.notmuch else None
        for engine in chosen:
            failed |= measure(engine, options, scratch, made, notmuch)
            if options.real:
                real_mail(engine, scratch)
    return failed


if __name__ == "__main__":
    sys.exit(main())
