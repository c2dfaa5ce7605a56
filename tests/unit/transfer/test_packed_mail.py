"""Mail that a server packed or encrypted file by file, as plugins of Dovecot's do (trap M2)."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Callable
from functools import partial
from io import BufferedReader, RawIOBase
from pathlib import Path

import pytest
import zstandard

from mairust_core.transfer.packed import mail as packed_mail
from mairust_core.transfer.packed import unpacking
from mairust_core.transfer.packed.unpacking import Bomb, reading
from mairust_core.transfer.source import Unusable
from tests.unit.transfer.test_maildir import content, make, only

MAIL = b"Subject: packed\n\n" + b"The same line again.\n" * 40
PACKERS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": partial(lzma.compress, preset=0),
    "zstd": zstandard.ZstdCompressor().compress,
}

packers = pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)


def one(root: Path, data: bytes, told: int | None) -> Path:
    """A Maildir with one file, whose name tells a size or none."""
    name = "cur/1.M1P1.vm" + (f",S={told},W=900" if told is not None else "") + ":2,S"
    make(root, name)
    (root / name).write_bytes(data)
    return root


@packers
@pytest.mark.parametrize("told", [len(MAIL), 7, None])
def test_trap_m2_packed_mail_is_unpacked(
    tmp_path: Path, pack: Callable[[bytes], bytes], told: int | None
) -> None:
    """Also where the name tells no size, or another one."""
    message = only(one(tmp_path, pack(MAIL), told))
    assert content(message) == MAIL
    assert message.flags() == ("\\Seen",)


@packers
def test_trap_m2_large_packed_mail_is_unpacked(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """Beyond what is held in memory, packed and unpacked."""
    mail = MAIL + os.urandom(1 << 21).hex().encode()
    assert content(only(one(tmp_path, pack(mail), None))) == mail


@packers
def test_trap_m2_mail_that_was_sent_packed_stays_as_it_is(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    """The size in its name says that nobody packed it here."""
    data = pack(MAIL)
    assert content(only(one(tmp_path, data, len(data)))) == data


@packers
@pytest.mark.parametrize("told", [len(MAIL), None])
def test_trap_m2_packed_mail_that_is_damaged_fails(
    tmp_path: Path, pack: Callable[[bytes], bytes], told: int | None
) -> None:
    """It is not taken for mail, and no half of it is either."""
    with pytest.raises(Unusable) as failed:
        content(only(one(tmp_path, pack(MAIL)[:-9], told)))
    assert failed.value.reason.code == "damaged"
    assert "packed" in failed.value.reason.why()


@pytest.mark.parametrize(
    ("start", "code"),
    [(b"CRYPTED\x03\x07\x02", "encrypted"), (b"Dovecot-LZ4\x0d\x2a\x9b\xc5", "packed_lz4")],
)
def test_trap_m2_mail_that_nothing_here_can_read_fails(tmp_path: Path, start: bytes, code: str) -> None:
    """The reason names what can; what only begins so is mail."""
    data = start + bytes(90)
    with pytest.raises(Unusable) as failed:
        content(only(one(tmp_path / "a", data, 60)))
    assert failed.value.reason.code == code
    assert "doveadm backup" in failed.value.reason.why()
    assert content(only(one(tmp_path / "b", data, len(data)))) == data


@pytest.mark.parametrize("data", [b"", b"\x1f", b"BZh: a field\n\nx", b"(\xb5 text", b"CRYPTED: x\n\ny\n"])
def test_trap_m2_mail_that_begins_almost_so_is_mail(tmp_path: Path, data: bytes) -> None:
    """Byte for byte."""
    assert content(only(one(tmp_path, data, None))) == data


@packers
def test_trap_m2_what_unpacks_without_end_fails(
    tmp_path: Path, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long before it fills a disk; the reason names the limit."""
    monkeypatch.setattr(packed_mail, "MAX_UNPACKED_BYTES", 1 << 20)
    with pytest.raises(Unusable) as failed:
        content(only(one(tmp_path, pack(bytes(1 << 22)), None)))
    assert (failed.value.reason.code, "1 MiB" in failed.value.reason.why()) == ("bomb", True)


def unpacked_until_refused(data: bytes) -> int:
    """How much came out before a `Bomb`, which is raised."""
    read, pieces = reading(io.BytesIO(data)), list[bytes]()
    with pytest.raises(Bomb):
        pieces.extend(iter(lambda: read(1 << 12), b""))
    return sum(map(len, pieces))


@packers
@pytest.mark.parametrize("times", [0, 40])
def test_trap_m2_what_unpacks_too_far_is_refused_early(
    pack: Callable[[bytes], bytes], times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also behind much that is mail; no mail of that size is refused for having one line only."""
    monkeypatch.setattr(unpacking, "FREE_BYTES", 1 << 17)  # of an mbox; that of a mail is counted alike
    monkeypatch.setattr(unpacking, "MAX_RATIO", 20)
    mail = os.urandom(1 << 14).hex().encode() * 2
    bomb = pack(mail) * times + pack(bytes(1 << 22))
    more = unpacked_until_refused(bomb) - times * len(mail)
    assert 0 < more <= (1 << 17) + 20 * (len(pack(bytes(1 << 22))) + (8 << 10))
    read = reading(io.BytesIO(pack(mail) * 40))
    assert sum(len(piece) for piece in iter(lambda: read(1 << 16), b"")) == 40 * len(mail)


@packers
def test_trap_m2_the_same_line_for_many_pages_is_mail(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """Most of the limit is there for that."""
    mail = MAIL + b"The same line once more.\n" * 200_000
    assert content(only(one(tmp_path, pack(mail), None))) == mail


@packers
def test_trap_m2_streams_without_end_that_hold_nothing_fail(pack: Callable[[bytes], bytes]) -> None:
    """Each costs more work than its bytes are worth."""
    assert unpacked_until_refused(pack(b"") * (unpacking.FREE_STREAMS + 1)) == 0
    read = reading(io.BytesIO(pack(bytes(300)) * (unpacking.FREE_STREAMS + 5)))
    assert sum(map(len, iter(lambda: read(1 << 16), b""))) == 300 * (unpacking.FREE_STREAMS + 5)


def _of_dictionary(code: int) -> bytes:
    """An xz whose header asks for a dictionary of this size, in the code of the format (§5.3.1)."""
    data = bytearray(lzma.compress(MAIL))
    header = data[12 : 12 + 4 * (data[12] + 1)]
    at = header.index(b"\x21\x01") + 2
    header[at] = code
    header[-4:] = zlib.crc32(header[:-4]).to_bytes(4, "little")
    data[12 : 12 + len(header)] = header
    return bytes(data)


@pytest.mark.parametrize("code", [30, 36, 40])
def test_trap_m2_xz_that_asks_for_too_much_memory_fails(tmp_path: Path, code: int) -> None:
    """128 MiB, 1 GiB and 4 GiB; that of `xz -9`, 64 MiB, is had."""
    with pytest.raises(Unusable) as failed:
        content(only(one(tmp_path / "a", _of_dictionary(code), None)))
    assert failed.value.reason.code == "damaged"
    assert content(only(one(tmp_path / "b", lzma.compress(MAIL, preset=9), None))) == MAIL
    assert content(only(one(tmp_path / "c", _of_dictionary(28), None))) == MAIL


class _TooMuch(RawIOBase):
    """A file for which there is no memory."""

    def readable(self) -> bool:
        return True

    def readinto(self, _: object) -> int:
        raise MemoryError


def test_trap_m2_memory_that_is_not_there_is_told_of_the_file() -> None:
    """It does not end an import."""
    with pytest.raises(OSError, match="memory"):
        reading(BufferedReader(_TooMuch()))(1)


def test_trap_m2_mail_that_was_sent_packed_may_unpack_to_its_own_size(tmp_path: Path) -> None:
    """The size in its name still says that nobody packed it here."""
    data = gzip.compress(MAIL)
    # a name in the header, FNAME of RFC 1952, fills it up
    data = data[:3] + b"\x08" + data[4:10] + b"n" * (len(MAIL) - len(data) - 1) + b"\0" + data[10:]
    assert len(data) == len(MAIL) == len(gzip.decompress(data))
    assert content(only(one(tmp_path, data, len(data)))) == data


@packers
@pytest.mark.parametrize("garbage", [b"x", b"garbage\n" * 9])
def test_trap_m2_packed_mail_with_something_behind_it_fails(
    tmp_path: Path, pack: Callable[[bytes], bytes], garbage: bytes
) -> None:
    """Whatever packed it: nobody knows what was lost."""
    with pytest.raises(Unusable) as failed:
        content(only(one(tmp_path, pack(MAIL) + garbage, len(MAIL))))
    assert failed.value.reason.code == "damaged"


@packers
def test_trap_m2_what_is_packed_in_several_streams_is_one_mail(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    """Zeros may fill up what is behind each."""
    padded = pack(MAIL[:99]) + bytes(4) + pack(b"") + pack(MAIL[99:]) + bytes(512)
    assert content(only(one(tmp_path, padded, None))) == MAIL
