"""Packages made by hand, good and hostile: nothing here uses the code that it is to test."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

TOML = b"""\
id = "com.example.spam"
version = "1.2.3"
license = "MIT"

[entry]
protocol = "stdin"
command = ["./spam.sh"]

[[hooks]]
type = "pre_receive"

[permissions]
read_headers = true
"""
SCRIPT = b'#!/bin/sh\nread -r request\necho \'{"action": "deliver"}\'\n'
FILES = {"plugin.toml": TOML, "spam.sh": SCRIPT, "lib/words.txt": b"casino\n"}


@dataclass(kw_only=True)
class Entry:
    """One member: a file unless it says otherwise. `size` is what its header claims."""

    name: str
    data: bytes = b""
    kind: bytes = tarfile.REGTYPE
    mode: int = 0o644
    link: str = ""
    size: int | None = None
    magic: bytes = b"ustar\x0000"
    raw: Mapping[int, bytes] = field(default_factory=dict)
    """Bytes put over the header, by offset, before its sum is made."""

    def block(self) -> bytes:
        """Header, content and padding."""
        size = len(self.data) if self.size is None else self.size
        header = bytearray(512)
        name, prefix = self.name.encode("utf-8", "surrogateescape"), b""
        if len(name) > 100:
            place = name.index(b"/", len(name) - 101)
            prefix, name = name[:place], name[place + 1 :]
        fields = {
            0: name, 100: b"%07o" % self.mode, 108: b"%07o" % 0, 116: b"%07o" % 0, 124: b"%011o" % size,
            136: b"%011o" % 0, 148: b" " * 8, 156: self.kind, 157: self.link.encode(), 257: self.magic,
            329: b"%07o" % 0, 337: b"%07o" % 0, 345: prefix, **self.raw,
        }  # fmt: skip
        for offset, value in fields.items():
            header[offset : offset + len(value)] = value
        header[148:156] = b"%06o\0 " % sum(header)
        return bytes(header) + self.data + bytes(-len(self.data) % 512)


def tar(entries: Iterable[Entry], end: bytes = bytes(1024)) -> bytes:
    """An archive of these entries."""
    return b"".join(one.block() for one in entries) + end


def gzip(data: bytes, level: int = 6) -> bytes:
    """One member of gzip."""
    packer = zlib.compressobj(level, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def listing(files: Mapping[str, bytes], **other: Any) -> bytes:
    """A manifest.json of some files."""
    told = {
        path: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for path, data in files.items()
    }
    values = {"format": 1, "id": "com.example.spam", "version": "1.2.3", "files": told, **other}
    return json.dumps(values).encode()


def entries(
    files: Mapping[str, bytes] = FILES, manifest: bytes | None = None, more: Iterable[Entry] = ()
) -> list[Entry]:
    """The members of a package of these files."""
    found = [
        Entry(name=path, data=data, mode=0o755 if data[:2] == b"#!" else 0o644)
        for path, data in files.items()
    ]
    made = listing(files) if manifest is None else manifest
    return [Entry(name="manifest.json", data=made), *found, *more]


def package(
    files: Mapping[str, bytes] = FILES, manifest: bytes | None = None, more: Iterable[Entry] = ()
) -> io.BytesIO:
    """A package of these files, and of what else is put into its archive."""
    return io.BytesIO(gzip(tar(entries(files, manifest, more))))
