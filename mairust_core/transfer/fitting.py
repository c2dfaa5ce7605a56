"""Flags of a source made such as a message here may have: what is found is fitted, never refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mairust_core.model.flags import MAX_KEYWORDS, RECENT, fitting_keyword, is_system_flag, once


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """The flags that a message gets, the keywords that became others, and those there was no room for."""

    flags: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...] = ()
    left_out: tuple[str, ...] = ()


def fitted(found: Iterable[str]) -> Fitted:
    """The flags of a message elsewhere as they are kept: keywords are atoms (RFC 9051 §9), 64 at most."""
    system, keywords = [], []
    for flag in found:
        if is_system_flag(flag):
            system.append(flag)
        elif flag and flag.casefold() != RECENT.casefold():
            keywords.append(flag)
    names = {keyword: fitting_keyword(keyword) for keyword in keywords}
    distinct = once(names.values())
    return Fitted(
        flags=once((*system, *distinct[:MAX_KEYWORDS])),
        renamed=tuple((old, new) for old, new in names.items() if old != new),
        left_out=distinct[MAX_KEYWORDS:],
    )
