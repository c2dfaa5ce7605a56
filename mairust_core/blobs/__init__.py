"""The bytes of every mail, durable and verified: the port, and what its drivers share.

A driver turns contents into locators and locators back into exactly those bytes. It knows nothing of
tenants, accounts or messages: which locators are wanted is known to the database alone (rules C1, C2).

`fs` keeps segments and files in a directory, `memory` keeps nothing beyond the process; both pass
`tests/contract/test_blobs_contract.py`. `collect` gathers a mail while it arrives (rule B4).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NewType, Protocol, runtime_checkable

from mairust_core.errors import MaiRustError
from mairust_core.model.blob import Content, Locator

SegmentName = NewType("SegmentName", str)
"""The name of a segment, without directory and suffix; never reused."""


class Collector(Protocol):
    """Takes the bytes of one mail as they arrive: in memory, from 1 MiB on in a file (rule B4)."""

    def write(self, chunk: bytes) -> None:
        """Add bytes; after `TooMany` (bytes in flight) or `DiskFull` only `discard` is allowed."""
        ...

    def finish(self) -> Content:
        """The handle of everything written; the collector is used up."""
        ...

    def discard(self) -> None:
        """Forget everything; harmless when called twice or after `finish`."""
        ...


class BlobStore(Protocol):
    """Where blobs lie. Thread-safe; an instance belongs to one process (a fork opens its own).

    Raises `DiskFull` when there is no room, `StorageDown` when the disk or service fails otherwise,
    `Damaged` when stored bytes are missing (`missing`) or differ (`blob`), `NewerSite` when a newer version
    wrote them.
    """

    def put_many(self, contents: Sequence[Content]) -> list[Locator]:
        """Store `contents`; when it returns all of them are durable (rule C3).

        Locators come in the order given, new ones every time, never reused, also for equal bytes (rule C1).
        When it raises, none of them counts as stored; the same contents may be given again. Closes none.
        """
        ...

    def get(self, locator: Locator, sha256: bytes) -> bytes:
        """The bytes at `locator`, verified against `sha256`."""
        ...

    def open_range(self, locator: Locator, start: int, stop: int) -> Iterator[bytes]:
        """Bytes `start` to `stop` (beyond the end: to the end) in pieces of bounded size.

        What is missing or has a damaged header raises at once. A range that reaches the end is verified as
        a whole: `Damaged` comes instead of the end of the iteration.
        """
        ...

    def delete_many(self, locators: Sequence[Locator]) -> None:
        """Give up these blobs; unknown and deleted ones are ignored. A driver may free the room later."""
        ...

    def collector(self) -> Collector:
        """A collector whose content `put_many` takes cheapest; `TooMany` when no more may be in flight."""
        ...

    def free_bytes(self) -> tuple[int, int]:
        """Room left and room in all, in bytes, where the blobs lie."""
        ...

    def close(self) -> None:
        """Let go of files and leases; harmless when called twice."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One blob in a segment, by what its header says; its data may still be damaged."""

    locator: Locator
    sha256: bytes
    size_bytes: int
    stored_bytes: int
    """What it occupies in the segment, header included."""


@runtime_checkable
class Segmented(Protocol):
    """A blob store that frees room by compaction: what collection needs beyond `BlobStore` (rule C2)."""

    def sealed(self, older_than_s: float) -> list[SegmentName]:
        """Segments sealed at least that long ago, oldest name first; nobody appends to them any more."""
        ...

    def records(self, segment: SegmentName) -> Iterator[Record]:
        """Every readable record of `segment`, also behind damage; nothing if the segment is gone."""
        ...

    def size_bytes(self, segment: SegmentName) -> int:
        """What `segment` occupies; 0 when it is gone."""
        ...

    def extent(self, locator: Locator) -> tuple[SegmentName, int] | None:
        """The segment a blob lies in and what it occupies there; None for one with a file of its own."""
        ...

    def copy_live(self, segment: SegmentName, locators: Sequence[Locator]) -> dict[Locator, Locator]:
        """Copy these records of `segment` to new locators, old → new; durable when it returns.

        Every copy is verified. A record that is damaged is left out: keep its segment.
        """
        ...

    def unlink(self, segment: SegmentName) -> None:
        """Delete a sealed segment; harmless when it is gone, and never touches an unsealed one."""
        ...

    def seal_abandoned(self) -> list[SegmentName]:
        """Seal every unsealed segment that no living process holds; returns those sealed."""
        ...

    def locators_of_files(self, older_than_s: float) -> Iterator[Locator]:
        """Blobs with a file of their own last written that long ago, referenced or not."""
        ...

    def discard_abandoned(self, older_than_s: float) -> int:
        """Delete temporary files that old which no living process holds; returns how many."""
        ...


@runtime_checkable
class Framed(Protocol):
    """A blob store that keeps small blobs as zstd frames and can hand these out: what a backup takes."""

    def frames(
        self, wanted: Sequence[tuple[Locator, bytes]]
    ) -> list[tuple[bytes, int] | MaiRustError | None]:
        """For each locator and SHA-256 the frame and the length of what is in it, verified.

        None for a blob kept otherwise, which `open_range` reads; an error for one that cannot be read.
        """
        ...
