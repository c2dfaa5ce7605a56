"""The walk from an address to accounts: aliases, +detail, catch-all, postmaster (rules A3, J4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from mairust_core.model.address import Address
from mairust_core.model.alias import CATCH_ALL, MAX_DEPTH, POSTMASTER
from mairust_core.model.principal import DEFAULT_TENANT
from mairust_core.store.tables import AnyRow, account, address, alias_target, domain

MAX_ACCOUNTS = 1000
"""More accounts than this behind one address is a mailing list, not an alias."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """Where mail for an address goes: accounts in id order that are enabled and have room."""

    known_domain: bool
    tenant_id: int = DEFAULT_TENANT
    accounts: tuple[int, ...] = ()
    full: tuple[int, ...] = ()
    """Enabled accounts without room."""
    cut_short: bool = False
    """True when a limit ended the walk: there may be accounts that were not reached."""

    @property
    def leads_somewhere(self) -> bool:
        """True when at least one enabled account is behind the address."""
        return bool(self.accounts or self.full)


def first_domain(tx: Connection) -> str:
    """The oldest domain of the site, empty when there is none."""
    found = tx.execute(select(domain.c.name).order_by(domain.c.id).limit(1)).scalar_one_or_none()
    return found or ""


def resolve(tx: Connection, wanted: Address, depth: int = MAX_DEPTH) -> Resolved:
    """The accounts that mail for an address goes to.

    The address itself comes first, then the one without `+detail`, then the domain's catch-all; aliases are
    followed to `depth`, each address once, so that a circle ends, up to `MAX_ACCOUNTS`. `postmaster` always
    exists (rule J4).
    """
    first = _pick(tx, [wanted.folded])
    tenant_id = first[0].tenant_id if first else _tenant_of(tx, wanted.domain)
    if tenant_id is None:
        return Resolved(known_domain=False)
    found, cut_short = _follow(tx, first, depth)
    if not found and wanted.base.local.casefold() == POSTMASTER:
        found, cut_short = _follow(tx, _postmaster(tx, tenant_id, wanted.domain), depth)
    return Resolved(
        known_domain=True,
        tenant_id=tenant_id,
        accounts=tuple(sorted(one for one, has_room in found.items() if has_room)),
        full=tuple(sorted(one for one, has_room in found.items() if not has_room)),
        cut_short=cut_short,
    )


def _tenant_of(tx: Connection, in_domain: str) -> int | None:
    return tx.execute(select(domain.c.tenant_id).where(domain.c.name == in_domain)).scalar_one_or_none()


_COLUMNS = (
    address.c.folded,
    address.c.id,
    address.c.tenant_id,
    account.c.id.label("account_id"),
    account.c.enabled,
    account.c.quota_bytes,
    account.c.used_bytes,
)
# made once: every recipient of every mail passes here
_BY_FOLDED = (
    select(*_COLUMNS)
    .join_from(address, account, account.c.id == address.c.account_id, isouter=True)
    .where(address.c.folded.in_(bindparam("names", expanding=True)))
)


def _candidates(folded: str) -> tuple[str, str, str]:
    local, _, in_domain = folded.rpartition("@")
    return folded, f"{local.partition('+')[0] or local}@{in_domain}", f"{CATCH_ALL}@{in_domain}"


def _pick(tx: Connection, wanted: Iterable[str]) -> list[AnyRow]:
    names = {folded: _candidates(folded) for folded in wanted}
    every = list({name for candidates in names.values() for name in candidates})
    rows: dict[str, AnyRow] = {row.folded: row for row in tx.execute(_BY_FOLDED, {"names": every}).all()}
    picked = (next((rows[n] for n in candidates if n in rows), None) for candidates in names.values())
    return [row for row in picked if row is not None]


def _follow(tx: Connection, level: list[AnyRow], depth: int) -> tuple[dict[int, bool], bool]:
    """By account: whether it has room; and whether a limit ended the walk."""
    found: dict[int, bool] = {}
    seen = {row.folded for row in level}
    for _ in range(depth + 1):
        for row in level:
            if row.account_id is not None and row.enabled:
                found[row.account_id] = row.quota_bytes is None or row.used_bytes < row.quota_bytes
        if len(found) > MAX_ACCOUNTS:
            return found, True
        aliases = [row.id for row in level if row.account_id is None]
        if not aliases:
            return found, False
        query = select(alias_target.c.target_folded).where(alias_target.c.address_id.in_(aliases))
        targets = {target for (target,) in tx.execute(query)} - seen
        seen |= targets
        level = _pick(tx, targets)
    return found, bool(level)


def above(tx: Connection, folded: str) -> list[str]:
    """The aliases that lead to an address, over at most `MAX_DEPTH` others; as displayed, at most 1000."""
    found: dict[str, str] = {}
    level = [folded]
    for _ in range(MAX_DEPTH + 1):
        query = (
            select(address.c.folded, address.c.display)
            .join(alias_target, alias_target.c.address_id == address.c.id)
            .where(alias_target.c.target_folded.in_(level))
        )
        new = {row.folded: row.display for row in tx.execute(query) if row.folded not in found}
        found |= new
        level = list(new)
        if not level or len(found) >= MAX_ACCOUNTS:
            break
    return list(found.values())


def naming(tx: Connection, account_id: int) -> list[AnyRow]:
    """The aliases of which a target is this account itself, by address: `display` and `domain_id`."""
    own = list(tx.execute(select(address.c.folded).where(address.c.account_id == account_id)).scalars())
    rows: dict[str, AnyRow] = {}
    for folded in own:
        local, _, in_domain = folded.rpartition("@")
        target = alias_target.c.target_folded
        detailed = target.startswith(f"{local}+", autoescape=True) & target.endswith(
            f"@{in_domain}", autoescape=True
        )
        query = (
            select(address.c.display, address.c.domain_id, target)
            .join(alias_target, alias_target.c.address_id == address.c.id)
            .where((target == folded) | detailed)
        )
        found = tx.execute(query.order_by(address.c.folded)).all()
        meant = {one for one in {row.target_folded for row in found} if _first_of(tx, one) in own}
        rows |= {row.display: row for row in found if row.target_folded in meant}
    return list(rows.values())


def _first_of(tx: Connection, folded: str) -> str | None:
    return next((row.folded for row in _pick(tx, [folded])), None)


def leading_nowhere(tx: Connection, limit: int) -> list[tuple[str, str]]:
    """Aliases and targets of theirs where no account, alias or catch-all is, by alias; at most `limit`."""
    there = address.alias()
    query = (
        select(address.c.display, alias_target.c.target, alias_target.c.target_folded)
        .join(alias_target, alias_target.c.address_id == address.c.id)
        .where(~select(there.c.id).where(there.c.folded == alias_target.c.target_folded).exists())
        .order_by(address.c.folded, alias_target.c.position)
    )
    found: list[tuple[str, str]] = []
    for row in tx.execute(query).all():
        if not _pick(tx, [row.target_folded]):
            found.append((row.display, row.target))
        if len(found) == limit:
            break
    return found


def _postmaster(tx: Connection, tenant_id: int, in_domain: str) -> list[AnyRow]:
    """Who stands in when it leads nowhere: somebody of the domain before others, administrators first."""
    query = (
        select(*_COLUMNS)
        .join_from(address, account, account.c.id == address.c.account_id)
        .join(domain, domain.c.id == account.c.domain_id)
        .where(domain.c.tenant_id == tenant_id, account.c.enabled, account.c.removed_ms.is_(None))
        .order_by((domain.c.name == in_domain).desc(), account.c.admin.desc(), account.c.id)
        .limit(1)
    )
    return list(tx.execute(query).all())
