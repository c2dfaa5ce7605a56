"""Hooks as they are asked for, changed and shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from mairust_core.errors import Invalid
from mairust_core.model.breaker import BreakerState
from mairust_core.model.forms import UNSET, Unset, request, unset
from mairust_core.model.hook import (
    POST_TIMEOUT_MAX_MS,
    POST_TIMEOUT_MS,
    PRE_TIMEOUT_MAX_MS,
    PRE_TIMEOUT_MS,
    Fallback,
    Filter,
    Hook,
    HookType,
    Mode,
)
from mairust_core.model.ids import Id
from mairust_core.model.verdict import ActionWord

PRIORITIES = (-1_000_000, 1_000_000)
SIZES = (0, 1 << 40)
MAX_EXPRESSION = 1000


class Origin(StrEnum):
    """Who registered a hook."""

    PLUGIN = "plugin"
    """Its `plugin.toml`; an upgrade may change what was not set here."""
    ADDED = "added"
    """A person, by `hook add`."""


def default_timeout_ms(type_: HookType) -> int:
    """How long a hook may take when nobody says (R-HOOK-1)."""
    return POST_TIMEOUT_MS if type_ is HookType.POST_RECEIVE else PRE_TIMEOUT_MS


def timeouts_ms(type_: HookType) -> tuple[int, int]:
    """How long a hook may be given, at least and at most."""
    return 1, POST_TIMEOUT_MAX_MS if type_ is HookType.POST_RECEIVE else PRE_TIMEOUT_MAX_MS


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class FilterForm(Filter):
    """A filter as it is asked for."""

    def __post_init__(self) -> None:
        for name in Filter.__dataclass_fields__:
            value = getattr(self, name)
            if isinstance(value, str) and not 0 < len(value) <= MAX_EXPRESSION:
                raise Invalid(f"filter.{name}", "expression_length", limit=MAX_EXPRESSION)
        _require_within("filter.size_gt", self.size_gt, SIZES)
        _require_within("filter.size_lt", self.size_lt, SIZES)

    def filter(self) -> Filter:
        """The filter itself."""
        return Filter(**{name: getattr(self, name) for name in Filter.__dataclass_fields__})


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class NewHook:
    """What is needed to add a hook of a registered plugin.

    What is left out is as the type has it, or the plugin if it declares this very hook.
    """

    name: str
    type: HookType
    plugin: str
    enabled: bool = True
    mode: Mode | None = None
    priority: int | None = None
    timeout_ms: int | None = None
    on_timeout: Fallback | None = None
    on_error: Fallback | None = None
    filter: FilterForm | None = None

    def __post_init__(self) -> None:
        _require_within("priority", self.priority, PRIORITIES)
        require_fitting(self.type, self.timeout_ms)

    def given(self) -> dict[str, Any]:
        """What is set of it, by name."""
        found = {name: getattr(self, name) for name in HookChange.__dataclass_fields__}
        if self.filter is not None:
            found["filter"] = self.filter.filter()
        return {name: value for name, value in found.items() if value is not None}


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class HookChange:
    """What to change of a hook: what is left out stays; the filter is replaced as a whole.

    Null takes back what was set: it is again as its plugin declares it, or as its type has it.
    """

    mode: Mode | Unset | None = field(default_factory=unset)
    priority: int | Unset | None = field(default_factory=unset)
    timeout_ms: int | Unset | None = field(default_factory=unset)
    on_timeout: Fallback | Unset | None = field(default_factory=unset)
    on_error: Fallback | Unset | None = field(default_factory=unset)
    filter: FilterForm | Unset | None = field(default_factory=unset)

    def __post_init__(self) -> None:
        if not isinstance(self.priority, Unset):
            _require_within("priority", self.priority, PRIORITIES)

    def given(self) -> dict[str, Any]:
        """What is to change, by name."""
        names = type(self).__dataclass_fields__
        return {name: value for name in names if (value := getattr(self, name)) is not UNSET}


def require_fitting(type_: HookType, timeout_ms: int | None) -> None:
    """Raise `Invalid` for a time-out that a hook of this type cannot have."""
    _require_within("timeout_ms", timeout_ms, timeouts_ms(type_))


def _require_within(name: str, value: int | None, bounds: tuple[int, int]) -> None:
    if value is not None and not bounds[0] <= value <= bounds[1]:
        raise Invalid(name, "not_within", value=value, low=bounds[0], high=bounds[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownHook:
    """A hook as it is in force, and how it fares.

    `changed` names the settings that were set here and survive upgrades of the plugin; `running` says whether
    it is asked: it is enabled, and so is its plugin.
    """

    name: str
    type: HookType
    plugin: str
    enabled: bool
    mode: Mode
    priority: int
    timeout_ms: int
    on_timeout: Fallback
    on_error: Fallback
    filter: Filter
    origin: Origin
    changed: tuple[str, ...]
    running: bool
    breaker: BreakerState = BreakerState.CLOSED

    def hook(self) -> Hook:
        """The hook itself."""
        return Hook(**{name: getattr(self, name) for name in Hook.__dataclass_fields__})


class Outcome(StrEnum):
    """What came of one call of a hook."""

    ANSWERED = "answered"
    FAILED = "failed"
    """No usable answer: `on_error` counted."""
    TIMED_OUT = "timed_out"
    """`on_timeout` counted."""
    SKIPPED = "skipped"
    """Not called: its breaker is open, its plugin blocked, or too many calls were under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookCall:
    """One line of a hook's log: what it was asked about and what came of it; never what it was sent.

    `action` is what it said, or was taken to have said; `detail` why it failed, or what was ignored.
    """

    id: Id
    at: datetime
    hook: str
    plugin: str
    delivery_id: str
    mode: Mode
    outcome: Outcome
    action: ActionWord
    ms: float
    detail: str
    trace_id: Id | None
    message_id: Id | None
    recipient: str | None
