"""Describing a mail so that nothing in it can stop it from being stored (rule C4)."""

from __future__ import annotations

import logging
from dataclasses import replace

from mairust_core.mime import SNIPPET, Outline, describe, read_preview
from mairust_core.model.blob import Content
from mairust_core.model.content import Description, Facts, Unread
from mairust_core.model.delivery import Delivery

log = logging.getLogger("mairust.receive")


def describe_safely(content: Content, crlf_proved: bool = False) -> Facts | None:
    """The facts of a content; None when it cannot be described, and then it is stored undescribed.

    `crlf_proved` says that a listener refused bare CR and LF already (rule B3).
    """
    try:
        return describe(content.view(), crlf_proved=crlf_proved, extent=SNIPPET)
    except Exception:
        _note_undescribed(content)
        return None


class LazyDescription(Description):
    """A content without bare LF: its parts are found at once, all facts when somebody asks for them."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._outline: Outline | None = None
        self._facts: Facts | None = None
        try:
            self._outline = Outline(content.view())
        except Exception:
            _note_undescribed(content)

    @property
    def facts_left(self) -> bool:
        """Whether nobody has asked for the facts yet."""
        return self._outline is not None and self._facts is None

    @property
    def facts(self) -> Facts | None:
        """All facts but for the preview; None when the content cannot be described."""
        if self._facts is None and self._outline is not None:
            try:
                self._facts = self._outline.facts()
            except Exception:
                _note_undescribed(self._content)
                self._outline = None
        return self._facts

    @property
    def text(self) -> Unread | None:
        """Where the preview begins."""
        return None if self._outline is None else self._outline.text

    @property
    def received_count(self) -> int:
        """How many `Received` fields there are."""
        return 0 if self._outline is None else self._outline.received_count

    @property
    def header_size_bytes(self) -> int | None:
        """Of the header; None when it cannot be told."""
        return None if self._outline is None else self._outline.header_size_bytes

    @property
    def crlf_size_bytes(self) -> int | None:
        """Its size, as it is the CRLF form; None when it cannot be described."""
        return None if self._outline is None else self._content.size_bytes


def with_facts(delivery: Delivery) -> Delivery:
    """A delivery with what of its description was left: all facts, or the beginning of the text.

    Undescribed when that cannot be read.
    """
    content = delivery.content
    if delivery.facts_left:
        looked = LazyDescription(content)
        text = looked.text if delivery.snippet is None else None
        delivery = replace(delivery, facts=looked.facts, unread=text, facts_left=False)
    if delivery.facts is None or delivery.unread is None:
        return delivery
    try:
        shown = read_preview(content.view(), delivery.unread, SNIPPET)
    except Exception:
        _note_undescribed(content)
        return replace(delivery, facts=None, unread=None)
    return replace(delivery, snippet=shown.text, unread=None)


def _note_undescribed(content: Content) -> None:
    log.exception("content %s is stored undescribed", content.sha256.hex())
