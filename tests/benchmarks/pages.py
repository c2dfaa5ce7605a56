"""A page of messages of a large account beside the same page of a small one, on both databases.

``python -m tests.benchmarks.pages [--large 1000000] [--small 10000] [--rounds 40] [--database both]``

Both accounts lie in one database, filled by bulk inserts straight into the tables; each view is asked for in
turns, small and large, and judged by medians. A view that no index answers looks at so many rows at most; how
that costs where there are enough of them is printed, not judged: the small account may end before. With
``--wait`` measuring begins at a line on stdin, once the accounts are filled.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, event, text

from mairust_core import store
from mairust_core.ids import EPOCH_MS
from mairust_core.model.flags import SEEN
from mairust_core.model.message_change import MessageFilter
from mairust_core.store import StorageBackend
from mairust_core.store.facts import content_row
from mairust_core.store.listing import Wanted
from mairust_core.store.tables import account, blob, content, mailbox, message, message_tag, placement
from tests.benchmarks.pieces import piece
from tests.benchmarks.table import Goal, render, verdict
from tests.support.postgres import require_server
from tests.support.stores import ADMIN, Kit, open_kit, settings_for

BOUND = 1.3
PAGE = 50
CONTENTS = 20_000
CHUNK = 20_000
START_MS = EPOCH_MS
STEP_MS = 1000
UNSEEN_EVERY = 3
TAGGED_EVERY = 10
SPARSE = "\\Draft"
"""A flag that no message has: everything that may be looked at is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A list that somebody asks for; `judged` when it costs the same whatever the account holds."""

    name: str
    filter: MessageFilter
    mailbox: bool = False
    from_middle: bool = False
    judged: bool = True


VIEWS = (
    View(name="account", filter=MessageFilter()),
    View(name="account, from its middle", filter=MessageFilter(), from_middle=True),
    View(name="mailbox", filter=MessageFilter(), mailbox=True),
    View(name="mailbox, from its middle", filter=MessageFilter(), mailbox=True, from_middle=True),
    View(name="tag (each tenth)", filter=MessageFilter(tag="bill")),
    View(name="unseen (each third)", filter=MessageFilter(unflag="\\Seen"), mailbox=True),
    View(name="a flag nobody has", filter=MessageFilter(flag=SPARSE), judged=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """An account with so many messages."""

    account_id: int
    mailbox_id: int
    count: int

    def wanted(self, view: View) -> Wanted:
        """What a view asks of this account."""
        mailbox_id = self.mailbox_id if view.mailbox else None
        return Wanted(account_id=self.account_id, mailbox_id=mailbox_id, filter=view.filter)

    def cursor(self, view: View) -> str:
        """Where the view's page begins."""
        return f"{START_MS + self.count // 2 * STEP_MS}-{1 << 62}" if view.from_middle else ""


def fill(kit: Kit, address: str, count: int, first_id: int) -> Filled:
    """An account of `count` messages, all in INBOX, whose ids begin at `first_id`."""
    account_id = kit.account(address)
    [(mailbox_id,)] = kit.rows("SELECT id FROM mailbox WHERE account_id = ?", account_id)
    made = Filled(account_id=account_id, mailbox_id=int(str(mailbox_id)), count=count)
    hashes = [row[0] for row in kit.rows("SELECT sha256 FROM content ORDER BY sha256")]
    for start in range(0, count, CHUNK):
        numbers = range(start, min(start + CHUNK, count))
        with kit.storage.write() as tx:
            for table, rows in _rows(made, hashes, numbers, first_id):
                kit.storage.insert_rows(tx, table, rows)
    with kit.storage.write() as tx:
        unseen = len(range(0, count, UNSEEN_EVERY))
        tx.execute(
            mailbox.update()
            .where(mailbox.c.id == made.mailbox_id)
            .values(messages=count, unseen=unseen, uidnext=count + 1)
        )
        tx.execute(
            account.update().where(account.c.id == account_id).values(messages=count, modseq=count + 1)
        )
    return made


def _rows(
    made: Filled, hashes: list[object], numbers: range, first_id: int
) -> Iterator[tuple[Table, list[tuple[Any, ...]]]]:
    at = [(number, first_id + number, START_MS + number * STEP_MS) for number in numbers]
    tag = '["bill"]'
    yield message, [
        (
            id_, 1, made.account_id, hashes[number % len(hashes)], ms, id_, 1500, b"", "[]",
            "[]" if number % TAGGED_EVERY else tag, "{}", None,
        )
        for number, id_, ms in at
    ]  # fmt: skip
    yield placement, [
        (
            made.mailbox_id, number + 1, 1, made.account_id, id_, number + 2,
            SEEN if number % UNSEEN_EVERY else 0, "[]", ms,
        )
        for number, id_, ms in at
    ]  # fmt: skip
    yield (
        message_tag,
        [(made.account_id, "bill", ms, id_, 1) for number, id_, ms in at if number % TAGGED_EVERY == 0],
    )


def fill_contents(kit: Kit) -> None:
    """Contents to be shared, as many as a page order runs through without meeting itself."""
    deliveries = [kit.mail(1) for _ in range(CONTENTS)]
    with kit.storage.write() as tx:
        blobs = [
            (one.content.sha256, 1, f"none:{at}", one.content.size_bytes, START_MS, None)
            for at, one in enumerate(deliveries)
        ]
        kit.storage.insert_rows(tx, blob, blobs)
        kit.storage.insert_rows(tx, content, [content_row(one) for one in deliveries])


def analyse(storage: StorageBackend) -> None:
    """What the databases do by themselves in time: statistics, and the log written back."""
    if storage.name == "sqlite":
        with storage.read() as tx:
            tx.connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")
        return
    with storage.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def cost(kit: Kit, filled: Filled, view: View) -> Callable[[], float]:
    """Milliseconds of one page, transaction and all."""
    wanted, cursor = filled.wanted(view), filled.cursor(view)

    def once() -> float:
        began = time.perf_counter()
        with kit.storage.read() as tx:
            store.listing.page(tx, ADMIN, wanted, cursor, PAGE)
        return (time.perf_counter() - began) * 1000

    return once


def statements(kit: Kit, filled: Filled, view: View) -> int:
    """How many statements one page takes."""
    seen: list[str] = []

    def note(_: Connection, __: object, sql: str, *more: object) -> None:
        seen.append(sql)

    with kit.storage.read() as tx:
        event.listen(kit.storage.engine, "before_cursor_execute", note)
        try:
            store.listing.page(tx, ADMIN, filled.wanted(view), filled.cursor(view), PAGE)
        finally:
            event.remove(kit.storage.engine, "before_cursor_execute", note)
    return len(seen)


def measure(kit: Kit, small: Filled, large: Filled, rounds: int) -> list[Goal]:
    """Print the table of one database; the goals of what is judged."""
    rows, goals = [], []
    for view in VIEWS:
        sides = [cost(kit, one, view) for one in (small, large)]
        taken: tuple[list[float], list[float]] = ([], [])
        for number in range(rounds + 2):
            for side, figures in zip(sides, taken, strict=True):
                figure = side()
                if number >= 2:
                    figures.append(figure)
        ours, reference = statistics.median(taken[1]), statistics.median(taken[0])
        count = statements(kit, large, view)
        rows.append((view.name, count, f"{reference:.2f}", f"{ours:.2f}", f"{ours / reference:.2f}"))
        if view.judged:
            goals.append(Goal(f"{kit.storage.name}: {view.name}, large / small", ours / reference, BOUND))
    print(render(("page of 50", "statements", f"{small.count} ms", f"{large.count} ms", "ratio"), rows))
    return goals


@contextlib.contextmanager
def kits(database: str, scratch: Path) -> Iterator[Iterator[Kit]]:
    """An empty site on each database asked for."""
    with contextlib.ExitStack() as stack:
        yield _kits(database, scratch, stack)


def _kits(database: str, scratch: Path, stack: contextlib.ExitStack) -> Iterator[Kit]:
    if database in {"sqlite", "both"}:
        yield stack.enter_context(open_kit(settings_for(scratch / "sqlite"), memory=True))
    if database in {"postgresql", "both"}:
        server = require_server(durable=True)
        stack.callback(server.stop)
        settings = settings_for(scratch / "postgresql", server.dsn(server.create_database()))
        yield stack.enter_context(open_kit(settings, memory=True))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0 when every goal is met."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.pages", description=__doc__)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--wait", action="store_true", help="begin each piece at a line on stdin")
    options = parser.parse_args(arguments)
    goals: list[Goal] = []
    with (
        tempfile.TemporaryDirectory(prefix="mairust-pages-", dir="/tmp") as scratch,
        kits(options.database, Path(scratch)) as sites,
    ):
        for kit in sites:
            kit.domain()
            fill_contents(kit)
            small = fill(kit, "small@example.org", options.small, 1_000_000_000)
            large = fill(kit, "large@example.org", options.large, 2_000_000_000)
            analyse(kit.storage)
            print(f"\n{kit.storage.name}, {options.rounds} rounds in turns")
            with piece(kit.storage.name, wait=options.wait):
                goals += measure(kit, small, large, options.rounds)
    return verdict(goals)


if __name__ == "__main__":
    sys.exit(main())
