"""Describing a mail so that nothing in it can stop it from being stored (rule C4)."""

from __future__ import annotations

import logging
from dataclasses import replace

from mairust_core.mime import SNIPPET, describe, describe_unread, read_preview
from mairust_core.model.blob import Content
from mairust_core.model.content import Facts, Unread
from mairust_core.model.delivery import Delivery

log = logging.getLogger("mairust.receive")


def describe_safely(content: Content, crlf_proved: bool = False) -> Facts | None:
    """The facts of a content; None when it cannot be described, and then it is stored undescribed.

    `crlf_proved` says that a listener refused bare CR and LF already (rule B3).
    """
    try:
        return describe(content.view(), crlf_proved=crlf_proved, extent=SNIPPET)
    except Exception:
        log.exception("content %s is stored undescribed", content.sha256.hex())
        return None


def describe_first(content: Content, crlf_proved: bool) -> tuple[Facts | None, Unread | None]:
    """The facts of a content as `describe_safely` finds them, but the preview may be left to `with_snippet`.

    Only bare LF, which moves what is behind it, is described whole.
    """
    if not crlf_proved:
        return describe_safely(content), None
    try:
        return describe_unread(content.view())
    except Exception:
        log.exception("content %s is stored undescribed", content.sha256.hex())
        return None, None


def with_snippet(delivery: Delivery) -> Delivery:
    """A delivery with the beginning of its text, if that was left; undescribed when it cannot be read."""
    if delivery.facts is None or delivery.unread is None:
        return delivery
    content = delivery.content
    try:
        shown = read_preview(content.view(), delivery.unread, SNIPPET)
    except Exception:
        log.exception("content %s is stored undescribed", content.sha256.hex())
        return replace(delivery, facts=None, unread=None)
    return replace(delivery, snippet=shown.text, unread=None)
