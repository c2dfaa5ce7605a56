"""Mail that a server packed or encrypted file by file, as plugins of Dovecot's do (trap M2)."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from mairust_core.transfer import packed_mail
from mairust_core.transfer.source import Unusable
from tests.unit.transfer.test_maildir import content, make, only

MAIL = b"Subject: packed\n\n" + b"The same line again.\n" * 40
PACKERS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
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
    """Long before it fills a disk."""
    monkeypatch.setattr(packed_mail, "MAX_UNPACKED_BYTES", 1 << 20)
    with pytest.raises(Unusable) as failed:
        content(only(one(tmp_path, pack(bytes(1 << 22)), None)))
    assert failed.value.reason.code == "damaged"
