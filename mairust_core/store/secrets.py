"""Queries on stored secrets and on which master key is in force; nothing here is ever in the clear."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, or_, select, text, update

from mairust_core.ids import to_time
from mairust_core.model.secret import Sealed, Secret
from mairust_core.store.tables import master_key, secret

INTERNAL = "~"
"""Names that begin so are our own: they are in no list."""

_COLUMNS = ("tenant_id", "name", "key_id", "wrapped_key", "ciphertext", "created_ms", "expires_ms")
_PUT = (
    f"INSERT INTO secret ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in _COLUMNS)})"  # noqa: S608 - names are ours
    f" ON CONFLICT (tenant_id, name) DO UPDATE SET {', '.join(f'{n} = excluded.{n}' for n in _COLUMNS[2:])}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapped:
    """A data key, for wrapping it anew."""

    tenant_id: int
    name: str
    key_id: str
    wrapped_key: bytes


def current_key(tx: Connection) -> str | None:
    """The id of the master key in force, held until the transaction ends; None before the first secret."""
    return tx.execute(select(master_key.c.key_id).with_for_update(read=True)).scalar_one_or_none()


def name_first_key(tx: Connection, key_id: str) -> None:
    """Put the first master key in force, unless another process just did."""
    tx.execute(
        text("INSERT INTO master_key (id, key_id) VALUES (1, :key_id) ON CONFLICT DO NOTHING"),
        {"key_id": key_id},
    )


def set_current_key(tx: Connection, key_id: str) -> None:
    """Put a master key in force; waits for every transaction that encrypts under the old one."""
    tx.execute(update(master_key).values(key_id=key_id))


def put(tx: Connection, tenant_id: int, name: str, sealed: Sealed, ms: tuple[int, int | None]) -> None:
    """Store a secret in place of one that was there; `ms` are when it was made and when it ends."""
    values = {
        "tenant_id": tenant_id, "name": name, "key_id": sealed.key_id, "wrapped_key": sealed.wrapped_key,
        "ciphertext": sealed.ciphertext, "created_ms": ms[0], "expires_ms": ms[1],
    }  # fmt: skip
    tx.execute(text(_PUT), values)


def get(tx: Connection, tenant_id: int, name: str, now_ms: int) -> Sealed | None:
    """A secret as it is stored; None when there is none or its time is over."""
    row = tx.execute(
        select(secret.c.key_id, secret.c.wrapped_key, secret.c.ciphertext).where(
            secret.c.tenant_id == tenant_id,
            secret.c.name == name,
            or_(secret.c.expires_ms.is_(None), secret.c.expires_ms > now_ms),
        )
    ).first()
    return None if row is None else Sealed(key_id=row[0], wrapped_key=row[1], ciphertext=row[2])


def expiry(tx: Connection, tenant_id: int, name: str) -> int | None:
    """When a secret ends, held until the transaction does; None for one that does not, or is not there."""
    query = select(secret.c.expires_ms).where(secret.c.tenant_id == tenant_id, secret.c.name == name)
    return tx.execute(query.with_for_update()).scalar_one_or_none()


def remove(tx: Connection, tenant_id: int, name: str) -> bool:
    """Delete a secret; False when there was none."""
    done = tx.execute(delete(secret).where(secret.c.tenant_id == tenant_id, secret.c.name == name))
    return done.rowcount > 0


def under_other_keys(tx: Connection, key_id: str, limit: int) -> list[Wrapped]:
    """Some data keys that are not under this master key, locked."""
    query = (
        select(secret.c.tenant_id, secret.c.name, secret.c.key_id, secret.c.wrapped_key)
        .where(secret.c.key_id != key_id)
        .order_by(secret.c.tenant_id, secret.c.name)
        .limit(limit)
        .with_for_update()
    )
    return [
        Wrapped(tenant_id=row[0], name=row[1], key_id=row[2], wrapped_key=row[3]) for row in tx.execute(query)
    ]


def set_wrapped(tx: Connection, one: Wrapped, key_id: str, wrapped_key: bytes) -> None:
    """Replace the wrapping of a data key."""
    tx.execute(
        update(secret)
        .where(secret.c.tenant_id == one.tenant_id, secret.c.name == one.name)
        .values(key_id=key_id, wrapped_key=wrapped_key)
    )


def page(tx: Connection, tenant_id: int, after: str, limit: int) -> list[Secret]:
    """Secrets by name, those after `after`, without our own."""
    query = (
        select(secret.c.name, secret.c.key_id, secret.c.created_ms, secret.c.expires_ms)
        .where(secret.c.tenant_id == tenant_id, secret.c.name > after)
        .where(~secret.c.name.startswith(INTERNAL, autoescape=True))
        .order_by(secret.c.name)
        .limit(limit)
    )
    return [
        Secret(
            name=row[0],
            key_id=row[1],
            created_at=to_time(row[2]),
            expires_at=None if row[3] is None else to_time(row[3]),
        )
        for row in tx.execute(query)
    ]


def count(tx: Connection) -> tuple[str, int, int]:
    """The id of the master key in force (empty when there is none), all secrets, those under another key."""
    key_id = tx.execute(select(master_key.c.key_id)).scalar_one_or_none() or ""
    waiting = func.count().filter(secret.c.key_id != key_id)
    found = tx.execute(select(func.count(), waiting).select_from(secret)).one()
    return key_id, int(found[0]), int(found[1])


def expire(tx: Connection, now_ms: int, limit: int) -> int:
    """Delete secrets whose time is over; how many."""
    some = select(secret.c.tenant_id, secret.c.name).where(secret.c.expires_ms <= now_ms).limit(limit)
    found = [tuple(row) for row in tx.execute(some)]
    for tenant_id, name in found:
        remove(tx, tenant_id, name)
    return len(found)
