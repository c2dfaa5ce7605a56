"""By what a plugin knows that it is us who ask: the port."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mairust_core.hooks.book import Registered
from mairust_core.hooks.payload import Callback
from mairust_core.model.ids import Id
from mairust_core.model.plugin import Runnable


class Credentials(Protocol):
    """The secrets and tokens of plugins. Thread-safe; what it remembers it forgets within a second."""

    def secrets(self, plugin: Runnable) -> Sequence[str]:
        """The shared secrets as shown: the one in force, then the one before during its grace period (G2).

        Empty when the plugin has none. Raises the errors of the store.
        """
        ...

    def call_token(self, plugin: Runnable, delivery_id: str) -> str:
        """A short-lived JWT for one call (contract §4); empty when the site has no key."""
        ...

    def callback(
        self, registered: Registered, delivery_id: str, message_id: Id, place: tuple[int, int]
    ) -> Callback | None:
        """Where and with which token a `post_receive` hook may answer later, once; None when it may not (F3).

        `place` is the mailbox id and UID at which the message was stored, for `receive.answering`.
        """
        ...
