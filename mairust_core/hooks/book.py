"""Which hooks there are, with the plugins that answer them: the port, and a book for tests and trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mairust_core.model.hook import Hook
from mairust_core.model.plugin import Runnable


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """An enabled hook and its plugin, as approved.

    `blocked`: the plugin was revoked; the hook is not asked and answers with its `on_error` (rule G5).
    """

    hook: Hook
    plugin: Runnable
    blocked: bool = False


class HookBook(Protocol):
    """Where the chain finds the hooks of a site. Thread-safe."""

    def enabled(self) -> Sequence[Registered]:
        """Every enabled hook of an enabled or blocked plugin, in no order; raises the errors of the store.

        Read again, on a thread, when the generation of the site has risen (rule D3).
        """
        ...


class MemoryBook:
    """Hooks written down in this process."""

    def __init__(self, *registered: Registered) -> None:
        self._registered = registered

    def enabled(self) -> Sequence[Registered]:
        """What was written down last."""
        return [one for one in self._registered if one.hook.enabled]

    def write(self, *registered: Registered) -> None:
        """Replace all."""
        self._registered = registered
