"""Queries on domains."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, delete, exists, func, insert, select, true

from mairust_core.errors import Conflict, NotFound
from mairust_core.ids import now_ms, to_time
from mairust_core.model.domain import Domain
from mairust_core.model.ids import Id
from mairust_core.model.principal import Principal, ReachKind
from mairust_core.store.constraints import refusing
from mairust_core.store.tables import AnyRow, AnySelect, account, address, domain


def within(by: Principal) -> ColumnElement[bool]:
    """The condition that keeps a caller to the domains in reach (trap A2)."""
    mine: ColumnElement[bool] = domain.c.tenant_id == by.tenant_id
    if by.reach.kind is ReachKind.SITE:
        return mine
    if by.reach.kind is ReachKind.DOMAIN:
        return mine & (domain.c.id == by.reach.id)
    return mine & ~true()


def _select(by: Principal) -> AnySelect:
    accounts = (
        select(func.count())
        .where(account.c.domain_id == domain.c.id, account.c.removed_ms.is_(None))
        .scalar_subquery()
    )
    return select(domain.c.id, domain.c.name, domain.c.created_ms, accounts).where(within(by))


def _model(row: AnyRow) -> Domain:
    return Domain(id=Id(row[0]), name=row[1], created_at=to_time(row[2]), accounts=row[3])


def add(tx: Connection, by: Principal, domain_id: Id, name: str) -> Domain:
    """Add a domain; raises `Conflict` when it is there, in whichever tenant."""
    if tx.execute(select(domain.c.id).where(domain.c.name == name)).first():
        raise Conflict("domain", name=name)
    created_ms = now_ms()
    row = insert(domain).values(id=domain_id, tenant_id=by.tenant_id, name=name, created_ms=created_ms)
    with refusing(Conflict("domain", name=name)):
        tx.execute(row)
    return Domain(id=domain_id, name=name, accounts=0, created_at=to_time(created_ms))


def get(tx: Connection, by: Principal, name: str, *, locked: bool = False) -> Domain:
    """One domain by its folded name; raises `NotFound`. `locked` is for one that is to go."""
    one = _select(by).where(domain.c.name == name)
    row = tx.execute(one.with_for_update(of=domain) if locked else one).first()
    if row is None:
        raise NotFound("domain", name=name)
    return _model(row)


def page(tx: Connection, by: Principal, after: str, limit: int) -> list[Domain]:
    """Domains by name, those after `after`."""
    rows = tx.execute(_select(by).where(domain.c.name > after).order_by(domain.c.name).limit(limit))
    return [_model(row) for row in rows]


def remove(tx: Connection, by: Principal, name: str) -> None:
    """Remove an empty domain; raises `NotFound`, or `Conflict` while addresses are in it."""
    found = get(tx, by, name)
    used = select(exists().where(address.c.domain_id == found.id))
    if tx.execute(used).scalar_one():
        raise Conflict("domain_in_use", name=name)
    if tx.execute(select(exists().where(account.c.domain_id == found.id))).scalar_one():
        raise Conflict("domain_purging", name=name)
    with refusing(Conflict("domain_in_use", name=name)):
        tx.execute(delete(domain).where(domain.c.id == found.id))
