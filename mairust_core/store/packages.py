"""Queries on packages: what is known of each, and its bytes in parts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, or_, select, text, update
from sqlalchemy.sql.elements import ColumnElement

from mairust_core.ids import now_ms
from mairust_core.model.principal import Principal
from mairust_core.model.trust import Signers
from mairust_core.store import StorageBackend, forms
from mairust_core.store.tables import AnyRow, plugin, plugin_package, plugin_package_part

PART_BYTES = 256 << 10
_KEEP = (
    "INSERT INTO plugin_package_part (tenant_id, archive, number, bytes, at_ms) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (tenant_id, archive, number) DO UPDATE SET at_ms = excluded.at_ms"
)
_COLUMNS = (
    "tenant_id", "digest", "archive", "plugin", "version", "toml", "listing", "root", "signatures",
    "size_bytes", "added_by", "added_ms",
)  # fmt: skip
_VALUES = ", ".join(f":{name}" for name in _COLUMNS)
_PUT = (
    f"INSERT INTO plugin_package ({', '.join(_COLUMNS)}) VALUES ({_VALUES})"  # noqa: S608 - names are ours
    " ON CONFLICT (tenant_id, digest) DO UPDATE SET archive = excluded.archive, root = excluded.root,"
    " signatures = excluded.signatures, size_bytes = excluded.size_bytes,"
    " added_by = excluded.added_by, added_ms = excluded.added_ms"
)
_LOCK = "plugin packages"
"""Who makes parts belong to a package, and who collects those that belong to none, wait for each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A package as it is kept; its bytes are read by `archive`."""

    digest: str
    archive: str
    plugin: str
    version: str
    toml: str
    listing: str
    signers: Signers
    size_bytes: int


def keep_parts(
    storage: StorageBackend, tx: Connection, by: Principal, archive: str, parts: Sequence[tuple[int, bytes]]
) -> None:
    """Keep some bytes of an archive, numbers with parts; those that are there already stay for longer."""
    at_ms = now_ms()
    rows = [(by.tenant_id, archive, number, data, at_ms) for number, data in parts]
    storage.execute_many(tx, _KEEP, rows)


def put(storage: StorageBackend, tx: Connection, by: Principal, new: Kept, parts: int) -> bool:
    """Make a package of parts that were kept; False when some of them were collected meanwhile."""
    storage.serialise(tx, _LOCK)
    mine = plugin_package_part.c
    there = select(func.count()).where(mine.tenant_id == by.tenant_id, mine.archive == new.archive)
    if tx.execute(there).scalar_one() != parts:
        return False
    values = {
        "tenant_id": by.tenant_id, "digest": new.digest, "archive": new.archive, "plugin": new.plugin,
        "version": new.version, "toml": new.toml, "listing": new.listing,
        "root": new.signers.root, "signatures": forms.dump(new.signers), "size_bytes": new.size_bytes,
        "added_by": by.name, "added_ms": now_ms(),
    }  # fmt: skip
    tx.execute(text(_PUT), values)
    return True


def renew(tx: Connection, by: Principal, digest: str, signers: Signers) -> None:
    """Have others stand for a package that is kept; its bytes stay as they are."""
    mine = plugin_package.c
    which = update(plugin_package).where(mine.tenant_id == by.tenant_id, mine.digest == digest)
    tx.execute(which.values(root=signers.root, signatures=forms.dump(signers)))


def _model(row: AnyRow) -> Kept:
    return Kept(
        digest=row.digest,
        archive=row.archive,
        plugin=row.plugin,
        version=row.version,
        toml=row.toml,
        listing=row.listing,
        signers=_signers(row.signatures),
        size_bytes=row.size_bytes,
    )


def _signers(stored: str) -> Signers:
    found: Signers = forms.load(Signers, json.loads(stored))
    return found


def find(tx: Connection, by: Principal, digest: str) -> Kept | None:
    """One package by its digest."""
    mine = plugin_package.c
    row = tx.execute(
        select(plugin_package).where(mine.tenant_id == by.tenant_id, mine.digest == digest)
    ).first()
    return None if row is None else _model(row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is told of a package."""

    version: str
    signers: Signers


def facts(tx: Connection, by: Principal, digests: Iterable[str | None]) -> dict[str, Facts]:
    """What is told of some packages, by their digests; one statement, none for no package."""
    wanted = {one for one in digests if one is not None}
    if not wanted:
        return {}
    mine = plugin_package.c
    query = select(mine.digest, mine.version, mine.signatures).where(
        mine.tenant_id == by.tenant_id, mine.digest.in_(sorted(wanted))
    )
    return {row[0]: Facts(version=row[1], signers=_signers(row[2])) for row in tx.execute(query)}


def held(tx: Connection, by: Principal) -> set[str]:
    """The digests of all packages that some plugin has; one statement."""
    of = plugin.c
    query = select(of.package, of.pending_package, of.previous_package).where(of.tenant_id == by.tenant_id)
    return {digest for row in tx.execute(query) for digest in row if digest is not None}


def texts(tx: Connection, by: Principal, digests: Iterable[str | None]) -> dict[str, str]:
    """The plugin.toml of some packages, by their digests; one statement."""
    mine = plugin_package.c
    wanted = sorted({one for one in digests if one is not None})
    query = select(mine.digest, mine.toml).where(mine.tenant_id == by.tenant_id, mine.digest.in_(wanted))
    return {row[0]: row[1] for row in tx.execute(query)}


def kept_bytes(tx: Connection, by: Principal) -> dict[str, int]:
    """How many bytes of each archive are kept; one statement."""
    mine = plugin_package_part.c
    query = select(mine.archive, func.sum(func.length(mine.bytes))).where(mine.tenant_id == by.tenant_id)
    return {row[0]: int(row[1]) for row in tx.execute(query.group_by(mine.archive))}


def read_parts(storage: StorageBackend, by: Principal, archive: str) -> Iterator[bytes]:
    """The bytes of an archive, a part at a time, each read in a transaction of its own."""
    mine = plugin_package_part.c
    number = 0
    while True:
        one = select(mine.bytes).where(
            mine.tenant_id == by.tenant_id, mine.archive == archive, mine.number == number
        )
        with storage.read() as tx:
            found = tx.execute(one).scalar_one_or_none()
        if found is None:
            return
        yield bytes(found)
        number += 1


def forget(tx: Connection, by: Principal, plugin_id: str) -> list[str]:
    """Drop every package of a plugin; the archives whose parts are to be dropped then."""
    mine = plugin_package.c
    its = (mine.tenant_id == by.tenant_id) & (mine.plugin == plugin_id)
    found = list(tx.execute(select(mine.archive).where(its)).scalars())
    tx.execute(delete(plugin_package).where(its))
    return found


def drop_parts(storage: StorageBackend, tx: Connection, by: Principal, archive: str, limit: int) -> int:
    """Drop some bytes of an archive, the first of them, unless a package has them; how many parts."""
    storage.serialise(tx, _LOCK)
    mine = plugin_package_part.c
    its = (mine.tenant_id == by.tenant_id) & (mine.archive == archive) & ~_is_named()
    some = select(mine.number).where(its).order_by(mine.number).limit(limit)
    numbers = list(tx.execute(some).scalars())
    tx.execute(delete(plugin_package_part).where(its, mine.number.in_(numbers)))
    return len(numbers)


def collect(storage: StorageBackend, tx: Connection, before_ms: int, limit: int) -> int:
    """Forget packages that no plugin has, and bytes that no package has, if they are old; how many rows."""
    storage.serialise(tx, _LOCK)
    mine, of = plugin_package.c, plugin.c
    named = or_(
        of.package == mine.digest, of.pending_package == mine.digest, of.previous_package == mine.digest
    )
    held = select(of.id).where(of.tenant_id == mine.tenant_id, named).exists()
    gone = tx.execute(delete(plugin_package).where(mine.added_ms < before_ms, ~held)).rowcount
    part = plugin_package_part.c
    some = [
        tuple(row)
        for row in tx.execute(
            select(part.tenant_id, part.archive, part.number)
            .where(part.at_ms < before_ms, ~_is_named())
            .limit(max(limit // 10, 1))
        )
    ]
    for tenant_id, archive, number in some:
        tx.execute(
            delete(plugin_package_part).where(
                part.tenant_id == tenant_id, part.archive == archive, part.number == number
            )
        )
    return int(gone) + len(some)


def _is_named() -> ColumnElement[bool]:
    """Whether a package has the archive of a part."""
    of, mine = plugin_package.c, plugin_package_part.c
    return select(of.digest).where(of.tenant_id == mine.tenant_id, of.archive == mine.archive).exists()
