"""Jobs: what is done later, at least once, by whichever worker is free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any

from mairust_core.model.forms import request
from mairust_core.model.ids import Id
from mairust_core.model.principal import DEFAULT_TENANT


class State(StrEnum):
    """Where a job stands. Ready ones run when their time has come; held ones wait for `job release`."""

    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"
    HELD = "held"


class Priority(IntEnum):
    """What runs first among jobs whose time has come: the lower."""

    HIGH = 10
    NORMAL = 100
    LOW = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as people see it; its payload stays inside.

    `run_at`: not before that time. `worker`: who has it, or had it last. `finished_at`: when it was done or
    given up. `last_error`: one line on the last attempt that failed.
    """

    id: Id
    kind: str
    subject: str
    state: State
    priority: Priority
    attempts: int
    max_attempts: int
    run_at: datetime
    created_at: datetime
    finished_at: datetime | None
    leased_until: datetime | None
    worker: str | None
    last_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What to do later, given to `store.jobs.enqueue`.

    `subject` names for people what it is about. `payload` is for the handler: ids and names, never a secret.
    `run_at_ms` None: at once. While a job with the same `dedupe` is not finished, no second one is made.
    """

    kind: str
    subject: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)
    priority: Priority = Priority.NORMAL
    max_attempts: int = 4
    run_at_ms: int | None = None
    dedupe: str | None = None
    tenant_id: int = DEFAULT_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """A job that a worker has for a while; `fence` tells this lease from every other one (rule F3).

    `attempts` counts this one too.
    """

    id: Id
    kind: str
    subject: str
    payload: dict[str, Any]
    attempts: int
    max_attempts: int
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What becomes of a leased job: its next state, and for a ready one when it runs again.

    `counted` False: the attempt does not count, for it was never begun or was interrupted.
    """

    lease: Leased
    state: State
    delay_ms: int = 0
    error: str | None = None
    counted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A running job as other processes see it: by whom it is leased and until when."""

    id: Id
    fence: int
    leased_until_ms: int
    attempts: int
    max_attempts: int
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCounts:
    """How many jobs are not done: `due` of the ready ones should be running by now.

    `oldest_due_ms` is the time for which the longest waiting one of these was due; None without any.
    """

    ready: int
    due: int
    oldest_due_ms: int | None
    running: int
    dead: int
    held: int


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class JobSelection:
    """Which jobs a change of many is meant for: those of one kind, or of every kind."""

    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsChanged:
    """How many jobs a change of many reached."""

    jobs: int
