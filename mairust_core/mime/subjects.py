"""Base subjects, by which messages thread when no id links them (RFC 5256 §2.1, rule J4)."""

from __future__ import annotations

import re

MAX_SUBJECT_CHARACTERS = 2000
"""A longer subject is cut before its base is taken; the work is then bounded."""

# RFC 5256 knows re, fw and fwd; the rest is what mailers in other languages and counting ones write.
_PREFIX = r"(?:re|fwd?|aw|antw|wg|sv|vs|vb|tr|rif|r[eé]f|返信|回复|回覆|答复|转发|轉寄|転送|回答)"
_BLOB = r"\[[^\[\]]*+\]\s*+"
_LEADER = re.compile(rf"(?:{_BLOB})*+{_PREFIX}(?:\^\d{{1,3}})?\s*+(?:{_BLOB})?[:：]\s*+", re.IGNORECASE)
_LEADING_BLOB = re.compile(rf"{_BLOB}(?=\S)")
_WRAPPED = re.compile(r"\[fwd:\s*+(.*)\]\Z", re.IGNORECASE)


def base_subject(subject: str) -> tuple[str, bool]:
    """Return the subject without reply and forward marks, and whether there were any."""
    text, marked = " ".join(subject[:MAX_SUBJECT_CHARACTERS].split()), False
    while True:
        while text.lower().endswith("(fwd)"):
            text, marked = text[:-5].rstrip(), True
        text, led = _without_leaders(text)
        wrapped = _WRAPPED.match(text)
        marked = marked or led or wrapped is not None
        if wrapped is None:
            return text, marked
        text = wrapped[1].strip()


def _without_leaders(text: str) -> tuple[str, bool]:
    """Remove marks and list names ("[ann] Re:") from the front, as long as a subject is left."""
    at, marked = 0, False
    while True:
        if leader := _LEADER.match(text, at):
            at, marked = leader.end(), True
        elif (blob := _LEADING_BLOB.match(text, at)) and not _WRAPPED.match(text, at):
            at = blob.end()
        else:
            return text[at:], marked
