"""One screen of what is going on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mairust_core.model.backup import BackupRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much there is within the caller's reach; `bytes` is what the accounts use."""

    domains: int
    accounts: int
    messages: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseStatus:
    """The database; `version` is that of SQLite or of the PostgreSQL server."""

    kind: str
    version: str
    schema: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobStatus:
    """The bytes of the mail: what they occupy, and the room of the disk they lie on."""

    driver: str
    used_bytes: int
    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MailStatus:
    """Mails that came. Refusals are those that were noted: floods are counted in the log only (rule J3)."""

    accepted_last_hour: int
    refused_last_hour: int
    accepted_last_day: int
    refused_last_day: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """The server that runs on the data directory of whoever answers."""

    pid: int
    version: str
    started_at: datetime
    workers: int
    smtp: str
    lmtp: str
    http: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus:
    """A process that works on this site, on this or on another machine, by its leased number."""

    number: int
    host: str
    pid: int
    renewed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Queues:
    """What waits to be done."""

    accounts_to_purge: int
    blobs_to_delete: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsStatus:
    """Jobs that are not done: `due` of the ready ones should be running by now.

    `oldest_due_at` is when the longest waiting one of these should have begun; null without any.
    """

    ready: int
    due: int
    oldest_due_at: datetime | None
    running: int
    dead: int
    held: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HooksStatus:
    """Plugins by state and those that wait for approval; hooks that are asked; those that are left alone.

    `plugins_unsigned` are enabled and nobody stands for them; `plugins_unwell` did not say that they are well
    when they were asked last.
    """

    plugins_enabled: int
    plugins_disabled: int
    plugins_blocked: int
    plugins_waiting: int
    plugins_unsigned: int
    hooks: int
    breakers_open: tuple[str, ...]
    plugins_unwell: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrashStatus:
    """Deleted messages, and when the first of them can no longer be undeleted; null without any."""

    messages: int
    first_gone_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRun:
    """The last run of something that is done every so often; `outcome` says what was done how often."""

    at: datetime
    took_s: float
    outcome: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupsStatus:
    """The last backup of which a snapshot came, null before the first.

    `verified` holds, for each repository, the backup after which it was verified last.
    """

    last: BackupRun | None
    verified: tuple[BackupRun, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What is going on. Without site reach only `version`, `at` and the caller's own `counts` are told.

    `server` is also null when none runs, `collection` before the first, `blobs` where they are out of reach,
    as when their disk is not mounted: then mail is refused for now.
    """

    version: str
    at: datetime
    counts: Counts
    mail: MailStatus | None = None
    queues: Queues | None = None
    jobs: JobsStatus | None = None
    hooks: HooksStatus | None = None
    trash: TrashStatus | None = None
    database: DatabaseStatus | None = None
    blobs: BlobStatus | None = None
    server: ServerStatus | None = None
    processes: tuple[ProcessStatus, ...] = ()
    collection: TaskRun | None = None
    backups: BackupsStatus | None = None
