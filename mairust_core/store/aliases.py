"""Queries on aliases, and the walk from an address to accounts (rules A3, J4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete, insert, select

from mairust_core.errors import Invalid, NotFound
from mairust_core.ids import to_time
from mairust_core.model.address import Address
from mairust_core.model.alias import CATCH_ALL, MAX_DEPTH, POSTMASTER, Alias, NewAlias
from mairust_core.model.ids import Id
from mairust_core.model.principal import Principal
from mairust_core.store import accounts, domains
from mairust_core.store.tables import AnyRow, AnySelect, account, address, alias_target, domain

MAX_ACCOUNTS = 1000
"""More accounts than this behind one address is a mailing list, not an alias."""


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
    for target in new.to:
        _require_local(tx, by, new.address, target)
    return get(tx, by, new.address)


def _require_local(tx: Connection, by: Principal, alias: str, target: str) -> None:
    parsed = Address.parse(target)
    known = select(domain.c.id).where(domain.c.name == parsed.domain, domain.c.tenant_id == by.tenant_id)
    if not tx.execute(known).first():
        raise Invalid(
            "to", f"{target} is not an address of this site", "mail to foreign addresses comes later"
        )
    if not resolve(tx, parsed):
        raise Invalid("to", f"{target} leads to no account, or round in a circle through {alias}")


def get(tx: Connection, by: Principal, wanted: str) -> Alias:
    """One alias by its address in any case; raises `NotFound`."""
    row = tx.execute(_select(by).where(address.c.folded == accounts.fold(wanted))).first()
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


def resolve(tx: Connection, wanted: Address) -> tuple[int, ...]:
    """The enabled accounts that mail for an address goes to, in id order; empty when there are none.

    The address itself comes first, then the one without `+detail`, then the domain's catch-all; aliases are
    followed to `MAX_DEPTH`, each address once, so that a circle ends. `postmaster` always exists (rule J4).
    """
    first = _pick(tx, [wanted.folded])
    if not first and wanted.local.casefold() == POSTMASTER:
        return _postmaster(tx, wanted.domain)
    return tuple(sorted(_follow(tx, first)))


def _candidates(folded: str) -> tuple[str, str, str]:
    local, _, in_domain = folded.rpartition("@")
    return folded, f"{local.partition('+')[0] or local}@{in_domain}", f"{CATCH_ALL}@{in_domain}"


def _pick(tx: Connection, wanted: Iterable[str]) -> list[AnyRow]:
    names = {folded: _candidates(folded) for folded in wanted}
    query = (
        select(address.c.folded, address.c.id, address.c.account_id, account.c.enabled)
        .join(account, account.c.id == address.c.account_id, isouter=True)
        .where(address.c.folded.in_({name for candidates in names.values() for name in candidates}))
    )
    rows: dict[str, AnyRow] = {row.folded: row for row in tx.execute(query).all()}
    picked = (
        next((rows[name] for name in candidates if name in rows), None) for candidates in names.values()
    )
    return [row for row in picked if row is not None]


def _follow(tx: Connection, level: list[AnyRow]) -> set[int]:
    found: set[int] = set()
    seen = {row.folded for row in level}
    for _ in range(MAX_DEPTH + 1):
        found |= {row.account_id for row in level if row.account_id is not None and row.enabled}
        aliases = [row.id for row in level if row.account_id is None]
        if not aliases or len(found) > MAX_ACCOUNTS:
            break
        query = select(alias_target.c.target_folded).where(alias_target.c.address_id.in_(aliases))
        targets = {target for (target,) in tx.execute(query)} - seen
        seen |= targets
        level = _pick(tx, targets)
    return found


def _postmaster(tx: Connection, in_domain: str) -> tuple[int, ...]:
    """Who stands in for an undefined postmaster: an administrator before others, the oldest first."""
    query = (
        select(account.c.id)
        .join(domain)
        .where(domain.c.name == in_domain, account.c.enabled, account.c.removed_ms.is_(None))
        .order_by(account.c.admin.desc(), account.c.id)
        .limit(1)
    )
    return tuple(tx.execute(query).scalars())
