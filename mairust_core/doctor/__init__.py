"""What is wrong with a site and how to mend it: works also where nothing else does, and never fails itself.

findings.py    every finding there is, its level and its texts
places.py      data directory, keys, certificates, blobs: files and who may read them
network.py     listeners and certificates
machine.py     disk, clock, limits, Python
databases.py   SQLite and PostgreSQL: versions, settings, growth
usage.py       domains, accounts, aliases, postmaster, collection
sandbox.py     how well local plugins are held here
backups.py     age and health of the last backup
searches.py    whether the index holds all mail
later.py       jobs that nobody does, a rotation of the master key that nobody ended
filters.py     plugins that wait or cannot run, hooks that fail
packages.py    plugins that are blocked or past their time, packages that are not whole
trusted.py     root keys whose newest list of revocations may not be known
joined.py      extensions: which there are, and what is wrong with them

A check is a function that yields what it finds; one that fails is itself a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial

from mairust_core.config import Settings
from mairust_core.doctor import (
    backups,
    databases,
    filters,
    joined,
    later,
    machine,
    network,
    packages,
    places,
    searches,
    trusted,
    usage,
)
from mairust_core.doctor.findings import Found, explained
from mairust_core.errors import Damaged, MaiRustError
from mairust_core.i18n import explain
from mairust_core.model.finding import Examination
from mairust_core.store import Pool, StorageBackend, storage_of

Check = Callable[[Settings], Iterable[Found]]
StorageCheck = Callable[[Settings, StorageBackend], Iterable[Found]]

CHECKS: tuple[Check, ...] = (
    places.data_dir,
    places.config_file,
    places.admin_token,
    places.master_key,
    places.blobs,
    network.settings_without_effect,
    network.listeners,
    network.certificates,
    machine.disk,
    machine.open_files,
    machine.server,
    machine.python,
)
"""What can be looked at without the database."""

STORAGE_CHECKS: tuple[StorageCheck, ...] = (
    databases.sqlite,
    databases.sqlite_whole,
    databases.sqlite_writable,
    databases.postgresql,
    databases.clock,
    databases.site_of_blobs,
    databases.damaged_blobs,
    usage.people,
    usage.postmaster,
    usage.aliases,
    usage.collection,
    backups.backups,
    searches.index,
    later.jobs,
    later.master_key,
    filters.plugins,
    filters.health,
    filters.hooks,
    filters.sockets,
    filters.held,
    packages.standing,
    packages.whole,
    trusted.revocations,
    joined.joined,
)


def examine(load: Callable[[], Settings], lang: str = "en") -> Examination:
    """Look at the site whose settings `load` gives, from a shell: whatever is broken is a finding."""
    try:
        settings = load()
    except MaiRustError as error:
        what, mend = explain(error, lang)
        return explained([Found("config.invalid", problem=what, mend=mend)], lang)
    if found := [*places.site(settings)]:
        return explained(found, lang)
    return explained([*_outside(settings), *_opened(settings)], lang)


def examine_site(settings: Settings, storage: StorageBackend, lang: str = "en") -> Examination:
    """Look at a site whose database is open, as its server does."""
    return explained([*_outside(settings), *_inside(settings, storage)], lang)


def _outside(settings: Settings) -> Iterator[Found]:
    for check in CHECKS:
        yield from _tried(check.__name__, partial(check, settings))


def _opened(settings: Settings) -> Iterator[Found]:
    try:
        with closing(storage_of(settings, Pool(size=1))) as storage:
            found = [*databases.schema_version(settings, storage)]
            yield from found or _inside(settings, storage)
    except MaiRustError as error:
        yield databases.unusable(settings, error)


def _inside(settings: Settings, storage: StorageBackend) -> Iterator[Found]:
    found = [
        one
        for check in STORAGE_CHECKS
        for one in _tried(check.__name__, partial(_unless_damaged, check, settings, storage))
    ]
    damage = [one for one in found if one.id == "database.damaged"]
    yield from (one for one in found if one not in damage[1:])


def _unless_damaged(check: StorageCheck, settings: Settings, storage: StorageBackend) -> Iterator[Found]:
    try:
        yield from check(settings, storage)
    except Damaged as error:
        yield databases.unusable(settings, error)


def _tried(name: str, check: Callable[[], Iterable[Found]]) -> list[Found]:
    try:
        return list(check())
    except Exception as error:
        return [Found("doctor.check_failed", check=name, why=f"{type(error).__name__}: {error}")]
