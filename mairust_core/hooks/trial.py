"""The port of what tries hooks out: the real chain, with nothing stored and nobody told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mairust_core.model.forms import Page
from mairust_core.model.hook import Hook
from mairust_core.model.message import Summary
from mairust_core.model.plugin import Runnable
from mairust_core.model.trial import Replayed, TrialEnvelope, Tried
from mairust_core.operations import BytesIn


class Trial(Protocol):
    """Runs hooks without effect. Thread-safe; called from threads that may wait."""

    def test(
        self, hooks: Sequence[tuple[Hook, Runnable]], content: BytesIn, envelope: TrialEnvelope
    ) -> Tried:
        """Ask the hooks about a mail, in their order, as the road would."""
        ...

    def replay(self, hook: Hook, plugin: Runnable, account_id: int, found: Page[Summary]) -> Page[Replayed]:
        """Ask a hook about messages of an account; the page that comes back may end earlier."""
        ...
