"""Which bytes of a mail a plugin may see that reads bodies but not all of what is attached (rule F1).

What is kept is what is known: headers, delimiter lines, parts that are the text. All else is left out, so
that nothing is shown because it was not understood: what lies before the first part and after the last one,
and parts beyond those that were looked at.
"""

from __future__ import annotations

from collections.abc import Iterator

from mairust_core.mime.bodies import Bodies, is_attached_whole, sort_parts
from mairust_core.mime.line_ends import Buffer
from mairust_core.mime.rendering import Ranges
from mairust_core.mime.tree import Part
from mairust_core.model.plugin import Attachments


def bodies_of(root: Part) -> Bodies:
    """The parts of a message; one whose own header was not understood has no text."""
    if root.cut and not root.children:
        return Bodies(attached=[root])
    return sort_parts(root)


def left_out(
    content: Buffer, root: Part, hidden: Ranges, read_headers: bool, attachments: Attachments
) -> Ranges:
    """What is not theirs: the header without `read_headers`, and what is attached or not known to be text."""
    ranges = [*hidden] if read_headers else [(0, root.body)]
    if attachments is not Attachments.FULL:
        at = root.body
        for start, end in _Kept(content, root, attachments is Attachments.METADATA).ranges():
            if start > at:
                ranges.append((at, start))
            at = max(at, end)
        if at < root.end:
            ranges.append((at, root.end))
    return tuple(sorted(ranges))


class _Kept:
    def __init__(self, content: Buffer, root: Part, with_headers: bool) -> None:
        self._content = content
        self._root = root
        self._with_headers = with_headers
        self._attached = {id(part) for part in bodies_of(root).attached}

    def ranges(self) -> Iterator[tuple[int, int]]:
        """What is kept of the body, in order."""
        yield from self._part(self._root, b"")

    def _part(self, part: Part, siblings: bytes) -> Iterator[tuple[int, int]]:
        if is_attached_whole(part, siblings) or id(part) in self._attached:
            if self._with_headers and not (part.cut and part is self._root):
                yield part.start, part.body
        elif part.children:
            yield from self._multipart(part)
        else:
            yield part.start, part.end

    def _multipart(self, part: Part) -> Iterator[tuple[int, int]]:
        yield part.start, part.body
        before = part.body
        for index, child in enumerate(part.children):
            yield self._line_start(before, child.start) if index == 0 else before, child.start
            yield from self._part(child, part.type.sub or b"multipart")
            before = child.end
        yield before, self._line_end(before, part.end)

    def _line_start(self, start: int, end: int) -> int:
        """Where the line begins that ends at `end`: the first delimiter line, without what is before it."""
        return max(start, self._content.rfind(b"\n", start, end - 1) + 1)

    def _line_end(self, start: int, end: int) -> int:
        """The end of the line after the one that `start` is at the end of: the last delimiter line."""
        first = self._content.find(b"\n", start, end)
        second = self._content.find(b"\n", first + 1, end) if first >= 0 else -1
        return second + 1 if second >= 0 else end if first >= 0 else start
