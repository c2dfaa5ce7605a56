"""Describing a mail so that nothing in it can stop it from being stored (rule C4)."""

from __future__ import annotations

import logging

from mairust_core.mime import SNIPPET, Outline, describe, read_preview
from mairust_core.model.blob import Content
from mairust_core.model.content import Facts, KeptFacts, Unread
from mairust_core.model.delivery import Delivery
from mairust_core.store.facts import as_snippet, kept_facts

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


class LazyDescription:
    """`Description` of a content without bare LF: its parts are found at once, all facts when somebody asks.

    These too are found at once where to keep the parts would take much memory while a mail waits for hooks.
    """

    def __init__(self, content: Content) -> None:
        self._content = content
        self._outline: Outline | None = None
        self._facts: Facts | None = None
        self.text: Unread | None = None
        self.received_count = 0
        self.header_size_bytes: int | None = None
        self.crlf_size_bytes: int | None = None
        try:
            self._look()
        except Exception:
            self._give_up()

    def _look(self) -> None:
        outline = self._outline = Outline(self._content.view())
        self.text, self.received_count = outline.text, outline.received_count
        self.header_size_bytes = outline.header_size_bytes
        self.crlf_size_bytes = self._content.size_bytes
        if not outline.is_light:
            self._facts = outline.facts()
            self._outline = None

    def _give_up(self) -> None:
        _note_undescribed(self._content)
        self._outline = self._facts = self.text = None
        self.header_size_bytes = self.crlf_size_bytes = None
        self.received_count = 0

    @property
    def facts_left(self) -> bool:
        """Whether nobody has asked for the facts yet."""
        return self._outline is not None

    @property
    def facts(self) -> Facts | None:
        """All facts but for the preview; None when the content cannot be described."""
        if self._outline is not None:
            outline, self._outline = self._outline, None
            try:
                self._facts = outline.facts()
            except Exception:
                self._give_up()
        return self._facts


def keep_facts_safely(facts: Facts | None, content: Content) -> KeptFacts | None:
    """Facts as the store keeps them; None when there are none, or they cannot be kept."""
    try:
        return None if facts is None else kept_facts(facts)
    except Exception:
        _note_undescribed(content)
        return None


def describe_to_keep(content: Content) -> KeptFacts | None:
    """The facts of a content as the store keeps them; None when it cannot be described."""
    return keep_facts_safely(describe_safely(content), content)


def with_facts(delivery: Delivery) -> Delivery:
    """A delivery with what of its description was left: all facts, or the beginning of the text.

    Undescribed when that cannot be read.
    """
    content, kept, text, snippet = delivery.content, delivery.kept, delivery.unread, delivery.snippet
    if delivery.facts_left:
        looked = LazyDescription(content)
        kept, text = keep_facts_safely(looked.facts, content), looked.text
    elif kept is None or (text is None and snippet is None):
        return delivery
    if kept is not None and text is not None and snippet is None:
        try:
            snippet = read_preview(content.view(), text, SNIPPET).text
        except Exception:
            _note_undescribed(content)
            kept = None
    if kept is not None and snippet is not None:
        kept = kept._replace(snippet=as_snippet(snippet))
    return delivery._replace(kept=kept, facts_left=False, unread=None, snippet=None)


def _note_undescribed(content: Content) -> None:
    log.exception("content %s is stored undescribed", content.sha256.hex())
