"""A site whose hooks are registered and never asked: nothing can be tried, and no breaker opens."""

from __future__ import annotations

from collections.abc import Sequence

from mairust_core.errors import Temporary
from mairust_core.model.breaker import BreakerState
from mairust_core.model.forms import Page
from mairust_core.model.hook import Hook
from mairust_core.model.plugin import Runnable
from mairust_core.model.principal import Principal
from mairust_core.model.trial import Replay, Replayed, TrialEnvelope, Tried
from mairust_core.operations import BytesIn


class NoTrial:
    """Refuses to try."""

    def test(
        self, hooks: Sequence[tuple[Hook, Runnable]], content: BytesIn, envelope: TrialEnvelope
    ) -> Tried:
        """Raise `Temporary`."""
        raise Temporary("no_chain")

    def replay(self, by: Principal, hook: Hook, plugin: Runnable, wanted: Replay) -> Page[Replayed]:
        """Raise `Temporary`."""
        raise Temporary("no_chain")


class NoBreakers:
    """All closed."""

    def states(self) -> dict[str, BreakerState]:
        """None."""
        return {}

    def reset(self, hook: str) -> None:
        """Nothing to close."""
