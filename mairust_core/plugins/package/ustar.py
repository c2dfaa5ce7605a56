"""Headers of a tar archive: plain ustar (POSIX.1-1988), of which nothing is read but what a package needs.

Every extension is refused: long names and attributes in entries of their own (GNU, pax) and maps of sparse
files are ways to have a reader allocate what an archive claims, or to hide a name from another reader.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mairust_core.errors import Invalid
from mairust_core.plugins.package.paths import shown

BLOCK = 512
ZEROS = bytes(BLOCK)
MAGIC = b"ustar\x0000"
NAME_BYTES, PREFIX_BYTES = 100, 155
EXECUTABLE = 0o100
PERMISSIONS = 0o777

_NUMBER = re.compile(rb" *([0-7]+)[ \0]*")
_LINKS, _SPECIAL, _SPARSE = frozenset("12"), frozenset("3467"), frozenset("S")
_EXTENDED = frozenset("xgXLKNVMDA")
_FILE, _DIRECTORY = frozenset("0\0"), frozenset("5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a header says: a file or a directory, its name in bytes, its size, whether it can be run."""

    name: bytes
    size_bytes: int
    executable: bool
    directory: bool


def read(block: bytes, number: int) -> Header:
    """The header in a block of 512 bytes, the archive's entry `number`; raises `Invalid`.

    Owner, group and time are not looked at: a package is whoever unpacks it.
    """
    if _octal(block[148:156], number) != _checksum(block):
        raise Invalid("package", "package_header", number=number)
    name = _name(block)
    kind = chr(block[156])
    _check_kind(kind, name, number)
    if block[257:265] != MAGIC:
        raise Invalid("package", "package_not_ustar", number=number)
    mode = _octal(block[100:108], number)
    if mode > PERMISSIONS:
        raise Invalid("package", "package_mode", path=shown(name))
    size_bytes = _octal(block[124:136], number)
    directory = kind in _DIRECTORY
    if directory and size_bytes:
        raise Invalid("package", "package_header", number=number)
    return Header(
        name=name.removesuffix(b"/") if directory else name,
        size_bytes=size_bytes,
        executable=bool(mode & EXECUTABLE),
        directory=directory,
    )


def write(path: str, size_bytes: int, *, executable: bool, mtime: int = 0) -> bytes:
    """The header of a file, with nobody as its owner; raises `Invalid` for a name that does not fit."""
    prefix, name = _split(path)
    fields = (
        name.ljust(NAME_BYTES, b"\0"),
        b"%07o\0" % (0o755 if executable else 0o644),
        b"%07o\0" % 0,
        b"%07o\0" % 0,
        b"%011o\0" % size_bytes,
        b"%011o\0" % mtime,
        b" " * 8,
        b"0".ljust(1 + 100, b"\0"),
        MAGIC,
        bytes(32 + 32),
        b"%07o\0" % 0,
        b"%07o\0" % 0,
        prefix.ljust(PREFIX_BYTES, b"\0"),
    )
    block = b"".join(fields).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % _checksum(block) + block[156:]


def padding(size_bytes: int) -> int:
    """How many bytes fill up the last block of a file."""
    return -size_bytes % BLOCK


def _name(block: bytes) -> bytes:
    name = block[:NAME_BYTES].rstrip(b"\0")
    prefix = block[345 : 345 + PREFIX_BYTES].rstrip(b"\0") if block[257:265] == MAGIC else b""
    return prefix + b"/" + name if prefix else name


def _check_kind(kind: str, name: bytes, number: int) -> None:
    if kind in _LINKS:
        raise Invalid("package", "package_link", path=shown(name))
    if kind in _SPARSE:
        raise Invalid("package", "package_sparse", path=shown(name))
    if kind in _EXTENDED:
        raise Invalid("package", "package_extended", kind=kind, number=number)
    if kind in _SPECIAL or kind not in _FILE | _DIRECTORY:
        raise Invalid("package", "package_special", path=shown(name), kind=shown(kind))


def _octal(field: bytes, number: int) -> int:
    """A number in octal digits; the binary form of other tars is none."""
    found = _NUMBER.fullmatch(field)
    if found is None:
        raise Invalid("package", "package_header", number=number)
    return int(found[1], 8)


def _checksum(block: bytes) -> int:
    """The sum of a header's bytes, its own field taken for spaces."""
    return sum(block[:148]) + 8 * 0x20 + sum(block[156:])


def _split(path: str) -> tuple[bytes, bytes]:
    """A path as prefix and name, the prefix as short as can be."""
    raw = path.encode()
    if len(raw) <= NAME_BYTES:
        return b"", raw
    for place, byte in enumerate(raw):
        if byte == 0x2F and len(raw) - place - 1 <= NAME_BYTES and place <= PREFIX_BYTES:
            return raw[:place], raw[place + 1 :]
    raise Invalid("package", "package_path_unfit", path=shown(path))
