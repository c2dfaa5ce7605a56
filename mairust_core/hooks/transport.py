"""The port between the chain and the code that answers: one call, one document each way.

Transports: HTTP and UNIX sockets, STDIN processes in the sandbox, in-process Python, memory (for tests).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

MAX_ANSWER_BYTES = 128 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What one call took of the machine: processor time, and the most memory that was seen."""

    cpu_us: int = 0
    memory_bytes: int = 0


NOTHING_USED = Used()
"""A plugin that runs elsewhere, or where nobody counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alive:
    """The processes of a local plugin in this process: how many there are, and how many of them work."""

    workers: int
    busy: int


class CallFailed(Exception):
    """The plugin gave no usable answer; `on_error` decides. The text says why, without mail and secrets.

    `log` is what its process said on stderr meanwhile, cut: the plugin's own words. `notes` and `used` as in
    `Answer`; `body` is what came in place of an answer, where somebody wants to see it.
    """

    body: bytes | None = None
    notes: Mapping[str, Any] = MappingProxyType({})
    used: Used = NOTHING_USED

    def __init__(self, reason: str, log: str = "") -> None:
        super().__init__(reason)
        self.log = log


class CallTimedOut(CallFailed):
    """It did not answer in time; `on_timeout` decides."""


class CallEnded(CallFailed):
    """Its hook or plugin is not in force any more as it was asked: no failure of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One question: `body` is the request of the contract as JSON, one line without its newline."""

    delivery_id: str
    hook: str
    body: bytes
    timeout_ms: int
    """What is left for it: waiting for a worker counts (rule E4)."""
    trial: bool = False
    """Somebody looks on: what is no answer is to be seen, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, at most `MAX_ANSWER_BYTES`, undecoded; and what its process said on stderr, cut."""

    body: bytes
    log: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What the trace shall say besides, such as which layers of the sandbox were missing."""
    used: Used = NOTHING_USED


class Transport(Protocol):
    """A way to one plugin; belongs to one event loop; calls may overlap."""

    async def call(self, call: Call) -> Answer:
        """Ask once. Raises `CallFailed` (`CallTimedOut`) and nothing else; never retries by itself.

        It is cancelled when its time is over, should it not have noticed that itself.
        """
        ...

    async def close(self) -> None:
        """End connections and processes; calls under way fail."""
        ...


@runtime_checkable
class Staffed(Protocol):
    """A transport that has processes of its own."""

    @property
    def alive(self) -> Alive:
        """How many there are now."""
        ...
