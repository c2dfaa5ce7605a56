"""Backups: what a site offers of one moment, what is asked of it, and what came of it (rule I3)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from mairust_core.errors import Invalid
from mairust_core.model.forms import request
from mairust_core.model.ids import Id

MAX_WANTED = 8192
"""Objects asked for at once."""
MAX_KNOWN = 25_000
MAX_COUNT = (1 << 63) - 1
"""Of anything: what a database keeps."""
MAX_NAME_LENGTH = 200
"""Of a repository and of a snapshot."""
MAX_SNAPSHOTS = 500
"""Of a repository that was verified: the newest."""
WHOLE_PERCENT = 100
_OBJECT = re.compile(r"[0-9a-f]{64}")
_STATE = re.compile(r"[0-9a-f]{32}")


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class NewBackup:
    """Begins a backup. `known` are the states of accounts that the repository has already."""

    known: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.known) > MAX_KNOWN or not all(map(_STATE.fullmatch, self.known)):
            raise Invalid("known", "not_states", limit=MAX_KNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedTable:
    """The rows of one table of the site, as objects in the order of its key."""

    table: str
    rows: int
    objects: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedAccount:
    """Everything of one account but the bytes of its mail; no objects when its state is known."""

    id: Id
    address: str
    state: str
    messages: int
    objects: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedFile:
    """A file of the site."""

    name: str
    object: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One moment of a site, held for a backup until its lease ends or the backup says that it is done.

    `contents` is the number of distinct mails that the accounts with objects refer to. `master_keys` are
    the ids of the keys under which secrets are wrapped; the keys themselves never travel.
    """

    id: Id
    at: datetime
    program: str
    schema: str
    site: str
    messages: int
    contents: int
    tables: tuple[OfferedTable, ...]
    accounts: tuple[OfferedAccount, ...]
    files: tuple[OfferedFile, ...]
    master_keys: tuple[str, ...]


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Objects by their ids (SHA-256 in hex), in the order in which they are sent."""

    objects: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.objects) <= MAX_WANTED or not all(map(_OBJECT.fullmatch, self.objects)):
            raise Invalid("objects", "not_object_ids", limit=MAX_WANTED)


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUp:
    """What became of a backup: where it went and what it holds. An empty `snapshot` means nothing."""

    repository: str
    snapshot: str
    messages: int
    objects_new: int
    bytes_new: int
    damaged: int = 0

    def __post_init__(self) -> None:
        for name in ("repository", "snapshot"):
            if len(getattr(self, name)) > MAX_NAME_LENGTH:
                raise Invalid(name, "name_too_long", limit=MAX_NAME_LENGTH)
        for name in ("messages", "objects_new", "bytes_new", "damaged"):
            if not 0 <= getattr(self, name) <= MAX_COUNT:
                raise Invalid(name, "not_count", limit=MAX_COUNT)


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What `backup verify` found in a repository: which `snapshots` it has, and how much was damaged.

    `percent` of its packs were read and hashed; with 0 only what is small was read. `repository` is where it
    lies, as the backup told it; without it the snapshots alone say which one it is.
    """

    snapshots: tuple[str, ...]
    percent: int
    damaged: int
    repository: str = ""

    def __post_init__(self) -> None:
        too_long = any(len(name) > MAX_NAME_LENGTH for name in self.snapshots)
        if too_long or not 1 <= len(self.snapshots) <= MAX_SNAPSHOTS:
            raise Invalid("snapshots", "not_snapshots", limit=MAX_SNAPSHOTS)
        if len(self.repository) > MAX_NAME_LENGTH:
            raise Invalid("repository", "name_too_long", limit=MAX_NAME_LENGTH)
        for name, limit in (("percent", WHOLE_PERCENT), ("damaged", MAX_COUNT)):
            if not 0 <= getattr(self, name) <= limit:
                raise Invalid(name, "not_count", limit=limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRun:
    """One backup that was begun on this site: `finished_at` null while it runs, or when it broke off.

    `pinned` says that nothing is deleted for its sake; `snapshot` is empty when none came of it. When it was
    the newest in its repository and that was verified, `verified_at` says when, `verified_percent` how much
    of the packs was read, and `verify_damaged` how much was damaged.
    """

    id: Id
    started_at: datetime
    finished_at: datetime | None
    by: str
    pinned: bool
    repository: str
    snapshot: str
    messages: int
    objects_new: int
    bytes_new: int
    damaged: int
    verified_at: datetime | None = None
    verified_percent: int = 0
    verify_damaged: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """What became of one message that was restored into a mailbox: its new id, or why it has none."""

    sha256: str
    mailbox: str
    id: Id | None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Additions:
    """What a batch of a restore added: an account when it was gone, and messages."""

    address: str
    account_created: bool
    messages: tuple[Returned, ...]
