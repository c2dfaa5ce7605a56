"""Describing a mail so that nothing in it can stop it from being stored (rule C4)."""

from __future__ import annotations

import logging

from mairust_core.mime import SNIPPET, describe
from mairust_core.model.blob import Content
from mairust_core.model.content import Facts

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
