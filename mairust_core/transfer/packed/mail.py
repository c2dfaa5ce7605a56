"""One mail that its server packed, or encrypted, in a file of its own, as plugins of Dovecot's do.

No mail begins like that: RFC 5322 is text. Should somebody have sent such bytes all the same, the size in
the file's name (`S=`), which is that of the mail, says so.
"""

from __future__ import annotations

from io import BufferedReader, RawIOBase
from typing import IO, cast

from mairust_core.i18n import Wording
from mairust_core.transfer.packed.unpacking import MAGIC_BYTES, UNREADABLE, Bomb, Read, packing, reading
from mairust_core.transfer.payload import PIECE_BYTES, Gathering, Payload
from mairust_core.transfer.source import Reason, Unusable

MAX_UNPACKED_BYTES = 256 << 20
"""A few bytes could unpack to more than any disk holds; no mail is so large."""
_CLOSED = ((b"CRYPTED\x03\x07", "encrypted"), (b"Dovecot-LZ4\x0d\x2a\x9b\xc5", "packed_lz4"))
_START_BYTES = max(MAGIC_BYTES, *(len(magic) for magic, _ in _CLOSED))


def as_it_came(payload: Payload, told_bytes: int | None) -> Payload:
    """The mail in a file whose name tells a size, or none: unpacked, else the payload itself.

    Raises `Unusable` for what is packed and damaged, or cannot be read here; closes what it does not return.
    """
    if payload.size_bytes == told_bytes:
        return payload
    start = payload.head(_START_BYTES)
    closed = next((code for magic, code in _CLOSED if start.startswith(magic)), "")
    if not closed and not packing(start):
        return payload
    try:
        if closed:
            raise Unusable(Reason.of(closed))
        return _unpacked(payload)
    finally:
        payload.close()


def _unpacked(payload: Payload) -> Payload:
    file = BufferedReader(cast(RawIOBase, payload.open()))
    gathering = Gathering()
    try:
        _gather(reading(cast(IO[bytes], file), one_mail=True), gathering)
    except Unusable:
        gathering.finish().close()
        raise
    finally:
        file.detach()  # it is the payload's to close
    return gathering.finish()


def _gather(read: Read, gathering: Gathering) -> None:
    size = 0
    while piece := _piece(read):
        gathering.add(piece)
        if (size := size + len(piece)) > MAX_UNPACKED_BYTES:
            limit = Wording("import.bomb_size", mib=MAX_UNPACKED_BYTES >> 20)
            raise Unusable(Reason.of("bomb", key="bomb_mail", limit=limit))


def _piece(read: Read) -> bytes:
    try:
        return read(PIECE_BYTES)
    except Bomb as error:
        raise Unusable(Reason.of("bomb", key="bomb_mail", limit=error.limit)) from error
    except UNREADABLE as error:
        raise Unusable(Reason.of("damaged", key="damaged_mail", why=error)) from error
