"""A site, opened from its settings: the only file that wires everything."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from mairust_core.config import Settings
from mairust_core.errors import Damaged, Forbidden, MaiRustError, NoSite
from mairust_core.ids import IdSource
from mairust_core.model.blob import Locator
from mairust_core.model.ids import Id
from mairust_core.model.principal import Principal
from mairust_core.operations import BytesIn, BytesOut, Service
from mairust_core.store import Pool, StorageBackend, open_storage

if TYPE_CHECKING:
    from mairust_core.blobs import BlobStore
    from mairust_core.model.backup import Additions, BackedUp, BackupRun, NewBackup, Offer, Wanted
    from mairust_core.model.collected import Collected
    from mairust_core.receive.committer import Committer
    from mairust_core.store.messages import Source

S = TypeVar("S", bound=Service)


@dataclass
class Site:
    """One open site. Thread-safe; every part that is not needed is never loaded."""

    settings: Settings
    storage: StorageBackend

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._ids: IdSource | None = None

    def service(self, kind: type[S], by: Principal) -> S:
        """The operations of one noun for one caller."""
        return kind(self, by)

    @property
    def ids(self) -> IdSource:
        """The id source of this process; its process number is leased on first use (rule A4)."""
        with self._lock:
            if self._ids is None:
                from mairust_core.store import process_numbers

                self._ids = process_numbers.lease(self.storage)
            return self._ids

    @cached_property
    def blobs(self) -> BlobStore:
        """The blob store that the settings name."""
        return self.open_blobs()

    def open_blobs(self) -> BlobStore:
        """Another handle on the blob store, which appends to a segment of its own; the caller closes it."""
        from mairust_core.blobs.collect import Budget
        from mairust_core.blobs.fs import FsBlobStore

        return FsBlobStore(self.settings.blobs.path, budget=Budget(self.settings.blobs.in_flight_bytes))

    @cached_property
    def committer(self) -> Committer:
        """The one writer of mail in this process."""
        from mairust_core.receive.committer import Committer

        return Committer(self.storage, self.blobs, lambda: self.ids)

    def hash_password(self, password: str) -> str:
        """The argon2id hash that is stored of a password."""
        from argon2 import PasswordHasher

        return PasswordHasher().hash(password)

    def append(self, tenant_id: int, account_id: int, mailbox: str, content: BytesIn) -> Id:
        """Store one message without trace headers and say its id, once it is durable."""
        from mairust_core.receive.append import append

        return append(self, tenant_id, account_id, mailbox, content)

    def read_blob(self, source: Source) -> bytes:
        """Exactly the bytes that came, verified; raises `Damaged`.

        Compaction may have moved them since `source` was read: then the row says where they are (rule C2).
        """
        locator = source.locator
        while True:
            try:
                return self.blobs.get(locator, source.sha256)
            except Damaged as error:
                moved = self._moved_to(source) if error.detail == "missing" else None
                if moved is None or moved == locator:
                    raise
                locator = moved

    def _moved_to(self, source: Source) -> Locator | None:
        from mairust_core.store import collecting

        with self.storage.read() as tx:
            return collecting.location_of(tx, (source.sha256, source.tenant_id))

    def collect(self) -> Collected:
        """Give back what nobody needs any more; raises `Locked` while another process does."""
        from mairust_core.receive.collection import collect

        return collect(self)

    def begin_backup(self, by: Principal, new: NewBackup) -> Offer:
        """Hold all mail as it is now, and list what there is (rule I3)."""
        from mairust_core.backup.offering import begin

        return begin(self, by, new)

    def backup_contents(self, run_id: int) -> BytesOut:
        """The hashes of all mail that a backup's rows refer to."""
        from mairust_core.backup.packing import contents

        return contents(self, run_id)

    def backup_pack(self, run_id: int, wanted: Wanted) -> BytesOut:
        """Objects of a backup; raises `Temporary` when its pin ended meanwhile."""
        from mairust_core.backup.packing import pack

        return pack(self, run_id, wanted)

    def finish_backup(self, by: Principal, run_id: int, done: BackedUp) -> BackupRun:
        """Let go of what a backup held."""
        from mairust_core.backup.offering import finish

        return finish(self, by, run_id, done)

    def put_back(self, by: Principal, content: BytesIn) -> Additions:
        """Append messages of a snapshot."""
        from mairust_core.backup.returning import put_back

        return put_back(self, by, content)

    def render(self, source: Source) -> bytes:
        """Trace headers and blob without what is hidden (rule B2)."""
        from mairust_core.mime import render

        return render(source.trace_headers, self.read_blob(source), source.hidden)

    def header_fields(self, source: Source) -> tuple[tuple[str, str], ...]:
        """The header fields of the rendering: in order, unfolded, decoded for people."""
        from mairust_core.mime import decode_header, headers

        return tuple(
            (name, decode_header(value.encode("utf-8", "replace")))
            for name, value in headers(self.render(source))
        )

    def close(self) -> None:
        """Finish what is being written and let go of everything."""
        if "committer" in self.__dict__:
            self.committer.close()
        if "blobs" in self.__dict__:
            self.blobs.close()
        if self._ids is not None:
            from mairust_core.store import process_numbers

            with suppress(MaiRustError):  # the lease ends by itself within an hour
                process_numbers.give_back(self.storage, self._ids)
            self._ids = None
        self.storage.close()


def open_site(settings: Settings) -> Site:
    """The site at `settings.data_dir`, as its owner (rule D3).

    Raises `NoSite`, `NewerSite`, `BadConfig` (schema to be upgraded), `Forbidden` (somebody else's),
    `StorageDown`.
    """
    from mairust_core.store import schema

    become_owner(settings)
    path = settings.database.sqlite_path
    if not settings.data_dir.is_dir() or (path is not None and not path.exists()):
        raise NoSite("directory", path=settings.data_dir)
    storage = open_storage(settings.database.url, Pool(size=settings.database.pool_size))
    try:
        if not schema.exists(storage):
            raise NoSite("database", path=settings.data_dir, url=_shown(storage))
        schema.check(storage)
    except BaseException:
        storage.close()
        raise
    return Site(settings, storage)


@contextmanager
def opened(settings: Settings) -> Iterator[Site]:
    """`open_site` for the length of a block."""
    site = open_site(settings)
    try:
        yield site
    finally:
        site.close()


def become_owner(settings: Settings) -> None:
    """Run as the owner of the data directory: root switches to it, others must be it (rule D3)."""
    try:
        status = settings.data_dir.stat()
    except FileNotFoundError:
        return
    except PermissionError as error:
        raise Forbidden("data_dir", path=settings.data_dir, why=error.strerror) from error
    if status.st_uid == os.geteuid():
        return
    if os.geteuid() != 0:
        raise Forbidden("owner", path=settings.data_dir, owner=status.st_uid)
    os.setgroups([])
    os.setgid(status.st_gid)
    os.setuid(status.st_uid)


def _shown(storage: StorageBackend) -> str:
    return str(getattr(storage, "shown_url", storage.url))
