"""The port of what tries hooks out: the real chain, with nothing stored and nobody told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mairust_core.model.breaker import BreakerState
from mairust_core.model.forms import Page
from mairust_core.model.hook import Hook
from mairust_core.model.plugin import Runnable
from mairust_core.model.principal import Principal
from mairust_core.model.trial import Replay, Replayed, TrialEnvelope, Tried
from mairust_core.operations import BytesIn


class Trial(Protocol):
    """Runs hooks without effect. Thread-safe; called from threads that may wait."""

    def test(
        self, hooks: Sequence[tuple[Hook, Runnable]], content: BytesIn, envelope: TrialEnvelope
    ) -> Tried:
        """Ask the hooks about a mail, in their order, as the road would."""
        ...

    def replay(self, by: Principal, hook: Hook, plugin: Runnable, wanted: Replay) -> Page[Replayed]:
        """Ask a hook about an account's stored mail; raises `NotFound` without that account."""
        ...


class Breakers(Protocol):
    """The breakers of hooks (rule E5). Thread-safe."""

    def states(self) -> dict[str, BreakerState]:
        """Those that are not closed, by the hook's name."""
        ...

    def reset(self, hook: str) -> None:
        """Close a hook's breaker and forget which messages it failed on; harmless when it is closed."""
        ...
