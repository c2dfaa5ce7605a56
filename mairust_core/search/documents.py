"""What is searched of a message: the normal form of its fields, made once for each content.

A document's text has six lines, one for each `Field`: its values between spaces, parted by a mark that no
pattern holds, so that a phrase is never found across two of them. Fields come from the facts that lists
show, so that what is seen is found; the body is read from the message itself. Fields hidden by rule B2 are
none of these.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import zstandard

from mairust_core.mime import Buffer
from mairust_core.mime.searchable import body_texts
from mairust_core.search.normal import normal
from mairust_core.search.query import Field

_BETWEEN = " \x1e "
_LEVEL = 3
_OUTPUT_LIMIT_BYTES = 64 << 20

Key = tuple[int, int]
"""When a message was received (ms) and its id: the order of every list, newest first."""


class Extent(StrEnum):
    """How much of a message its text holds."""

    WHOLE = "whole"
    CUT = "cut"
    """The beginning of a text beyond the limits."""
    HEADER = "header"
    """The fields only: the message could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """The fields above the body, as lists show them."""

    subject: str
    from_: tuple[str, ...]
    to: tuple[str, ...]
    cc: tuple[str, ...]
    filenames: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A message as an index takes it."""

    key: Key
    text: str
    extent: Extent


def text_of(heading: Heading, content: Buffer | None) -> tuple[str, Extent]:
    """The text of a message and its extent; `content` None when it cannot be read. Never raises."""
    texts, whole = ([], True) if content is None else body_texts(content)
    body: list[str] = []
    for text in map(normal, texts):
        if not any(f" {text} " in f" {one} " for one in body):  # HTML often repeats the plain text
            body.append(text)
    fields = ([heading.subject], heading.from_, heading.to, heading.cc, heading.filenames)
    lines = [*(map(normal, values) for values in fields), body]
    extent = Extent.HEADER if content is None else Extent.WHOLE if whole else Extent.CUT
    return "\n".join(map(_line, lines)), extent


def _line(values: Iterable[str]) -> str:
    return f" {_BETWEEN.join(filter(None, values))} "


def field_of(text: str, field: Field) -> str:
    """One line of a document's text."""
    return text.split("\n")[field]


def pack(text: str) -> bytes:
    """The text as it is stored."""
    return _zstd.packer.compress(text.encode())


def unpack(data: bytes) -> str:
    """The text that `pack` stored; raises `zstandard.ZstdError` or `UnicodeError` for other bytes."""
    return _zstd.unpacker.decompress(data, max_output_size=_OUTPUT_LIMIT_BYTES).decode()


class _Zstd(threading.local):
    """zstd contexts may not be shared by threads and cost too much to make per text."""

    def __init__(self) -> None:
        self.packer = zstandard.ZstdCompressor(level=_LEVEL)
        self.unpacker = zstandard.ZstdDecompressor()


_zstd = _Zstd()
