"""Queries on accounts and on the address table they share with aliases (rule A3)."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from mairust_core.errors import Conflict, NotFound
from mairust_core.ids import now_ms, to_time
from mairust_core.model.account import Account
from mairust_core.model.address import Address, fold_domain
from mairust_core.model.ids import Id
from mairust_core.model.mailbox import INBOX
from mairust_core.model.principal import Principal, ReachKind
from mairust_core.store import addressing, domains, sites
from mairust_core.store.constraints import refusing
from mairust_core.store.tables import AnyRow, AnySelect, account, address, mailbox

_NAMED = 10
"""Aliases that a refusal names."""


def within(by: Principal) -> ColumnElement[bool]:
    """The condition that keeps a caller to the accounts in reach (trap A2)."""
    mine: ColumnElement[bool] = (account.c.tenant_id == by.tenant_id) & account.c.removed_ms.is_(None)
    if by.reach.kind is ReachKind.SITE:
        return mine
    column = account.c.domain_id if by.reach.kind is ReachKind.DOMAIN else account.c.id
    return mine & (column == by.reach.id)


def query(by: Principal) -> AnySelect:
    """The accounts in reach, with their addresses."""
    return (
        select(account, address.c.folded)
        .join(address, address.c.account_id == account.c.id)
        .where(within(by))
    )


def _model(row: AnyRow) -> Account:
    return Account(
        id=Id(row.id),
        address=row.address,
        admin=row.admin,
        enabled=row.enabled,
        quota_bytes=row.quota_bytes,
        used_bytes=row.used_bytes,
        messages=row.messages,
        created_at=to_time(row.created_ms),
    )


def claim_address(
    tx: Connection, by: Principal, address_id: Id, wanted: str, *, account_id: Id | None
) -> int:
    """Enter an address into the shared table; returns its domain's id.

    Raises `NotFound` for a domain out of reach, `Conflict` when the address is taken.
    """
    local, _, domain_name = wanted.rpartition("@")
    in_domain = domains.get(tx, by, domain_name)
    folded = fold(wanted)
    if tx.execute(select(address.c.id).where(address.c.folded == folded)).first():
        raise Conflict("address", address=wanted)
    with refusing(Conflict("address", address=wanted)):
        tx.execute(
            insert(address).values(
                folded=folded, tenant_id=by.tenant_id, id=address_id, domain_id=in_domain.id,
                display=f"{local}@{domain_name}", account_id=account_id, created_ms=now_ms(),
            )
        )  # fmt: skip
    return in_domain.id


def fold(text: str) -> str:
    """The key of an address or of a catch-all."""
    return text if text.startswith("*@") else Address.parse(text).folded


def add(
    tx: Connection,
    by: Principal,
    ids: tuple[Id, Id, Id],
    wanted: str,
    *,
    admin: bool,
    quota_bytes: int | None,
    password_hash: str | None,
) -> Account:
    """Add an account with its address and INBOX; `ids` are those of account, address and mailbox."""
    account_id, address_id, mailbox_id = ids
    created_ms = now_ms()
    uidvalidity = max(sites.last_uidvalidity(tx) + 1, created_ms // 1000)
    domain_id = domains.get(tx, by, wanted.rpartition("@")[2]).id
    tx.execute(
        insert(account).values(
            id=account_id, tenant_id=by.tenant_id, domain_id=domain_id, address=wanted, admin=admin,
            enabled=True, password_hash=password_hash, quota_bytes=quota_bytes, used_bytes=0, messages=0,
            modseq=1, uidvalidity=uidvalidity, created_ms=created_ms,
        )
    )  # fmt: skip
    claim_address(tx, by, address_id, wanted, account_id=account_id)
    tx.execute(
        insert(mailbox).values(
            id=mailbox_id, tenant_id=by.tenant_id, account_id=account_id, name=INBOX, uidvalidity=uidvalidity,
            uidnext=1, messages=0, unseen=0, created_ms=created_ms,
        )
    )  # fmt: skip
    return Account(
        id=account_id, address=wanted, admin=admin, enabled=True, quota_bytes=quota_bytes, used_bytes=0,
        messages=0, created_at=to_time(created_ms),
    )  # fmt: skip


def get(tx: Connection, by: Principal, wanted: str, *, locked: bool = False) -> Account:
    """One account by its address in any case; raises `NotFound`. `locked` is for one that is to change."""
    one = query(by).where(address.c.folded == fold(wanted))
    row = tx.execute(one.with_for_update(of=account, key_share=True) if locked else one).first()
    if row is None:
        raise NotFound("account", address=wanted)
    return _model(row)


def page(tx: Connection, by: Principal, after: str, limit: int, in_domain: str | None) -> list[Account]:
    """Accounts by address, those after `after`."""
    found = query(by).where(address.c.folded > after).order_by(address.c.folded).limit(limit)
    if in_domain:
        found = found.where(account.c.domain_id == domains.get(tx, by, fold_domain(in_domain)).id)
    return [_model(row) for row in tx.execute(found)]


def set_enabled(tx: Connection, by: Principal, wanted: str, enabled: bool) -> Account:
    """Let an account take mail and log in, or not; raises `NotFound`."""
    return edit(tx, by, wanted, {"enabled": enabled})


def is_there(tx: Connection, account_id: int) -> bool:
    """True unless the account was removed."""
    query = select(account.c.id).where(account.c.id == account_id, account.c.removed_ms.is_(None))
    return tx.execute(query).first() is not None


def edit(tx: Connection, by: Principal, wanted: str, values: Mapping[str, object]) -> Account:
    """Change columns of an account; raises `NotFound`."""
    found = get(tx, by, wanted)
    if values:
        tx.execute(update(account).where(account.c.id == found.id).values(values))
    return get(tx, by, wanted)


def remove(tx: Connection, by: Principal, wanted: str) -> None:
    """Take the account away at once; collection purges its mail later, some messages at a time (rule D2).

    Raises `Conflict` while an alias names it, whose mail would go to whoever has the address next.
    """
    found = get(tx, by, wanted)
    _require_unnamed(tx, by, found)
    given = select(account.c.uidvalidity).where(account.c.id == found.id)
    sites.remember_uidvalidity(tx, tx.execute(given).scalar_one())
    tx.execute(delete(address).where(address.c.account_id == found.id))
    tx.execute(update(account).where(account.c.id == found.id).values(removed_ms=now_ms(), enabled=False))


def _require_unnamed(tx: Connection, by: Principal, found: Account) -> None:
    # an alias that is added meanwhile holds the row (`aliases.add`): one of the two sees the other
    tx.execute(select(address.c.id).where(address.c.account_id == found.id).with_for_update())
    named = addressing.naming(tx, found.id)
    reach = by.reach
    seen = [row.display for row in named if reach.kind is ReachKind.SITE or row.domain_id == reach.id]
    if seen:
        names = ", ".join(seen[:_NAMED]) + (" …" if len(seen) > _NAMED else "")
        raise Conflict("account_in_use", address=found.address, names=names, first=seen[0])
    if named:
        raise Conflict("account_in_use_elsewhere", address=found.address)
