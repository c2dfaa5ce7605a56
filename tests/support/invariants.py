"""What must hold of a site at every moment, asked with SQL of its own: for tests that kill, race and purge.

`python -m tests.support.invariants DATA_DIR` prints what is broken and exits 1 when anything is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg

from mairust_core.blobs import BlobStore
from mairust_core.blobs.fs import FsBlobStore
from mairust_core.config import Settings, load_settings
from mairust_core.errors import MaiRustError
from mairust_core.model.blob import Locator
from mairust_core.store.sqlite import driver

MAX_REPORTED = 20
"""Of one kind; the rest is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A sentence that is broken by every row its query returns."""

    broken: str
    query: str


_INDEXED = (
    "SELECT e.message_id FROM index_document e JOIN index_segment s ON s.id = e.segment_id"
    " WHERE s.documents > 0"  # others are being written, or taken away
)
RULES = (
    Rule(
        broken="placement (mailbox, uid) without its message",
        query="SELECT p.mailbox_id, p.uid FROM placement p LEFT JOIN message m ON m.id = p.message_id"
        " WHERE m.id IS NULL",
    ),
    Rule(
        broken="placement (mailbox, uid) in a mailbox of another account, or in none",
        query="SELECT p.mailbox_id, p.uid FROM placement p LEFT JOIN mailbox b ON b.id = p.mailbox_id"
        " JOIN message m ON m.id = p.message_id"
        " WHERE b.id IS NULL OR b.account_id <> p.account_id OR m.account_id <> p.account_id",
    ),
    Rule(
        broken="message with several placements",
        query="SELECT message_id FROM placement GROUP BY message_id HAVING count(*) > 1",
    ),
    Rule(
        broken="message of a living account neither placed nor deleted",
        query="SELECT m.id FROM message m JOIN account a ON a.id = m.account_id AND a.removed_ms IS NULL"
        " LEFT JOIN placement p ON p.message_id = m.id LEFT JOIN trash t ON t.message_id = m.id"
        " WHERE p.message_id IS NULL AND t.message_id IS NULL",
    ),
    Rule(
        broken="message both placed and deleted",
        query="SELECT p.message_id FROM placement p JOIN trash t ON t.message_id = p.message_id",
    ),
    Rule(
        broken="trash of another account or time than its message",
        query="SELECT t.message_id FROM trash t LEFT JOIN message m ON m.id = t.message_id"
        " WHERE m.id IS NULL OR m.account_id <> t.account_id OR m.received_ms <> t.received_ms",
    ),
    Rule(
        broken="tombstone (mailbox, uid) of a UID that is there, or was never given",
        query="SELECT t.mailbox_id, t.uid FROM tombstone t JOIN mailbox b ON b.id = t.mailbox_id"
        " LEFT JOIN placement p ON p.mailbox_id = t.mailbox_id AND p.uid = t.uid"
        " WHERE p.uid IS NOT NULL OR t.uid >= b.uidnext OR t.uid < 1",
    ),
    Rule(
        broken="tombstone (mailbox, uid) twice",
        query="SELECT mailbox_id, uid FROM tombstone GROUP BY mailbox_id, uid HAVING count(*) > 1",
    ),
    Rule(
        broken="UID (mailbox, given, accounted for) that left without a tombstone, none having expired",
        query="SELECT b.id, b.uidnext - 1, count(u.uid) FROM mailbox b"
        " JOIN account a ON a.id = b.account_id AND a.removed_ms IS NULL LEFT JOIN"
        " (SELECT mailbox_id, uid FROM placement UNION ALL SELECT mailbox_id, uid FROM tombstone) u"
        " ON u.mailbox_id = b.id WHERE b.floor = 0"
        " GROUP BY b.id, b.uidnext HAVING b.uidnext - 1 <> count(u.uid)",
    ),
    Rule(
        broken="MODSEQ of a tombstone (account, modseq) above the account's, or below 1",
        query="SELECT t.account_id, t.modseq FROM tombstone t JOIN account a ON a.id = t.account_id"
        " WHERE t.modseq > a.modseq OR t.modseq < 1",
    ),
    Rule(
        broken="floor of a mailbox above its account's MODSEQ",
        query="SELECT b.id, b.floor FROM mailbox b JOIN account a ON a.id = b.account_id"
        " WHERE b.floor > a.modseq",
    ),
    Rule(
        broken="message without its account",
        query="SELECT m.id FROM message m LEFT JOIN account a ON a.id = m.account_id WHERE a.id IS NULL",
    ),
    Rule(
        broken="message without its content",
        query="SELECT m.id FROM message m LEFT JOIN content c"
        " ON c.sha256 = m.sha256 AND c.tenant_id = m.tenant_id WHERE c.sha256 IS NULL",
    ),
    Rule(
        broken="message whose time differs from its placement's",
        query="SELECT m.id FROM message m JOIN placement p ON p.message_id = m.id"
        " WHERE m.received_ms <> p.received_ms",
    ),
    Rule(
        broken="job leased without running, running without a lease, or ended without a time",
        query="SELECT id FROM job WHERE (state = 'running') <> (leased_until_ms IS NOT NULL)"
        " OR (state IN ('done', 'dead')) <> (finished_ms IS NOT NULL)",
    ),
    Rule(broken="message without a thread", query="SELECT id FROM message WHERE thread_id <= 0"),
    Rule(
        broken="content without its blob, or with a condemned one",
        query="SELECT c.sha256 FROM content c LEFT JOIN blob b"
        " ON b.sha256 = c.sha256 AND b.tenant_id = c.tenant_id"
        " WHERE b.sha256 IS NULL OR b.condemned_ms IS NOT NULL",
    ),
    Rule(
        broken="blob neither condemned nor with a content",
        query="SELECT b.sha256 FROM blob b LEFT JOIN content c"
        " ON c.sha256 = b.sha256 AND c.tenant_id = b.tenant_id"
        " WHERE c.sha256 IS NULL AND b.condemned_ms IS NULL",
    ),
    Rule(
        broken="content of another size than its blob",
        query="SELECT c.sha256 FROM content c JOIN blob b"
        " ON b.sha256 = c.sha256 AND b.tenant_id = c.tenant_id WHERE b.size_bytes <> c.size_bytes",
    ),
    Rule(
        broken="location that two blobs name",
        query="SELECT location FROM blob GROUP BY location HAVING count(*) > 1",
    ),
    Rule(
        broken="UID (mailbox, uid) at or above UIDNEXT, or below 1",
        query="SELECT p.mailbox_id, p.uid FROM placement p JOIN mailbox b ON b.id = p.mailbox_id"
        " WHERE p.uid >= b.uidnext OR p.uid < 1",
    ),
    Rule(
        broken="UID given twice in a mailbox",
        query="SELECT mailbox_id, uid FROM placement GROUP BY mailbox_id, uid HAVING count(*) > 1",
    ),
    Rule(
        broken="mailbox (id, counted, real) with a wrong number of messages",
        query="SELECT b.id, b.messages, count(p.uid) FROM mailbox b"
        " JOIN account a ON a.id = b.account_id AND a.removed_ms IS NULL"
        " LEFT JOIN placement p ON p.mailbox_id = b.id"
        " GROUP BY b.id, b.messages HAVING b.messages <> count(p.uid)",
    ),
    Rule(
        broken="mailbox (id, counted, real) with a wrong number of unseen messages",
        query="SELECT b.id, b.unseen, count(p.uid) FROM mailbox b"
        " JOIN account a ON a.id = b.account_id AND a.removed_ms IS NULL"
        " LEFT JOIN placement p ON p.mailbox_id = b.id AND (p.flags & 1) = 0"
        " GROUP BY b.id, b.unseen HAVING b.unseen <> count(p.uid)",
    ),
    Rule(
        broken="account (address, counted, real) with a wrong number of messages",
        query="SELECT a.address, a.messages, count(p.uid) FROM account a"
        " LEFT JOIN placement p ON p.account_id = a.id WHERE a.removed_ms IS NULL"
        " GROUP BY a.id, a.address, a.messages HAVING a.messages <> count(p.uid)",
    ),
    Rule(
        broken="account (address, counted, real) with a wrong number of bytes used",
        query="SELECT a.address, a.used_bytes, coalesce(sum(m.size_bytes), 0) FROM account a"
        " LEFT JOIN placement p ON p.account_id = a.id LEFT JOIN message m ON m.id = p.message_id"
        " WHERE a.removed_ms IS NULL"
        " GROUP BY a.id, a.address, a.used_bytes HAVING a.used_bytes <> coalesce(sum(m.size_bytes), 0)",
    ),
    Rule(
        broken="MODSEQ (account, modseq) above the account's, or below 1",
        query="SELECT p.account_id, p.modseq FROM placement p JOIN account a ON a.id = p.account_id"
        " WHERE p.modseq > a.modseq OR p.modseq < 1",
    ),
    Rule(
        broken="MODSEQ given twice in an account",
        query="SELECT account_id, modseq FROM (SELECT account_id, modseq FROM placement"
        " UNION ALL SELECT account_id, modseq FROM trash) AS given"
        " GROUP BY account_id, modseq HAVING count(*) > 1",
    ),
    Rule(
        broken="UIDVALIDITY given twice in an account, or above the account's last",
        query="SELECT b.account_id, b.uidvalidity FROM mailbox b JOIN account a ON a.id = b.account_id"
        " GROUP BY b.account_id, b.uidvalidity, a.uidvalidity"
        " HAVING count(*) > 1 OR b.uidvalidity > a.uidvalidity",
    ),
    Rule(
        broken="address of an account that is removed or gone",
        query="SELECT d.folded FROM address d LEFT JOIN account a ON a.id = d.account_id"
        " WHERE d.account_id IS NOT NULL AND (a.id IS NULL OR a.removed_ms IS NOT NULL)",
    ),
    Rule(
        broken="message of a living account that no search would find: neither queued nor indexed (rule J1)",
        query="SELECT m.id FROM message m JOIN account a ON a.id = m.account_id AND a.removed_ms IS NULL"
        " LEFT JOIN index_queue q ON q.account_id = m.account_id AND q.received_ms = m.received_ms"
        f" AND q.message_id = m.id LEFT JOIN ({_INDEXED}) d ON d.message_id = m.id"
        " WHERE q.message_id IS NULL AND d.message_id IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM index_state s WHERE s.mode <> 'on')",
    ),
    Rule(
        broken="message that a search would find twice (rule J1)",
        query="SELECT m.id FROM message m JOIN (SELECT message_id FROM index_queue UNION ALL"
        f" {_INDEXED}) i ON i.message_id = m.id"
        " WHERE NOT EXISTS (SELECT 1 FROM index_state s WHERE s.mode <> 'on')"
        " GROUP BY m.id HAVING count(*) > 1",
    ),
    Rule(
        broken="segment of the index (id, counted, real) with a wrong number of messages",
        query="SELECT s.id, s.documents, count(d.position) FROM index_segment s"
        " LEFT JOIN index_document d ON d.segment_id = s.id WHERE s.documents > 0 GROUP BY s.id, s.documents"
        " HAVING s.documents <> count(d.position)",
    ),
    Rule(
        broken="segment of the index (id, told, real) with a wrong number of buckets",
        query="SELECT s.id, 1 << s.bucket_bits, count(p.id) FROM index_segment s"
        " LEFT JOIN index_posting p ON (p.id >> 16) = s.id WHERE s.documents > 0 GROUP BY s.id, s.bucket_bits"
        " HAVING (1 << s.bucket_bits) <> count(p.id)",
    ),
)

_BLOBS = (
    "SELECT b.location, b.sha256, b.size_bytes FROM blob b JOIN content c"
    " ON c.sha256 = b.sha256 AND c.tenant_id = b.tenant_id"
)


def check_site(site: Path | Settings, blobs: BlobStore | None = None) -> list[str]:
    """Everything that is broken in the site of a data directory, or of settings; empty when all is well.

    Reads every message's bytes and hashes them, from `blobs` when the site's are not on the disk. May run
    beside a server that does not collect: the rows are one snapshot.
    """
    settings = load_settings(data_dir=site, env={}) if isinstance(site, Path) else site
    with closing(_connect(settings.database.url)) as connection:
        cursor = connection.cursor()
        broken = [line for rule in RULES for line in _broken(cursor, rule)]
        broken += _wrong_tags(cursor)
        cursor.execute(_BLOBS)
        rows = [(Locator(row[0]), bytes(row[1]), int(row[2])) for row in cursor.fetchall()]
    if blobs is not None:
        return [*broken, *_unreadable(blobs, rows)]
    with closing(FsBlobStore(settings.blobs.path)) as opened:
        return [*broken, *_unreadable(opened, rows)]


def stored_hashes(site: Path | Settings, address: str) -> list[str]:
    """The SHA-256 of every message of an account, in hexadecimal, oldest UID first, with repetitions."""
    settings = load_settings(data_dir=site, env={}) if isinstance(site, Path) else site
    with closing(_connect(settings.database.url)) as connection:
        cursor = connection.cursor()
        mark = "?" if settings.database.sqlite_path else "%s"
        cursor.execute(
            "SELECT m.sha256 FROM message m JOIN account a ON a.id = m.account_id"
            f" JOIN placement p ON p.message_id = m.id WHERE a.address = {mark} ORDER BY p.mailbox_id, p.uid",
            (address,),
        )
        return [bytes(row[0]).hex() for row in cursor.fetchall()]


def _connect(url: str) -> Any:
    """A connection in one transaction that reads one snapshot."""
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///")).absolute()
        connection = driver().connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)
        connection.execute("BEGIN")
        return connection
    remote = psycopg.connect(url)
    remote.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    return remote


def _broken(cursor: Any, rule: Rule) -> Iterator[str]:
    cursor.execute(rule.query)
    rows = cursor.fetchall()
    for row in rows[:MAX_REPORTED]:
        yield f"{rule.broken}: {', '.join(_shown(value) for value in row)}"
    if len(rows) > MAX_REPORTED:
        yield f"{rule.broken}: {len(rows) - MAX_REPORTED} more"


def _wrong_tags(cursor: Any) -> Iterator[str]:
    """Tags of a message that are not in the index, or the other way round."""
    cursor.execute("SELECT account_id, received_ms, id, tags FROM message WHERE tags <> '[]'")
    told = {(*row[:3], tag) for row in cursor.fetchall() for tag in json.loads(row[3])}
    cursor.execute("SELECT account_id, received_ms, message_id, tag FROM message_tag")
    indexed = {tuple(row) for row in cursor.fetchall()}
    for one in sorted(told ^ indexed)[:MAX_REPORTED]:
        yield f"tag of a message and its index differ: {', '.join(map(str, one))}"


def _shown(value: object) -> str:
    return bytes(value).hex() if isinstance(value, (bytes, memoryview)) else str(value)


def _unreadable(blobs: BlobStore, rows: list[tuple[Locator, bytes, int]]) -> list[str]:
    """What is wrong with the bytes themselves, hashed here and not only by the store."""
    found: list[str] = []
    for locator, wanted, size_bytes in rows:
        try:
            data = blobs.get(locator, wanted)
        except MaiRustError as error:
            found.append(f"blob {wanted.hex()} at {locator}: {error}")
            continue
        if len(data) != size_bytes or sha256(data).digest() != wanted:
            found.append(f"blob {wanted.hex()} at {locator}: other bytes than were stored")
    return found


if __name__ == "__main__":
    problems = check_site(Path(sys.argv[1]))
    print("\n".join(problems) or "all is well")
    sys.exit(bool(problems))
