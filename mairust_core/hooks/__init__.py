"""What others say about a mail before it is accepted: the points at which the road asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mairust_core.model.blob import Content
from mairust_core.model.content import Facts
from mairust_core.model.envelope import Envelope
from mairust_core.model.verdict import DELIVER, Verdict


class Chain(Protocol):
    """The hooks of a site, asked once per mail."""

    async def pre_receive(
        self, envelope: Envelope, content: Content, facts: Facts | None, accounts: Sequence[int]
    ) -> dict[int, Verdict]:
        """The verdict for each account, before anything is stored; never raises."""
        ...


class NoHooks:
    """A chain without hooks: every copy is delivered."""

    async def pre_receive(
        self, envelope: Envelope, content: Content, facts: Facts | None, accounts: Sequence[int]
    ) -> dict[int, Verdict]:
        """Deliver to everyone."""
        return dict.fromkeys(accounts, DELIVER)
