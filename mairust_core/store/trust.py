"""Queries on whom to trust with plugins, and on what they took back (rule G5)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, bindparam, case, delete, insert, select, update

from mairust_core.errors import Conflict, NotFound
from mairust_core.ids import now_ms, to_time
from mairust_core.model.principal import Principal
from mairust_core.model.trust import Revocation, RevocationKind, TrustKey
from mairust_core.store import StorageBackend
from mairust_core.store.tables import AnyRow, trust_key, trust_revocation

_LOCK = "trust"
"""Who takes trust away, and who acts on it, wait for each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """Whom a site trusts now: `roots` are public keys by their ids.

    `revoked` is what each root took back of the keys and packages asked about: these look different.
    """

    roots: dict[str, bytes]
    revoked: dict[str, frozenset[str]]

    def revoked_by(self, root: str | None) -> frozenset[str]:
        """What counts for a package of this root: no root speaks for another, for what has none all do."""
        if root is not None:
            return self.revoked.get(root, frozenset())
        return frozenset().union(*self.revoked.values())


def hold(storage: StorageBackend, tx: Connection) -> None:
    """Have whom a site trusts stay as it is until the transaction ends; before any row is locked."""
    storage.serialise(tx, _LOCK)


def trusted(tx: Connection, by: Principal, about: Collection[str]) -> Trusted:
    """All roots, and which of these keys and packages they took back: lists are long. Two statements."""
    roots = tx.execute(select(trust_key.c.id, trust_key.c.public_key).where(*_mine(by))).all()
    return Trusted(roots={row[0]: bytes(row[1]) for row in roots}, revoked=revoked(tx, by, about))


def revoked(tx: Connection, by: Principal, about: Collection[str]) -> dict[str, frozenset[str]]:
    """Which of these keys and packages each trusted root took back; one statement, none for no value."""
    found: dict[str, set[str]] = {}
    mine = trust_revocation.c
    taken = select(mine.root, mine.value).where(
        mine.tenant_id == by.tenant_id,
        mine.root.in_(select(trust_key.c.id).where(trust_key.c.tenant_id == by.tenant_id)),
        mine.kind.in_([kind.value for kind in RevocationKind]),
        mine.value.in_(sorted(about)),
    )
    for root, value in tx.execute(taken) if about else ():
        found.setdefault(root, set()).add(value)
    return {root: frozenset(values) for root, values in found.items()}


def issued(tx: Connection, by: Principal) -> dict[str, int]:
    """When the newest list of each root was issued, by its own date in milliseconds since 1970."""
    query = select(trust_key.c.id, trust_key.c.issued_ms).where(
        trust_key.c.tenant_id == by.tenant_id, trust_key.c.issued_ms.is_not(None)
    )
    return {row[0]: row[1] for row in tx.execute(query)}


def names(tx: Connection, by: Principal) -> dict[str, str]:
    """What roots are called here, by their ids, also those that are trusted no longer."""
    query = select(trust_key.c.id, trust_key.c.name).where(trust_key.c.tenant_id == by.tenant_id)
    return {row[0]: row[1] for row in tx.execute(query)}


def _model(row: AnyRow) -> TrustKey:
    return TrustKey(
        id=row.id,
        name=row.name,
        public_key=bytes(row.public_key).hex(),
        serial=row.serial,
        added_by=row.added_by,
        added_at=to_time(row.added_ms),
        issued_at=_time(row.issued_ms),
        confirmed_at=_time(row.confirmed_ms),
        restored_at=_time(row.restored_ms),
    )


def _time(ms: int | None) -> datetime | None:
    return None if ms is None else to_time(ms)


def add(tx: Connection, by: Principal, key_id: str, public_key: bytes, name: str) -> TrustKey:
    """Trust a root key, or give one that is trusted another name; raises `Conflict` for a name in use."""
    taken = select(trust_key.c.id).where(*_mine(by), trust_key.c.name == name, trust_key.c.id != key_id)
    if tx.execute(taken).first() is not None:
        raise Conflict("trust_name", name=name)
    known = update(trust_key).where(*_one(by, key_id))
    if tx.execute(known.where(trust_key.c.removed_ms.is_(None)).values(name=name)).rowcount:
        return get(tx, by, key_id)
    values = {"name": name, "added_by": by.name, "added_ms": now_ms(), "removed_ms": None}
    if not tx.execute(known.values(values)).rowcount:
        tx.execute(
            insert(trust_key).values(tenant_id=by.tenant_id, id=key_id, public_key=public_key, **values)
        )
    return get(tx, by, key_id)


def get(tx: Connection, by: Principal, name: str, *, locked: bool = False) -> TrustKey:
    """A root key by its id, or else by its name here; raises `NotFound`."""
    for wanted in (trust_key.c.id, trust_key.c.name):
        one = select(trust_key).where(*_mine(by), wanted == name)
        row = tx.execute(one.with_for_update() if locked else one).first()
        if row is not None:
            return _model(row)
    raise NotFound("trust_key", id=name[:200])


def page(tx: Connection, by: Principal, after: str, limit: int) -> list[TrustKey]:
    """Root keys by id, those after `after`."""
    query = select(trust_key).where(*_mine(by), trust_key.c.id > after)
    return [_model(row) for row in tx.execute(query.order_by(trust_key.c.id).limit(limit))]


def remove(tx: Connection, by: Principal, key_id: str) -> None:
    """Trust a root no longer. What it took back stays so, and no older list is taken if it comes back."""
    tx.execute(update(trust_key).where(*_one(by, key_id)).values(removed_ms=now_ms()))


def named(kind: RevocationKind, value: str) -> str:
    """A key or a package as one text: of many thousand the garbage collector is not to look at each."""
    return f"{kind.value}:{value}"


def taken_back(tx: Connection, by: Principal, root: str) -> set[str]:
    """What a root took back, each as `named`."""
    mine = trust_revocation.c
    query = select(mine.kind, mine.value).where(mine.tenant_id == by.tenant_id, mine.root == root)
    return {f"{kind}:{value}" for kind, value in tx.execute(query)}


def in_force(tx: Connection, by: Principal, root: str) -> tuple[int | None, str | None]:
    """Serial and digest of the list of a root that is in force."""
    query = select(trust_key.c.serial, trust_key.c.list_digest).where(*_one(by, root))
    row = tx.execute(query).one()
    return row[0], row[1]


def note(tx: Connection, by: Principal, root: str, new: Iterable[str]) -> None:
    """Take back what was not taken back before, each as `named`."""
    at_ms = now_ms()
    rows = [
        {"tenant_id": by.tenant_id, "root": root, "kind": kind, "value": value, "taken_ms": at_ms}
        for kind, _, value in (one.partition(":") for one in new)
    ]
    if rows:
        tx.execute(insert(trust_revocation), rows)


def release(tx: Connection, by: Principal, root: str, gone: Iterable[str]) -> None:
    """Have count again what a root took back, each as `named`."""
    mine = trust_revocation.c
    one = (mine.kind == bindparam("of_kind")) & (mine.value == bindparam("of_value"))
    rows = [{"of_kind": kind, "of_value": value} for kind, _, value in (one.partition(":") for one in gone)]
    if rows:
        its = (mine.tenant_id == by.tenant_id) & (mine.root == root)
        tx.execute(delete(trust_revocation).where(its, one), rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """A root's list that comes to be in force; `digest` stands for all that it names."""

    serial: int
    issued_ms: int
    digest: str


def take(tx: Connection, by: Principal, root: str, new: InForce) -> None:
    """Have a root's list be this one; what it changes was noted and released.

    That there is no newer one was said of the list that it was said of.
    """
    same = trust_key.c.serial == new.serial
    values = {
        "serial": new.serial, "issued_ms": new.issued_ms, "list_digest": new.digest, "restored_ms": None,
        "confirmed_ms": case((same, trust_key.c.confirmed_ms)),
    }  # fmt: skip
    tx.execute(update(trust_key).where(*_one(by, root)).values(values))


def confirm(tx: Connection, by: Principal, key_id: str) -> TrustKey:
    """Have a root's list be the newest that there is, for now."""
    values = {"confirmed_ms": now_ms(), "restored_ms": None}
    tx.execute(update(trust_key).where(*_one(by, key_id)).values(values))
    return get(tx, by, key_id)


def revocations(tx: Connection, by: Principal, after: str, limit: int) -> list[Revocation]:
    """What was taken back, by root, kind and value; those after the cursor of one."""
    mine = trust_revocation.c
    query = select(trust_revocation).where(mine.tenant_id == by.tenant_id)
    if after:
        root, _, rest = after.partition(":")
        kind, _, value = rest.partition(":")
        later = (mine.kind > kind) | ((mine.kind == kind) & (mine.value > value))
        query = query.where((mine.root > root) | ((mine.root == root) & later))
    rows = tx.execute(query.order_by(mine.root, mine.kind, mine.value).limit(limit))
    return [
        Revocation(
            kind=RevocationKind(row.kind), value=row.value, root=row.root, taken_at=to_time(row.taken_ms)
        )
        for row in rows
    ]


def cursor(found: Revocation) -> str:
    """What continues after this one."""
    return f"{found.root}:{found.kind.value}:{found.value}"


def _mine(by: Principal) -> tuple[ColumnElement[bool], ...]:
    return trust_key.c.tenant_id == by.tenant_id, trust_key.c.removed_ms.is_(None)


def _one(by: Principal, key_id: str) -> tuple[ColumnElement[bool], ...]:
    return trust_key.c.tenant_id == by.tenant_id, trust_key.c.id == key_id
