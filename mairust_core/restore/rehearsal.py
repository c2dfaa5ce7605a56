"""A restore that leaves nothing: into scratch, then everything compared by a reader of its own."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mairust_core.app import opened
from mairust_core.blobs import BlobStore
from mairust_core.config import load_settings
from mairust_core.disk import needing_room
from mairust_core.errors import Damaged
from mairust_core.model.blob import Locator
from mairust_core.model.trust import TrustKey
from mairust_core.restore.site import restore_site
from mairust_core.store.portable import by_name
from mairust_core.store.restoring import UIDNEXT_MORE
from mairust_core.transfer.plain_reader import Mail, Reader, Unreadable
from mairust_core.transfer.repository import Repository
from mairust_core.transfer.repository.watching import NOBODY, Watcher

if TYPE_CHECKING:
    from mairust_core.app import Site

MAX_DIFFERENCES = 100
PAGE_MESSAGES = 500
COMPARED: dict[str, tuple[str, ...]] = {
    "plugin": (),
    "plugin_package": (),
    "trust_key": ("restored_ms",),
    "trust_revocation": (),
    "hook": (),
    "hook_log": (),
}
"""Tables of the site compared row by row, and what a restore changes of each."""

_PLACED = (
    "SELECT m.id, a.address, b.name, p.uid, m.sha256, p.flags, p.keywords, m.tags, p.received_ms, l.location"
    " FROM placement p JOIN message m ON m.id = p.message_id JOIN mailbox b ON b.id = p.mailbox_id"
    " JOIN account a ON a.id = p.account_id"
    " JOIN blob l ON l.sha256 = m.sha256 AND l.tenant_id = m.tenant_id WHERE m.id IN (%s)"
)
_HOW_MANY = (
    "SELECT a.address, b.name, count(*) FROM placement p JOIN mailbox b ON b.id = p.mailbox_id"
    " JOIN account a ON a.id = b.account_id GROUP BY a.address, b.name"
)
_PART = "SELECT bytes FROM plugin_package_part WHERE tenant_id = ? AND archive = ? AND number = ?"
_COUNTS = (
    "SELECT a.address, b.name, b.uidvalidity, b.uidnext, b.messages, b.unseen FROM mailbox b"
    " JOIN account a ON a.id = b.account_id"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What a rehearsal compared, and in what the restored site and the backup differ.

    `trusted` are the root keys, each with the list of revocations that would be in force.
    """

    snapshot: str
    accounts: int
    messages: int
    mailboxes: int
    differences: tuple[str, ...]
    trusted: tuple[TrustKey, ...] = ()


def rehearse(repository: Repository, name: str, os_user: str, watch: Watcher = NOBODY) -> Rehearsed:
    """Restore a snapshot into a scratch directory, compare it with what the backup says, and delete it.

    The scratch directory is where `TMPDIR` says and needs as much room as the site. Raises what
    `restore_site` raises, also for what only the second reader cannot read.
    """
    watch.expect(repository.read_snapshot(name).messages)
    with (
        needing_room("rehearsal", Path(tempfile.gettempdir())),
        tempfile.TemporaryDirectory(prefix="mairust-rehearsal-") as scratch,
    ):
        settings = load_settings(data_dir=Path(scratch, "site"), env={})
        done = restore_site(settings, repository, name, os_user=os_user, watch=watch)
        with opened(settings) as site:
            differences = _differences(site, repository, name, watch)
            mailboxes = len(_all(site, _COUNTS))
    return Rehearsed(
        snapshot=name,
        accounts=done.accounts,
        messages=done.messages,
        mailboxes=mailboxes,
        differences=tuple(differences),
        trusted=done.trusted,
    )


def _differences(site: Site, repository: Repository, name: str, watch: Watcher) -> list[str]:
    try:
        reader = Reader(repository.path, list(repository.identities))
        return list(islice(compare(site, reader, reader.snapshot(name), watch), MAX_DIFFERENCES))
    except Unreadable as error:
        raise Damaged("repository", name=error.name, why=error.why) from error


def _all(site: Site, sql: str) -> list[tuple[object, ...]]:
    with site.storage.read() as tx:
        return site.storage.fetch_all(tx, sql, ())


def compare(
    site: Site, reader: Reader, snapshot: dict[str, object], watch: Watcher = NOBODY
) -> Iterator[str]:
    """In what a restored site and a snapshot differ: every hash, flag, tag, UID and count.

    Some messages are held at a time, however many there are. `watch` hears of those compared.
    """
    yield from _of_messages(site, reader.mails(snapshot), watch)
    yield from _of_mailboxes(site, reader, snapshot)
    yield from table_differences(site, reader, snapshot)
    yield from part_differences(site, reader, snapshot)


def _of_messages(site: Site, wanted: Iterator[Mail], watch: Watcher) -> Iterator[str]:
    """Every message: where it is, its flags and tags, and the hash of its bytes; and none beside them."""
    counts: Counter[tuple[object, object]] = Counter()
    with site.storage.read() as tx, closing(site.open_blobs()) as blobs:
        while some := list(islice(wanted, PAGE_MESSAGES)):
            counts.update((mail.account, mail.mailbox) for mail in some)
            sql = _PLACED % ", ".join("?" * len(some))
            found = site.storage.fetch_all(tx, sql, [mail.id for mail in some])
            there = {row[0]: row for row in found}
            for mail in some:
                yield from _of_message(mail, there.get(mail.id), blobs)
            watch.advance(len(some))
        restored = Counter({(row[0], row[1]): row[2] for row in site.storage.fetch_all(tx, _HOW_MANY, ())})
    for address, name in sorted(counts | restored):
        if (of_backup := counts[address, name]) != (here := restored[address, name]):
            yield f"mailbox {name} of {address}: {of_backup} messages in the backup, {here} restored"


def _of_message(mail: Mail, row: Sequence[Any] | None, blobs: BlobStore) -> Iterator[str]:
    if row is None:
        yield f"message {mail.id}: it was not restored"
        return
    id_, address, box, uid, sha256, flags, keywords, tags, received_ms, location = row
    there = Mail(
        account=address, mailbox=box, uid=uid, id=id_, sha256=bytes(sha256).hex(), flags=flags,
        keywords=json.loads(keywords), tags=json.loads(tags), received_ms=received_ms,
    )  # fmt: skip
    if mail != there:
        yield f"message {id_}: {mail} in the backup, {there} restored"
    try:
        data = blobs.get(Locator(location), bytes(sha256))
    except Damaged as error:
        yield f"message {id_}: {error}"
        return
    if hashlib.sha256(data).digest() != bytes(sha256):
        yield f"message {id_}: its bytes have another SHA-256"


def _of_mailboxes(site: Site, reader: Reader, snapshot: dict[str, object]) -> Iterator[str]:
    """Every mailbox: UIDVALIDITY, UIDNEXT, and its counts."""
    found = {(row[0], row[1]): row[2:] for row in _all(site, _COUNTS)}
    accounts: list[dict[str, object]] = snapshot["accounts"]  # type: ignore[assignment]  # by the book
    for account in accounts:
        for row in reader.rows(account["objects"], "mailbox"):  # type: ignore[arg-type]  # by the book
            wanted = (row["uidvalidity"], row["uidnext"] + UIDNEXT_MORE, row["messages"], row["unseen"])
            there = found.pop((account["address"], row["name"]), None)
            if there != wanted:
                yield f"mailbox {row['name']} of {account['address']}: {wanted} wanted, {there} restored"
    for address, name in found:
        yield f"mailbox {name} of {address}: it is not in the backup"


def table_differences(site: Site, reader: Reader, snapshot: dict[str, object]) -> Iterator[str]:
    """Plugins, packages, trust and hooks: what was approved and set, every value of it that a backup has."""
    parts: list[dict[str, object]] = snapshot["tables"]  # type: ignore[assignment]  # by the book
    for part in parts:
        if (name := str(part["table"])) not in COMPARED:
            continue
        one, changed = by_name()[name], COMPARED[name]
        wanted = reader.rows(part["objects"], one.name)  # type: ignore[arg-type]  # by the book
        there = json.loads(one.section(_all(site, one.select)))["rows"]
        rows = [dict(zip(one.columns, row, strict=True)) for row in there]
        left = {tuple(row[key] for key in one.order): row for row in rows}
        for row in wanted:
            key = tuple(row[key] for key in one.order)
            restored = left.pop(key, {})
            if any(restored.get(name) != row[name] for name in row.keys() - changed):
                yield f"{name} {key}: it was not restored as it is in the backup"
        yield from (f"{name} {key}: it is not in the backup" for key in left)


def part_differences(site: Site, reader: Reader, snapshot: dict[str, object]) -> Iterator[str]:
    """The bytes of packages, some hundred kilobytes at a time: each part is there as it is in the backup."""
    name = "plugin_package_part"
    parts: list[dict[str, object]] = snapshot["tables"]  # type: ignore[assignment]  # by the book
    for objects in (part["objects"] for part in parts if part["table"] == name):
        for row in reader.rows(objects, name):  # type: ignore[arg-type]  # by the book
            key = (row["tenant_id"], row["archive"], row["number"])
            with site.storage.read() as tx:
                found = site.storage.fetch_all(tx, _PART, key)
            if [bytes(one[0]).hex() for one in found] != [row["bytes"]]:
                yield f"{name} {key}: it was not restored as it is in the backup"
