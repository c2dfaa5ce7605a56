"""Taking a snapshot: what a site offers and a repository lacks; packs first, the snapshot last (rule I3)."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Protocol

from mairust_core.errors import Damaged, Forbidden, IncompleteStream, MaiRustError
from mairust_core.model.backup import MAX_KNOWN, BackedUp, BackupRun, NewBackup, Offer, OfferedAccount, Wanted
from mairust_core.operations import BytesOut
from mairust_core.transfer.repository.index import split
from mairust_core.transfer.repository.packs import ID_BYTES, Builder, Kind
from mairust_core.transfer.repository.repository import Repository, Writer
from mairust_core.transfer.repository.snapshots import AccountPart, FilePart, Snapshot, TablePart
from mairust_core.transfer.repository.watching import NOBODY, Watcher

ASKED = 4096
"""Objects asked for at once."""
MASTER_KEY = "master.key"

log = logging.getLogger("mairust.backup")


class Source(Protocol):
    """A site that offers itself: the service `Backups`, here or on a server."""

    def begin(self, new: NewBackup) -> Offer:
        """Hold everything as it is now."""
        ...

    def contents(self, id: str) -> BytesOut:
        """The hashes of all mail in it."""
        ...

    def pack(self, id: str, wanted: Wanted) -> BytesOut:
        """Some objects of it."""
        ...

    def finish(self, id: str, done: BackedUp) -> BackupRun:
        """Let go of it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a backup did; `damaged` are mails that the site itself could not read."""

    snapshot: str
    messages: int
    objects_new: int
    bytes_new: int
    seconds: float
    damaged: tuple[str, ...] = ()


def take(
    repository: Repository,
    source: Source,
    *,
    full: bool = False,
    keys: bytes = b"",
    watch: Watcher = NOBODY,
) -> Taken:
    """Add a snapshot of a site to a repository.

    `full` has every account read anew, whatever the repository knows of it. `keys` is the file of master
    keys, kept in an encrypted repository only. `watch` hears of mail.
    Raises `Locked` when another one runs, and what site and repository raise; then the repository is as it
    was, but for packs that the next run finds.
    """
    began = time.monotonic()
    with repository.writing() as writer:
        before = None if full else _before(repository)
        known = _known(repository, before)
        offer = source.begin(NewBackup(known=tuple(known)[:MAX_KNOWN]))
        run = _Run(repository, writer, source, offer, watch)
        where = str(repository.path)[:200]
        try:
            taken = run.take(known, before, keys)
            taken = replace(taken, seconds=round(time.monotonic() - began, 3))
        except BaseException:
            with suppress(MaiRustError):  # the pin ends by itself
                source.finish(str(int(offer.id)), _nothing(where))
            raise
        source.finish(str(int(offer.id)), _done(taken, where))
    return taken


def _nothing(where: str) -> BackedUp:
    return BackedUp(repository=where, snapshot="", messages=0, objects_new=0, bytes_new=0)


def _done(taken: Taken, where: str) -> BackedUp:
    return BackedUp(
        repository=where,
        snapshot=taken.snapshot,
        messages=taken.messages,
        objects_new=taken.objects_new,
        bytes_new=taken.bytes_new,
        damaged=len(taken.damaged),
    )


def _before(repository: Repository) -> Snapshot | None:
    """The newest snapshot that can be read."""
    for name in reversed(repository.snapshot_names()):
        try:
            return repository.read_snapshot(name)
        except (Damaged, Forbidden) as error:
            log.warning("snapshot %s cannot be built on: %s", name, error)
    return None


def _known(repository: Repository, before: Snapshot | None) -> dict[str, AccountPart]:
    """Accounts that need not be read again while they are in the same state, by that state.

    Empty when anything is missing: then everything is asked for, and what is missing comes back.
    """
    if before is None or before.damaged or repository.index.lost:
        return {}
    ids = repository.index.ids
    return {
        one.state: one
        for one in before.accounts
        if all(bytes.fromhex(object_) in ids for object_ in one.objects)
    }


class _Run:
    def __init__(
        self, repository: Repository, writer: Writer, source: Source, offer: Offer, watch: Watcher
    ) -> None:
        self._repository = repository
        self._writer = writer
        self._source = source
        self._offer = offer
        self._watch = watch
        self._damaged: dict[str, None] = {}
        self._have = repository.index.ids

    def take(self, known: Mapping[str, AccountPart], before: Snapshot | None, keys: bytes) -> Taken:
        offer = self._offer
        accounts = tuple(_account(one, known) for one in offer.accounts)
        files = [FilePart(name=one.name, object=one.object) for one in offer.files]
        self._fetch(self._lacking_rows(), NOBODY)
        self._watch.expect(offer.contents)
        self._fetch(self._lacking_mail(), self._watch)
        if keys and self._repository.config.recipients:
            files.append(FilePart(name=MASTER_KEY, object=self._add_file(keys)))
        self._writer.add_index()
        at = offer.at if before is None else max(offer.at, before.at + timedelta(milliseconds=1))
        snapshot = Snapshot(
            at=at,
            program=offer.program,
            schema=offer.schema,
            site=offer.site,
            messages=offer.messages,
            tables=tuple(
                TablePart(table=one.table, rows=one.rows, objects=one.objects) for one in offer.tables
            ),
            accounts=accounts,
            files=tuple(files),
            master_keys=offer.master_keys,
            damaged=tuple(self._damaged),
        )
        return Taken(
            snapshot=self._writer.add_snapshot(snapshot),
            messages=offer.messages,
            objects_new=self._writer.objects_new,
            bytes_new=self._writer.bytes_new,
            seconds=0.0,
            damaged=snapshot.damaged,
        )

    def _lacking_rows(self) -> Iterator[bytes]:
        offer = self._offer
        tables = (id_ for one in offer.tables for id_ in one.objects)
        accounts = (id_ for one in offer.accounts for id_ in one.objects)
        for object_ in (*tables, *accounts, *(one.object for one in offer.files)):
            if (id_ := bytes.fromhex(object_)) not in self._have:
                yield id_

    def _lacking_mail(self) -> Iterator[bytes]:
        if not self._offer.contents:
            return
        rest = b""
        for chunk in self._source.contents(str(int(self._offer.id))).chunks:
            data = rest + chunk
            end = len(data) - len(data) % ID_BYTES
            rest = data[end:]
            lacking = 0
            for id_ in split(data[:end]):
                if id_ not in self._have and id_.hex() not in self._damaged:
                    lacking += 1
                    yield id_
            self._watch.advance(end // ID_BYTES - lacking)

    def _fetch(self, lacking: Iterable[bytes], watch: Watcher) -> None:
        """Fetch objects, a pack at a time; the iterator is asked for no more than one call needs."""
        source = iter(lacking)
        wanted: dict[bytes, None] = {}
        while True:
            for id_ in source:
                wanted[id_] = None
                if len(wanted) >= ASKED:
                    break
            if not wanted:
                return
            before = self._writer.bytes_new
            for id_ in (got := self._fetch_some(wanted)):
                wanted.pop(id_, None)
            watch.advance(len(got), size_bytes=self._writer.bytes_new - before)

    def _fetch_some(self, wanted: Iterable[bytes]) -> list[bytes]:
        asked = Wanted(objects=tuple(id_.hex() for id_ in wanted))
        answer = self._source.pack(str(int(self._offer.id)), asked)
        directory = self._writer.add_pack(lambda file: _copy(answer, file), answer.sha256)
        self._damaged |= dict.fromkeys(directory.damaged)
        got = [*split(directory.ids), *map(bytes.fromhex, directory.damaged)]
        if not got:
            raise IncompleteStream("pack", count=len(asked.objects))
        return got

    def _add_file(self, data: bytes) -> str:
        """Keep a small file that the site's offer does not hold."""
        import hashlib

        id_ = hashlib.sha256(data).digest()
        if id_ not in self._have:

            def fill(file: Any) -> None:
                builder = Builder(file)
                builder.add(Kind.FILE, data, id_)
                builder.finish()

            self._writer.add_pack(fill)
        return id_.hex()


def _account(one: OfferedAccount, known: Mapping[str, AccountPart]) -> AccountPart:
    objects = one.objects or known[one.state].objects
    return AccountPart(
        id=str(int(one.id)), address=one.address, state=one.state, messages=one.messages, objects=objects
    )


def _copy(content: BytesOut, file: Any) -> None:
    for chunk in content.chunks:
        file.write(chunk)
