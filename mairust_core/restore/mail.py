"""Mail out of packs and into the blob store: verified and described on all processors, stored in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from mairust_core.blobs import BlobStore
from mairust_core.errors import Damaged
from mairust_core.ids import now_ms
from mairust_core.model.blob import MEMORY_LIMIT_BYTES, Bytes, Compressed, Content
from mairust_core.model.delivery import Delivery
from mairust_core.receive.describing import describe_to_keep
from mairust_core.restore.wanted import Wanted
from mairust_core.store.facts import content_row
from mairust_core.transfer.repository import Repository
from mairust_core.transfer.repository.packs import Entry, Unpacker

TASK_MAILS = 256
INLINE_MAILS = 1000
"""Fewer are described in this process: others take longer to start."""
PACKS_AHEAD = 2
MAX_WORKERS = 8

Row = tuple[Any, ...]


@dataclass(slots=True)
class Batch:
    """Mail that is stored: rows of `blob` and `content`, for each tenant that has it."""

    blobs: list[Row] = field(default_factory=list)
    contents: list[Row] = field(default_factory=list)


def store_mail(
    repository: Repository, blobs: BlobStore, wanted: Wanted, damaged: dict[str, str]
) -> Iterator[Batch]:
    """Store all mail that is wanted, durably, a pack at a time; what is damaged is noted and left out.

    Some packs are held at once, and nothing of those that are stored.
    """
    damaged |= wanted.missing
    with ExitStack() as stack:
        workers = min(len(os.sched_getaffinity(0)), MAX_WORKERS)
        pool: ProcessPoolExecutor | None = None
        if len(wanted) > INLINE_MAILS and workers > 1:
            pool = stack.enter_context(ProcessPoolExecutor(workers, mp_context=get_context("spawn")))
        ahead: deque[_Pack] = deque()
        stack.callback(_close, ahead)
        for name, entries, tenants in wanted.packs():
            ahead.append(_Pack(repository, name, entries, tenants, pool))
            if len(ahead) > PACKS_AHEAD:
                yield _store(ahead.popleft(), blobs, damaged)
        while ahead:
            yield _store(ahead.popleft(), blobs, damaged)


def _close(packs: Iterable[_Pack]) -> None:
    for pack in packs:
        pack.close()


class _Pack:
    """A pack whose mail is being verified and described."""

    def __init__(
        self,
        repository: Repository,
        name: str,
        entries: Sequence[Entry],
        tenants: Mapping[bytes, Collection[int]],
        pool: ProcessPoolExecutor | None,
    ) -> None:
        self.name = name
        self.tenants = tenants
        self.small = [entry for entry in entries if entry.size_bytes <= MEMORY_LIMIT_BYTES]
        self.large = [entry for entry in entries if entry.size_bytes > MEMORY_LIMIT_BYTES]
        self.error: Damaged | None = None
        self._pool = pool
        self._stack = ExitStack()
        self._tasks: deque[Future[list[Row | str]]] = deque()
        try:
            self.path = self._stack.enter_context(repository.pack_file(name))
        except Damaged as error:
            self.error = error
            return
        if pool is not None:
            self._tasks += [
                pool.submit(describe_some, self.path, name, self.small[at : at + TASK_MAILS])
                for at in range(0, len(self.small), TASK_MAILS)
            ]

    def close(self) -> None:
        """Let go of the file; harmless when called twice."""
        self._stack.close()

    def described(self) -> Iterator[Row | str]:
        """The row of each small mail, or what is wrong with it."""
        if self._pool is None:
            yield from describe_some(self.path, self.name, self.small)
        while self._tasks:
            yield from self._tasks.popleft().result()


def _store(pack: _Pack, blobs: BlobStore, damaged: dict[str, str]) -> Batch:
    batch = Batch()
    if pack.error is not None:
        damaged.update({one.id.hex(): str(pack.error) for one in (*pack.small, *pack.large)})
        return batch
    with open(pack.path, "rb") as file:
        unpacker = Unpacker(file, pack.name)
        held: list[tuple[Content, Row]] = []
        for entry, found in zip(pack.small, pack.described(), strict=True):
            if isinstance(found, str):
                damaged[entry.id.hex()] = found
                continue
            frame = unpacker.frame(entry)
            held.append((Compressed(frame=frame, sha256=entry.id, size_bytes=entry.size_bytes), found))
        _put(blobs, held, pack.tenants, batch)
        for entry in pack.large:
            _store_large(unpacker, entry, blobs, pack.tenants, batch, damaged)
    pack.close()
    return batch


def _store_large(
    unpacker: Unpacker,
    entry: Entry,
    blobs: BlobStore,
    tenants: Mapping[bytes, Collection[int]],
    batch: Batch,
    damaged: dict[str, str],
) -> None:
    collector = blobs.collector()
    try:
        for piece in unpacker.pieces(entry):
            collector.write(piece)
        content = collector.finish()
    except Damaged as error:
        damaged[entry.id.hex()] = str(error.values["why"])
        return
    finally:
        collector.discard()
    try:
        _put(blobs, [(content, _row(content))], tenants, batch)
    finally:
        content.close()


def _put(
    blobs: BlobStore,
    held: Sequence[tuple[Content, Row]],
    tenants: Mapping[bytes, Collection[int]],
    batch: Batch,
) -> None:
    now = now_ms()
    for tenant_id in sorted({one for content, _ in held for one in tenants[content.sha256]}):
        mine = [pair for pair in held if tenant_id in tenants[pair[0].sha256]]
        for (content, row), location in zip(mine, blobs.put_many([one for one, _ in mine]), strict=True):
            batch.blobs.append((content.sha256, tenant_id, location, content.size_bytes, now, None))
            batch.contents.append((row[0], tenant_id, *row[2:]))


def describe_some(path: Path, name: str, entries: Sequence[Entry]) -> list[Row | str]:
    """The row of `content` for each mail at these places of a pack, or what is wrong with it."""
    found: list[Row | str] = []
    with open(path, "rb") as file:
        unpacker = Unpacker(file, name)
        for entry in entries:
            try:
                data = unpacker.read(entry)
            except Damaged as error:
                found.append(str(error.values["why"]))
                continue
            found.append(_row(Bytes(data=data, sha256=entry.id, size_bytes=len(data))))
    return found


def _row(content: Content) -> Row:
    kept = describe_to_keep(content)
    return content_row(Delivery(tenant_id=0, content=content, kept=kept, copies=(), received_ms=0))
