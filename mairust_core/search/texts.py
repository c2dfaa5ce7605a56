"""The text of a stored message: as it was kept, or made from its bytes and its facts."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from zstandard import ZstdError

from mairust_core.errors import Damaged
from mairust_core.search.documents import Extent, Heading, text_of, unpack
from mairust_core.store import facts

if TYPE_CHECKING:
    from mairust_core.app import Site
    from mairust_core.store.searching import Original

log = logging.getLogger("mairust.search")


def stored_text(extent: str, packed: bytes) -> tuple[Extent, str] | None:
    """A text as it was stored; None when the row is damaged: it is made again."""
    try:
        return Extent(extent), unpack(packed)
    except (ZstdError, UnicodeError) as error:
        log.error("a stored text cannot be read, it is made again: %s", error)
        return None


def read_text(site: Site, original: Original) -> tuple[Extent, str]:
    """The text of a message made from its bytes; of its heading alone when they are damaged."""
    try:
        content = site.read_blob(original)
    except Damaged as error:
        log.error("searches know the heading of a message only: %s", error)
        content = None
    text, extent = text_of(heading_of(original), content)
    return extent, text


def heading_of(original: Original) -> Heading:
    """The fields of a message above its body, as lists show them."""
    found = json.loads(original.facts)
    names = {
        name: tuple(f"{one.name} {one.address}" for one in facts.parties(found, name))
        for name in ("from_", "to", "cc")
    }
    filenames = tuple(one.filename for one in facts.attachments(found))
    return Heading(subject=original.subject, filenames=filenames, **names)
