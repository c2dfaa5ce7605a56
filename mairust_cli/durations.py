"""Lengths of time for people."""

from __future__ import annotations

from mairust_core.i18n import say


def duration(seconds: float, lang: str = "en") -> str:
    """A length of time in its two largest units, as `3 h 12 min`."""
    whole = max(round(seconds), 0)
    if whole >= 86_400:
        return say("duration.days", lang, days=whole // 86_400, hours=whole % 86_400 // 3600)
    if whole >= 3600:
        return say("duration.hours", lang, hours=whole // 3600, minutes=whole % 3600 // 60)
    if whole >= 60:
        return say("duration.minutes", lang, minutes=whole // 60)
    return say("duration.seconds", lang, seconds=whole)
