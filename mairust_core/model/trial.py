"""Trying hooks out: on a mail from a file, on mail that is stored, always without effect (B-6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from mairust_core.errors import Invalid
from mairust_core.model.forms import DEFAULT_LIMIT, MAX_LIMIT, request
from mairust_core.model.hook import HookType, Mode
from mairust_core.model.ids import Id
from mairust_core.model.moment import Moment, at_or_none
from mairust_core.model.verdict import ActionWord


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnvelope:
    """In which envelope a mail is tried; without recipients hooks that ask for them match nobody."""

    mail_from: str = ""
    rcpt_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One hook that was asked.

    `payload` is what it was sent, secrets masked, null when there was no time to ask it; `answer` what came
    back, as JSON where it is that and as text, cut, where it is not, null when nothing came; `error` why that
    is no answer, empty otherwise; `effect` what its answer would have changed; `log` what a local process
    wrote on stderr; `notes` how it was held, as in traces.
    """

    hook: str
    plugin: str
    type: HookType
    mode: Mode
    ms: float
    payload: dict[str, Any] | None
    answer: Any
    error: str
    effect: dict[str, Any]
    log: str = ""
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What the hooks would have done to a mail: each step, the action in the end, and the SMTP reply.

    `failed` says that a hook did not answer, or not as the contract has it.
    """

    steps: tuple[Step, ...]
    action: ActionWord
    reply: str
    failed: bool


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Which stored mail a hook is tried on: an account's, newest first, received since then."""

    account: str
    since: Moment | None = None
    limit: int = DEFAULT_LIMIT
    cursor: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_LIMIT:
            raise Invalid("limit", "page_size", value=self.limit, limit=MAX_LIMIT)
        at_or_none(self.since, "since")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a hook would have done to a stored message; `matched` is false if its filter passes it over."""

    id: Id
    received_at: datetime
    subject: str
    matched: bool
    ms: float
    action: ActionWord | Literal[""]
    error: str
    effect: dict[str, Any]
