"""Line ends of a content, and its CRLF form (rules B1, B2)."""

from __future__ import annotations

from mmap import mmap
from typing import TypeAlias

from mairust_core.model.content import Eol

Buffer: TypeAlias = bytes | mmap
"""Bytes in memory or a file mapped read-only: both find, and slice to bytes."""

_CHUNK_BYTES = 1 << 20


def count(content: Buffer, needle: bytes, start: int, end: int) -> int:
    """Count `needle` (one or two octets) in a range without copying more than a chunk at a time."""
    if isinstance(content, bytes):
        return content.count(needle, start, end)
    overlap = len(needle) - 1
    return sum(
        content[at : min(at + _CHUNK_BYTES + overlap, end)].count(needle)
        for at in range(start, end, _CHUNK_BYTES)
    )


def crlf_size(content: Buffer) -> int:
    """Return the size in bytes after every bare LF became CRLF; a bare CR stays."""
    size = len(content)
    return size + count(content, b"\n", 0, size) - count(content, b"\r\n", 0, size)


def eol_of(size_bytes: int, crlf_size_bytes: int, crlf_count: int) -> Eol:
    """Name the line ends, given both sizes and the number of CRLF; no line end at all is `crlf`."""
    if size_bytes == crlf_size_bytes:
        return "crlf"
    return "mixed" if crlf_count else "lf"


def crlf_form(content: Buffer) -> bytes:
    """Return the content with every bare LF as CRLF; a bare CR stays."""
    return content[:].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
