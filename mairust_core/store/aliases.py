"""Queries on aliases."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select

from mairust_core.errors import Invalid, NotFound
from mairust_core.ids import to_time
from mairust_core.model.address import Address
from mairust_core.model.alias import CATCH_ALL, MAX_DEPTH, Alias, NewAlias
from mairust_core.model.ids import Id
from mairust_core.model.principal import Principal
from mairust_core.store import accounts, addressing, domains
from mairust_core.store.tables import AnyRow, AnySelect, address, alias_target, domain


def _select(by: Principal) -> AnySelect:
    return (
        select(address).join(domain).where(domains.within(by), address.c.account_id.is_(None))
    )  # fmt: skip


def add(tx: Connection, by: Principal, alias_id: Id, new: NewAlias) -> Alias:
    """Add an alias whose targets all lead to accounts here; raises `Conflict`, `Invalid`, `NotFound`."""
    accounts.claim_address(tx, by, alias_id, new.address, account_id=None)
    tx.execute(
        insert(alias_target),
        [
            {
                "address_id": alias_id, "position": position, "tenant_id": by.tenant_id,
                "target": target, "target_folded": accounts.fold(target),
            }
            for position, target in enumerate(new.to)
        ],
    )  # fmt: skip
    _hold(tx, new.to)
    for target in new.to:
        _require_local(tx, by, new.address, target)
    _require_within_limits(tx, new.address)
    return get(tx, by, new.address)


def _hold(tx: Connection, targets: Sequence[str]) -> None:
    """Keep the targets' accounts from being removed before this transaction ends (`accounts.remove`)."""
    parsed = [Address.parse(target) for target in targets]
    names = {name for one in parsed for name in (one.folded, one.base.folded)}
    query = select(address.c.id).where(address.c.folded.in_(names)).order_by(address.c.id)
    tx.execute(query.with_for_update(read=True))


def _require_within_limits(tx: Connection, alias: str) -> None:
    """No alias may lead so far, or to so many, that mail to it would miss somebody (rule J4, trap S6)."""
    for one in (alias, *addressing.above(tx, accounts.fold(alias))):
        if not one.startswith(f"{CATCH_ALL}@") and addressing.resolve(tx, Address.parse(one)).cut_short:
            raise Invalid("to", "leads_too_far", value=one, depth=MAX_DEPTH, limit=addressing.MAX_ACCOUNTS)


def _require_local(tx: Connection, by: Principal, alias: str, target: str) -> None:
    parsed = Address.parse(target)
    known = select(domain.c.id).where(domain.c.name == parsed.domain, domain.c.tenant_id == by.tenant_id)
    if not tx.execute(known).first():
        raise Invalid("to", "foreign_target", value=target)
    if not addressing.resolve(tx, parsed, MAX_DEPTH - 1).leads_somewhere:
        raise Invalid("to", "leads_nowhere", value=target, alias=alias, limit=MAX_DEPTH)


def get(tx: Connection, by: Principal, wanted: str, *, locked: bool = False) -> Alias:
    """One alias by its address in any case; raises `NotFound`. `locked` is for one that is to go."""
    one = _select(by).where(address.c.folded == accounts.fold(wanted))
    row = tx.execute(one.with_for_update(of=address) if locked else one).first()
    if row is None:
        raise NotFound("alias", address=wanted)
    return _models(tx, [row])[0]


def page(tx: Connection, by: Principal, after: str, limit: int) -> list[Alias]:
    """Aliases by address, those after `after`; two queries whatever the number."""
    query = _select(by).where(address.c.folded > after).order_by(address.c.folded).limit(limit)
    return _models(tx, tx.execute(query).all())


def _models(tx: Connection, rows: Sequence[AnyRow]) -> list[Alias]:
    targets: dict[int, list[str]] = {row.id: [] for row in rows}
    found = tx.execute(
        select(alias_target.c.address_id, alias_target.c.target)
        .where(alias_target.c.address_id.in_(list(targets)))
        .order_by(alias_target.c.address_id, alias_target.c.position)
    )
    for address_id, target in found:
        targets[address_id].append(target)
    return [
        Alias(
            id=Id(row.id), address=row.display, to=tuple(targets[row.id]), created_at=to_time(row.created_ms)
        )
        for row in rows
    ]


def remove(tx: Connection, by: Principal, wanted: str) -> None:
    """Remove an alias; raises `NotFound`."""
    found = get(tx, by, wanted)
    tx.execute(delete(alias_target).where(alias_target.c.address_id == found.id))
    tx.execute(delete(address).where(address.c.id == found.id))
