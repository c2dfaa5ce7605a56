"""What a repository lacks, as a pack: rows from the spool, mail verified on its way out of the blob store."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import zstandard

from mairust_core.backup.spool import Spool, writing_to
from mairust_core.blobs import Framed, Segmented
from mairust_core.errors import Damaged
from mairust_core.ids import now_ms
from mairust_core.model.backup import Wanted
from mairust_core.model.blob import Locator
from mairust_core.operations import BytesOut
from mairust_core.store import backups, collecting
from mairust_core.transfer.repository.packs import LEVEL, TARGET_BYTES, Builder, Directory, Kind

if TYPE_CHECKING:
    from mairust_core.app import Site

MEDIA_TYPE = "application/vnd.mairust.pack"
LARGE_BYTES = TARGET_BYTES // 4
"""What a blob of unknown length is taken for."""
GROUP_MAILS = 256
"""Mail whose rows and bytes are read at once."""
PIECE_BYTES = 1 << 20
FRAME_MEMORY_BYTES = 8 << 20


def contents(site: Site, run_id: int) -> BytesOut:
    """The SHA-256 of all mail that the offered rows refer to, 32 bytes each; some come several times."""
    file = Spool.of(site.settings.data_dir, run_id).open_contents()
    digest = hashlib.sha256()
    size_bytes = 0
    while piece := file.read(PIECE_BYTES):
        digest.update(piece)
        size_bytes += len(piece)
    file.seek(0)
    return BytesOut(
        chunks=_Pieces(file), size_bytes=size_bytes, sha256=digest.digest(),
        filename="contents", content_type="application/octet-stream",
    )  # fmt: skip


def pack(site: Site, run_id: int, wanted: Wanted) -> BytesOut:
    """As many of the wanted objects, in their order, as make a pack; it says which could not be read.

    Raises `Temporary` when the pin ended meanwhile, `NotFound` for a backup that is over.
    """
    backups.renew(site.storage, run_id, now_ms())
    file = tempfile.SpooledTemporaryFile(2 * TARGET_BYTES, dir=str(site.settings.data_dir))  # noqa: SIM115 - the answer closes it
    try:
        hashed = _Hashed(file)
        with writing_to(site.settings.data_dir):
            fill(site, run_id, wanted, hashed)
        file.seek(0)
        return BytesOut(
            chunks=_Pieces(file), size_bytes=hashed.size_bytes, sha256=hashed.digest(),
            filename="pack.zst", content_type=MEDIA_TYPE,
        )  # fmt: skip
    except BaseException:
        file.close()
        raise


def fill(site: Site, run_id: int, wanted: Wanted, file: Any) -> Directory:
    """Write the pack into a file."""
    builder = Builder(file)
    spool = Spool.of(site.settings.data_dir, run_id)
    rows = spool.rows()
    spooled = {rows.id(number): number for number in range(len(rows))}
    ids = [bytes.fromhex(one) for one in wanted.objects]
    mails = [one for one in ids if one not in spooled]
    with spool.open_rows() as source:
        for id_ in ids:
            if (number := spooled.get(id_)) is not None and builder.size_bytes < TARGET_BYTES:
                entry = rows.entry(number)
                source.seek(entry.offset)
                builder.add_frame(entry.kind, id_, source.read(entry.stored_bytes), entry.size_bytes)
    _add_mail(site, builder, mails)
    return builder.finish()


def _add_mail(site: Site, builder: Builder, mails: Sequence[bytes]) -> None:
    """Add mail until the pack is long enough; what cannot be read is noted."""
    for group in _groups(site, builder, mails):
        framed = site.blobs.frames(group) if isinstance(site.blobs, Framed) else [None] * len(group)
        ready: list[tuple[bytes, bytes, int]] = []
        for (locator, sha256), frame in zip(group, framed, strict=True):
            if isinstance(frame, tuple):
                ready.append((sha256, *frame))
                continue
            builder.add_frames(Kind.MAIL, ready)
            ready = []
            if not _add_slowly(site, builder, locator, sha256):
                builder.damaged.append(sha256.hex())
        builder.add_frames(Kind.MAIL, ready)


def _groups(site: Site, builder: Builder, mails: Sequence[bytes]) -> Iterator[list[tuple[Locator, bytes]]]:
    """Where the next mail lies, by groups, as much of it as fits into the pack."""
    left = TARGET_BYTES - builder.size_bytes
    extent = site.blobs.extent if isinstance(site.blobs, Segmented) else _no_extent
    for start in range(0, len(mails), GROUP_MAILS):
        if left <= 0:
            return
        asked = mails[start : start + GROUP_MAILS]
        with site.storage.read() as tx:
            places = collecting.locations(site.storage, tx, asked)
        builder.damaged += [one.hex() for one in asked if one not in places]
        group = []
        for one in asked:
            if one in places:
                group.append((places[one], one))
                lies = extent(places[one])
                left -= lies[1] if lies else LARGE_BYTES
        yield group


def _no_extent(_: Locator) -> None:
    """The store does not tell how long a blob is."""


def _add_slowly(site: Site, builder: Builder, locator: Locator, sha256: bytes) -> bool:
    """Add a large blob, one that was moved meanwhile, or none when it is damaged."""
    try:
        _add_streamed(site, builder, locator, sha256)
    except Damaged:
        with site.storage.read() as tx:
            moved = collecting.locations(site.storage, tx, [sha256]).get(sha256)
        if moved is None or moved == locator:
            return False
        return _add_slowly(site, builder, moved, sha256)
    return True


def _add_streamed(site: Site, builder: Builder, locator: Locator, sha256: bytes) -> None:
    """Compress a blob piece by piece; it enters the pack when all of it is verified."""
    digest, size_bytes = hashlib.sha256(), 0
    with tempfile.SpooledTemporaryFile(FRAME_MEMORY_BYTES, dir=str(site.settings.data_dir)) as frame:
        for piece in site.blobs.open_range(locator, 0, 1 << 62):
            size_bytes += len(piece)
        compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compressobj(size=size_bytes)
        for piece in site.blobs.open_range(locator, 0, 1 << 62):
            digest.update(piece)
            frame.write(compressor.compress(piece))
        frame.write(compressor.flush())
        if digest.digest() != sha256:
            raise Damaged("blob", sha256=sha256.hex(), locator=locator, why="another blob lies there")
        builder.add_file(Kind.MAIL, sha256, frame, size_bytes)


class _Pieces:
    """The pieces of a file that is closed at its end, or when nobody wants the rest."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __iter__(self) -> _Pieces:
        return self

    def __next__(self) -> bytes:
        piece: bytes = b"" if self._file.closed else self._file.read(PIECE_BYTES)
        if not piece:
            self._file.close()
            raise StopIteration
        return piece

    def __del__(self) -> None:
        self._file.close()


class _Hashed:
    """A file that is hashed while it is written."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self.size_bytes += len(data)
        self._file.write(data)
        return len(data)

    def digest(self) -> bytes:
        return self._digest.digest()
