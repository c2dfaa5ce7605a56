"""Hooks: where others are asked about a mail, when, and what counts when they do not answer (contract §4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class HookType(StrEnum):
    """The point at which a hook is asked."""

    PRE_RECEIVE = "pre_receive"
    """After DATA, before the reply; one verdict for the recipients that its filter matches (rule E1)."""
    PRE_DELIVERY = "pre_delivery"
    """For each recipient, before storing."""
    POST_RECEIVE = "post_receive"
    """After storing, as a job."""


class Mode(StrEnum):
    """Whether an answer has effect."""

    ENFORCE = "enforce"
    SHADOW = "shadow"
    """Called on live mail after the reply; logged and compared, without effect."""


class Fallback(StrEnum):
    """What a hook is taken to say when it does not answer."""

    ALLOW = "allow"
    REJECT = "reject"
    TEMPFAIL = "tempfail"


PRIORITY = 100
PRE_TIMEOUT_MS = 2_000
PRE_TIMEOUT_MAX_MS = 5_000
POST_TIMEOUT_MS = 30_000
POST_TIMEOUT_MAX_MS = 300_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """The mail a hook wants: what is set must hold; expressions are RE2, matched anywhere (trap H5)."""

    recipient_matches: str | None = None
    recipient_not_matches: str | None = None
    sender_matches: str | None = None
    sender_not_matches: str | None = None
    subject_matches: str | None = None
    has_attachments: bool | None = None
    size_gt: int | None = None
    size_lt: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One hook of a plugin; lower priorities run first, then by name (R-HOOK-3)."""

    name: str
    type: HookType
    plugin: str
    enabled: bool = True
    mode: Mode = Mode.ENFORCE
    priority: int = PRIORITY
    timeout_ms: int = PRE_TIMEOUT_MS
    on_timeout: Fallback = Fallback.TEMPFAIL
    on_error: Fallback = Fallback.TEMPFAIL
    filter: Filter = field(default_factory=Filter)
