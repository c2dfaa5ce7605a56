"""The form of a blob on disk."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from zlib import crc32

import pytest

from mairust_core.blobs import SegmentName, records
from mairust_core.blobs.fs import FsBlobStore
from mairust_core.blobs.records import Codec, Header
from mairust_core.errors import NewerSite
from mairust_core.model.blob import Bytes

HEADER = Header(sha256=bytes(range(32)), size_bytes=700, codec=Codec.ZSTD, stored_bytes=300)


def by_hand(version: int, name: str, offset: int) -> bytes:
    """A header written from the documentation alone."""
    fields = struct.pack("<8sBBH32sQQ", b"\x8bMRblob\n", version, 1, 0, bytes(range(32)), 700, 300)
    return fields + struct.pack("<I", crc32(fields, crc32(f"{name}@{offset}".encode())))


def test_the_header_is_the_documented_one() -> None:
    """What lies on people's disks does not change by accident."""
    assert records.write_header(HEADER, "a", 128) == by_hand(1, "a", 128)
    assert len(by_hand(1, "a", 128)) == records.HEADER_BYTES
    assert records.read_header(by_hand(1, "a", 128), "a", 128) == HEADER


def test_a_header_counts_only_where_it_was_written() -> None:
    """The same bytes at another offset or in another segment are no header."""
    data = records.write_header(HEADER, "a", 128)
    assert records.read_header(data, "a", 0) is None
    assert records.read_header(data, "b", 128) is None


def test_any_flipped_bit_makes_a_header_invalid() -> None:
    """The checksum covers every byte, its own included."""
    data = records.write_header(HEADER, "a", 0)
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        assert records.read_header(bytes(flipped), "a", 0) is None


def test_a_newer_version_is_named_not_guessed_at() -> None:
    """A header of a newer version raises `NewerSite`."""
    with pytest.raises(NewerSite, match="version 2"):
        records.read_header(by_hand(2, "a", 0), "a", 0)


def test_a_newer_segment_is_neither_appended_to_nor_sealed(tmp_path: Path) -> None:
    """Leftovers of a newer version stay as they are; writing goes on elsewhere."""
    store = FsBlobStore(tmp_path)
    name = "0" * 27
    foreign = tmp_path / "segments" / f"{name}.seg"
    foreign.write_bytes(by_hand(2, name, 0) + bytes(300))
    [locator] = store.put_many([Bytes.of(b"x")])
    assert name not in locator
    assert foreign.stat().st_size == records.HEADER_BYTES + 300
    with pytest.raises(NewerSite):
        list(store.records(SegmentName(name)))
    store.close()


def test_packing_compresses_only_what_shrinks() -> None:
    """Noise and tiny mails are stored as they are, text smaller."""
    noise, tiny, text = (Bytes.of(data) for data in (os.urandom(5000), b"a" * 100, b"a" * 5000))
    assert records.pack(noise).header.codec == Codec.RAW
    assert records.pack(tiny).header.codec == Codec.RAW
    packed = records.pack(text)
    assert (packed.header.codec, len(packed.data) < 100) == (Codec.ZSTD, True)
    assert records.unpack(packed.header, packed.data) == text.data


def test_a_frame_that_claims_another_size_is_not_decompressed() -> None:
    """Damage cannot make a small record ask for gigabytes."""
    packed = records.pack(Bytes.of(b"a" * 5000))
    lying = Header(
        sha256=packed.header.sha256, size_bytes=10, codec=Codec.ZSTD, stored_bytes=packed.header.stored_bytes
    )
    with pytest.raises(records.BadRecord, match="wrong size"):
        records.unpack(lying, packed.data)
