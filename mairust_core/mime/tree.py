"""The MIME tree: which part lies where (RFC 2045, 2046), by offsets into the content.

Nothing is copied but header blocks. A multipart without a boundary or without any delimiter line is
shown as the plain text it holds; beyond MAX_DEPTH or MAX_PARTS a part is opaque or left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mairust_core.mime import parameters
from mairust_core.mime.fields import MAX_HEADER_BYTES, Fields, header_end
from mairust_core.mime.line_ends import Buffer
from mairust_core.mime.parameters import MediaType, Parameters

MAX_DEPTH = 30
MAX_PARTS = 1000
MAX_ALL_HEADERS_BYTES = 2 * MAX_HEADER_BYTES
"""How much of all headers of a message, those of its parts and of nested messages included, is read."""
_MAX_BOUNDARY_BYTES = 256
_PART_WEIGHT_BYTES = 256
_MAX_CANDIDATES = 100_000  # lines that begin like a delimiter, in all multiparts together
_PLAIN_ENCODINGS = (b"7bit", b"8bit", b"binary")
_MECHANISM = re.compile(rb"[^\s;(]+")


@dataclass(slots=True, kw_only=True)
class Part:
    """One entity: header at `start`, body from `body` up to `end` (offsets into the content).

    `number` is the IMAP part number ("" for a multipart that is the whole message), `encoding` the
    lower-case transfer encoding, `message` the entity inside a message/rfc822 part. `cut`: its header was not
    read whole or says two things, or others may lie inside of it that were not found; of the whole message:
    of any part.
    """

    number: str
    start: int
    body: int
    end: int
    fields: Fields
    type: MediaType
    encoding: bytes
    disposition: bytes
    disposition_parameters: Parameters
    children: list[Part] = field(default_factory=list)
    message: Part | None = None
    cut: bool = False
    weight_bytes: int = 0
    """Of a whole message: all headers that were read, and some for each part; so grows what a tree holds."""

    def walk(self) -> Iterator[Part]:
        """Yield this part and the parts inside its multiparts, in order; not into nested messages."""
        yield self
        for child in self.children:
            yield from child.walk()


def scan(content: Buffer) -> Part:
    """Return the tree of a content with any line ends; never raises."""
    scanner = _Scanner(content)
    root = scanner.message(0, len(content), "", 0)
    root.cut |= scanner.cut
    root.weight_bytes = scanner.weight_bytes
    return root


class _Scanner:
    def __init__(self, content: Buffer) -> None:
        self._content = content
        self.cut = False
        self._parts = 0
        self._candidates = 0
        self._header_budget_bytes = MAX_ALL_HEADERS_BYTES

    @property
    def weight_bytes(self) -> int:
        return MAX_ALL_HEADERS_BYTES - self._header_budget_bytes + _PART_WEIGHT_BYTES * self._parts

    def message(self, start: int, end: int, number: str, depth: int) -> Part:
        """Scan a whole message; its body has part number N.1 unless it is a multipart."""
        part = self._entity(start, end, parameters.TEXT_PLAIN)
        self._fill(part, number, depth)
        if not part.children:
            part.number = f"{number}.1" if number else "1"
            self._fill_message(part, depth)
        return part

    def _part(self, start: int, end: int, number: str, depth: int, default: MediaType) -> Part:
        part = self._entity(start, end, default)
        if part.cut and part.fields.get(b"content-type") is None:
            part.type = parameters.OPAQUE  # who reads on may find it to be anything
        self._fill(part, number, depth)
        self._fill_message(part, depth)
        return part

    def _entity(self, start: int, end: int, default: MediaType) -> Part:
        """Read the header of an entity."""
        self._parts += 1
        body = header_end(self._content, start, end)
        fields = Fields(self._content[start : min(body, start + self._header_budget_bytes)])
        read_bytes = min(body - start, self._header_budget_bytes, MAX_HEADER_BYTES)
        self._header_budget_bytes -= read_bytes
        cut = read_bytes < body - start or _is_told_twice(fields, b"content-type")
        self.cut |= cut
        content_type = fields.get(b"content-type")
        kind, attributes = parameters.disposition(fields.get(b"content-disposition") or b"")
        return Part(
            number="",
            start=start,
            body=body,
            end=end,
            fields=fields,
            type=default if content_type is None else parameters.media_type(content_type),
            encoding=_encoding(fields.get(b"content-transfer-encoding")),
            disposition=kind,
            disposition_parameters=attributes,
            cut=cut,
        )

    def _fill(self, part: Part, number: str, depth: int) -> None:
        """Find the parts of a multipart."""
        part.number = number
        if part.type.main != b"multipart":
            return
        if depth >= MAX_DEPTH:
            part.type = parameters.OPAQUE
            return
        default = parameters.MESSAGE if part.type.sub == b"digest" else parameters.TEXT_PLAIN
        prefix = f"{number}." if number else ""
        for index, (start, end, cut) in enumerate(self._ranges(part), start=1):
            if self._parts >= MAX_PARTS:
                self.cut = True
                break
            child = self._part(start, end, f"{prefix}{index}", depth + 1, default)
            child.cut |= cut
            part.children.append(child)
        if not part.children:
            part.type = parameters.TEXT_PLAIN
            # Some decode it, and look for parts then.
            self._cut_at(part, part.encoding not in _PLAIN_ENCODINGS)

    def _fill_message(self, part: Part, depth: int) -> None:
        if part.type.main != b"message" or part.type.sub not in (b"rfc822", b"global"):
            return
        if depth >= MAX_DEPTH or self._parts >= MAX_PARTS:
            part.type = parameters.OPAQUE
            return
        part.message = self.message(part.body, part.end, part.number, depth + 1)

    def _ranges(self, part: Part) -> Iterator[tuple[int, int, bool]]:
        """Yield where each body part begins and ends (RFC 2046 §5.1.1), and whether it may hold others."""
        boundary, *others = parameters.boundaries(part.type.parameters) or [b""]
        self._cut_at(part, bool(others))
        if not 0 < len(boundary) <= _MAX_BOUNDARY_BYTES:
            self._cut_at(part, bool(boundary))
            return
        content, delimiter = self._content, b"\n--" + boundary
        start = None
        # The line end before the first delimiter may be the one that ends the header.
        at = content.find(delimiter, max(part.body - 1, 0), part.end)
        while at >= 0 and self._candidates < _MAX_CANDIDATES:
            self._candidates += 1
            line_end = content.find(b"\n", at + len(delimiter), part.end)
            stop = line_end if line_end >= 0 else part.end
            rest = content[
                at + len(delimiter) : min(stop, at + len(delimiter) + _MAX_BOUNDARY_BYTES)
            ].rstrip()
            if rest in (b"", b"--"):
                if start is not None:
                    yield start, max(start, at - (content[at - 1 : at] == b"\r")), False
                start = stop + 1 if line_end >= 0 else part.end
                if rest:
                    return
            at = content.find(delimiter, stop, part.end)
        self._cut_at(part, at >= 0)
        if start is not None:
            yield start, max(start, part.end), at >= 0

    def _cut_at(self, part: Part, cut: bool) -> None:
        self.cut |= cut
        part.cut |= cut


def _encoding(value: bytes | None) -> bytes:
    found = _MECHANISM.match(value) if value else None
    return found.group().lower() if found else b"7bit"


def _is_told_twice(fields: Fields, name: bytes) -> bool:
    """Whether a field is there again and says something else: of two readers each may take another."""
    return fields.count(name) > 1 and len(set(fields.get_all(name))) > 1
