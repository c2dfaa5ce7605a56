"""Packs: what goes in comes out, `zstd` reads them, and no flipped bit goes unnoticed."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mairust_core.errors import Damaged, NewerSite
from mairust_core.transfer.repository.packs import Builder, Directory, Entry, Kind, Unpacker, read_directory

KINDS = st.sampled_from(Kind)
OBJECTS = st.lists(st.tuples(KINDS, st.binary(max_size=3000)), max_size=12)


def packed(objects: list[tuple[Kind, bytes]]) -> BytesIO:
    """A pack of these objects."""
    file = BytesIO()
    builder = Builder(file)
    for kind, data in objects:
        builder.add(kind, data)
    builder.finish()
    return file


def unpacked(file: BytesIO) -> list[tuple[Kind, bytes]]:
    """What is in a pack, each object read in both ways."""
    directory = read_directory(file, "p")
    unpacker = Unpacker(file, "p")
    found = []
    for entry in directory.entries():
        data = unpacker.read(entry)
        assert b"".join(unpacker.pieces(entry)) == data
        assert entry.id == hashlib.sha256(data).digest()
        found.append((entry.kind, data))
    return found


@settings(max_examples=60)
@given(OBJECTS)
def test_what_goes_in_comes_out(objects: list[tuple[Kind, bytes]]) -> None:
    """In order, of any length, the same object twice, too."""
    assert unpacked(packed(objects)) == objects


@settings(max_examples=150)
@given(OBJECTS.filter(bool), st.data())
def test_no_flipped_bit_goes_unnoticed(objects: list[tuple[Kind, bytes]], data: st.DataObject) -> None:
    """Wherever it is: the pack is refused, or the object, or what is read is what was written."""
    whole = packed(objects).getvalue()
    at = data.draw(st.integers(0, len(whole) * 8 - 1))
    damaged = bytearray(whole)
    damaged[at // 8] ^= 1 << at % 8
    try:
        found = unpacked(BytesIO(bytes(damaged)))
    except (Damaged, NewerSite, AssertionError):
        return
    assert found == objects


@settings(max_examples=60)
@given(st.binary(max_size=400))
def test_what_is_no_pack_is_refused(data: bytes) -> None:
    """Without another error than ours."""
    with pytest.raises(Damaged):
        read_directory(BytesIO(data), "p")


@pytest.mark.parametrize("cut", [1, 8, 30, 200])
def test_a_pack_that_ends_early_is_refused(cut: int) -> None:
    """Its directory is at the end."""
    whole = packed([(Kind.MAIL, random.randbytes(500))]).getvalue()
    with pytest.raises(Damaged):
        read_directory(BytesIO(whole[:-cut]), "p")


def test_a_directory_must_agree_with_itself() -> None:
    """Counts, kinds and lengths."""
    good = {"kinds": "m", "ids": "0" * 64, "stored": [5], "sizes": [5]}
    assert len(Directory.from_json(dict(good), "p")) == 1
    wrongs: tuple[dict[str, object], ...] = (
        {"kinds": "x"}, {"kinds": "mm"}, {"ids": "00"}, {"ids": "zz"}, {"ids": None}, {"stored": []},
        {"stored": [-1]}, {"sizes": ["5"]}, {"sizes": None},
    )  # fmt: skip
    for wrong in wrongs:
        with pytest.raises(Damaged):
            Directory.from_json({**good, **wrong}, "p")


def test_a_frame_that_claims_too_much_is_not_believed() -> None:
    """An object is as long as the directory says."""
    file = packed([(Kind.MAIL, b"x" * 100_000)])
    (entry,) = read_directory(file, "p").entries()
    short = Entry(id=entry.id, kind=entry.kind, offset=0, stored_bytes=entry.stored_bytes, size_bytes=10)
    unpacker = Unpacker(file, "p")
    with pytest.raises(Damaged):
        unpacker.read(short)
    with pytest.raises(Damaged):
        list(unpacker.pieces(short))


def test_zstd_reads_a_pack(tmp_path: Path) -> None:
    """All objects one after the other, with nothing of the directory."""
    objects = [(Kind.MAIL, b"one\n"), (Kind.ROWS, b'{"two": 2}\n'), (Kind.MAIL, random.randbytes(3000))]
    path = tmp_path / "pack.zst"
    path.write_bytes(packed(objects).getvalue())
    zstd = shutil.which("zstd")
    assert zstd is not None, "the format promises that the zstd command reads it: install zstd"
    done = subprocess.run([zstd, "-dc", str(path)], capture_output=True, check=True)
    assert done.stdout == b"".join(data for _, data in objects)
