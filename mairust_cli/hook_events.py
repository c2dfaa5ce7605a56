"""What hooks said, in the words of a story's lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from mairust_core.i18n import say
from mairust_core.model.story import Event


def told(event: Event, lang: str) -> str:
    """One call of a hook: who was asked about whose copy, what came of it, and what was not accepted."""
    about = event.get("account") or ", ".join(event.get("accounts", ()))
    parts = [
        say(
            "trace.hook",
            lang,
            hook=event["hook"],
            action=event["action"],
            ms=f"{event['ms']:.0f}",
            about=about,
        )
    ]
    if event.get("mode") == "shadow":
        parts.append(say("trace.hook_shadow", lang))
    if error := event.get("error"):
        parts.append(say("trace.hook_error", lang, why=error))
    parts += [str(event[name]) for name in ("reply", "message") if event.get(name) and not event.get("error")]
    parts += _changes(event, lang)
    parts += [f"{name} {_shown(event[name])}" for name in ("score", "annotations") if name in event]
    if refused := [*event.get("refused", ()), *event.get("left_out", ())]:
        parts.append(say("trace.hook_refused", lang, fields=", ".join(refused)))
    if cut := event.get("cut"):
        parts.append(say("trace.hook_cut", lang, fields=", ".join(cut)))
    if missing := event.get("missing"):
        parts.append(say("trace.hook_missing", lang, layers=", ".join(missing)))
    return "; ".join(parts)


def _changes(event: Event, lang: str) -> Iterator[str]:
    """What it wanted to change, and where the mail was moved to."""
    counts = event.get("shortened", {})
    for name, value in event.get("effect", {}).items():
        shown = f"{name} {_shown(value)}".rstrip()
        in_all = {"shown": shown, "count": counts.get(name)}
        yield say("trace.hook_shortened", lang, **in_all) if name in counts else shown
    if mailbox := event.get("moved_to"):
        yield say("trace.hook_moved", lang, mailbox=mailbox)


def decided(event: Event, lang: str) -> str:
    """What was decided about a copy that waited."""
    return say("trace.decided", lang, **event)


def replayed(event: Event, lang: str) -> str:
    """A hook that was tried on the stored mail, and what it saw of that."""
    seen = ", ".join(event["saw"]) or "-"
    parts = [say("trace.replayed", lang, **(event | {"saw": seen}))]
    if error := event.get("error"):
        parts.append(say("trace.hook_error", lang, why=error))
    return "; ".join(parts)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
