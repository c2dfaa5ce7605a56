"""The first run: data directory, database, master key, first admin key; repeated it changes nothing."""

from __future__ import annotations

import base64
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mairust_core.app import Site, become_owner, open_site
from mairust_core.blobs import drivers
from mairust_core.config import Settings
from mairust_core.disk import is_mounted_read_only
from mairust_core.durable import sync_directory
from mairust_core.errors import BadConfig
from mairust_core.model.principal import Principal, Scope
from mairust_core.model.token import NewToken
from mairust_core.services.tokens import FIRST, Tokens
from mairust_core.store import (
    InFile,
    StorageBackend,
    inspection,
    schema,
    sites,
    storage_of,
    tokens,
)
from mairust_core.store import secrets as kept_secrets

MASTER_KEY_BYTES = 32
ADMIN_TOKEN = "admin.token"  # noqa: S105 - a file name


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstRun:
    """What `init` found or made: `created` is False when the site was there already."""

    data_dir: str
    database: str
    admin_token_file: str
    created: bool


def create_site(settings: Settings, os_user: str) -> FirstRun:
    """Make whatever of a site is missing; each file is durable, and readable by its owner only.

    Migrates an older schema where `database.auto_upgrade` says so.
    Raises `BadConfig` for a directory that cannot be made or written to, `Forbidden`, `StorageDown`,
    `NewerSite`.
    """
    enter_data_dir(settings)
    storage = storage_of(settings)
    try:
        created = make_database(settings, storage)
        if not created and settings.database.auto_upgrade and schema.is_old(storage):
            from mairust_core.store.migrations import migrate_for

            migrate_for(storage, Principal.local(os_user))
        schema.check(storage)
        with storage.read() as tx:
            named = partial(inspection.some_locations, tx)
            used = tokens.any_made(tx)
            drivers.claim(settings, sites.name(tx), named, fresh=created, used=used)
            key_in_force, _, _ = kept_secrets.count(tx)
        if not key_in_force:  # another one would open nothing, and hide that the right one is missing
            write_once(settings.secrets.master_key_file)
    finally:
        storage.close()
    token_file = settings.data_dir / ADMIN_TOKEN
    with _alone(settings.data_dir):
        if not token_file.exists():
            issue_admin_token(open_site(settings), token_file, os_user)
    return FirstRun(
        data_dir=str(settings.data_dir),
        database=storage.name,
        admin_token_file=str(token_file),
        created=created,
    )


def enter_data_dir(settings: Settings) -> None:
    """Make the data directory where there is none, and become its owner.

    Raises `BadConfig` when it cannot be made or written to, `Forbidden` when it is somebody else's.
    """
    make_data_dir(settings.data_dir)
    become_owner(settings)
    _check_writable(settings.data_dir)


def make_data_dir(path: Path) -> None:
    """Make the directory, 0700; raises `BadConfig` saying why it cannot be."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadConfig("data_dir", path=path, why=error.strerror) from error


def make_database(settings: Settings, storage: StorageBackend) -> bool:
    """Make the database file, where there is one, and the tables; False when they are there already.

    Raises `BadConfig` before it makes anything where blobs are that no new database can know.
    """
    if drivers.are_claimed(settings) and _is_missing(settings, storage):
        raise BadConfig("foreign_blobs", path=settings.blobs.path)
    if isinstance(storage, InFile):
        storage.create_file()
    return schema.create(storage)


def _is_missing(settings: Settings, storage: StorageBackend) -> bool:
    path = settings.database.sqlite_path
    if path is None and isinstance(storage, InFile):
        return False  # whether its file is there is not known; `drivers.claim` comes later
    return (path is not None and not path.exists()) or not schema.exists(storage)


def _check_writable(path: Path) -> None:
    # access(2) alone says yes to root, whatever the mount says
    if is_mounted_read_only(path) or not os.access(path, os.W_OK | os.X_OK):
        raise BadConfig("read_only", path=path)


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """No other process that makes the same site is in its own such block."""
    fd = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def issue_admin_token(site: Site, token_file: Path, os_user: str) -> None:
    """Make an administrator's key, leave it in a file, and close the site."""
    try:
        issued = Tokens(site, Principal.local(os_user)).create(NewToken(name=FIRST, scopes=tuple(Scope)))
    finally:
        site.close()
    write_once(token_file, issued.key.encode() + b"\n")


def write_once(path: Path, data: bytes | None = None) -> None:
    """Write a small private file under its final name, durably; one that is there stays as it is.

    Without `data` it is a new master key.
    """
    data = data or base64.b64encode(secrets.token_bytes(MASTER_KEY_BYTES)) + b"\n"
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    fd = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first, and its file is the good one
    finally:
        draft.unlink()
    sync_directory(path.parent)
