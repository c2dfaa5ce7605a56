"""What plugins wrote beside their answers, and why calls failed: their own log, cut and cleaned.

A line is at most `MAX_LINE_BYTES` long and holds no control characters, and nothing that looks like a secret
of ours. Of what one plugin writes between two flushes `MAX_WAITING` lines are kept; the rest is counted.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from mairust_core.hooks.steps import Step
from mairust_core.model.plugin_life import LogOrigin

MAX_LINE_BYTES = 512
MAX_WAITING = 100
MASK = "***"
_UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SECRETS = re.compile(
    r"(?P<word>(?i:\b(?:password|passwd|secret|token|authorization)[\"']?\s*[:=]\s*[\"']?(?:bearer\s+)?"
    r"|\bbearer\s+))[^\s\"']+"
    r"|\b(?:mps|mk)_[A-Za-z0-9_-]{8,}"  # of plugins, API keys
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"  # tokens (RFC 7519)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """One line of a plugin's log."""

    at_ms: int
    plugin: str
    hook: str
    origin: LogOrigin
    text: str


class Sayings:
    """Lines that wait in one process. Thread-safe."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Saying]] = {}
        self._left_out: dict[str, int] = {}
        self._lock = threading.Lock()

    def add(self, step: Step) -> None:
        """Note what a plugin wrote during a call, and why the call failed; mostly nothing."""
        outcome = step.outcome
        if not outcome.log and outcome.error is None:
            return
        found = [(LogOrigin.STDERR, text) for text in lines_of(outcome.log)]
        if outcome.error is not None:
            found.append((LogOrigin.ERROR, cleaned(outcome.error)))
        plugin, hook = step.registered.plugin.id, step.registered.hook.name
        with self._lock:
            waiting = self._waiting.setdefault(plugin, [])
            room = MAX_WAITING - len(waiting)
            for origin, text in found[:room]:
                waiting.append(Saying(at_ms=step.at_ms, plugin=plugin, hook=hook, origin=origin, text=text))
            if len(found) > room:
                self._left_out[plugin] = self._left_out.get(plugin, 0) + len(found) - room

    def take(self) -> list[Saying]:
        """What came since this was last asked, with a line on what was left out."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
            left_out, self._left_out = self._left_out, {}
        taken = [one for lines in waiting.values() for one in lines]
        for plugin, count in left_out.items():
            last = waiting[plugin][-1]
            text = f"{count} more lines are left out: there were too many at once"
            taken.append(
                Saying(at_ms=last.at_ms, plugin=plugin, hook=last.hook, origin=LogOrigin.ERROR, text=text)
            )
        return taken


def lines_of(text: str) -> Iterator[str]:
    """The lines of what a process wrote, cleaned, without empty ones."""
    for line in text.splitlines():
        if found := cleaned(line):
            yield found


def cleaned(text: str) -> str:
    """One line without control characters and secrets, cut."""
    shown = "".join(" " if unicodedata.category(char) in _UNSHOWN else char for char in text[:4096])
    masked = _SECRETS.sub(lambda found: (found["word"] or "") + MASK, shown).strip()
    data = masked.encode("utf-8", "replace")
    if len(data) <= MAX_LINE_BYTES:
        return data.decode()
    return data[: MAX_LINE_BYTES - 3].decode("utf-8", "ignore") + "…"
