"""Queries on API keys."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, insert, select, true, update

from mairust_core.errors import Invalid, NotFound
from mairust_core.ids import now_ms, to_ms, to_time
from mairust_core.model.address import fold_domain
from mairust_core.model.ids import Id
from mairust_core.model.principal import Principal, Reach, ReachKind, Scope
from mairust_core.model.token import NewToken, Token
from mairust_core.store import accounts, domains
from mairust_core.store.tables import AnyRow, AnySelect, account, domain, token


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What is needed to check a key: the hash of its secret and the principal it stands for."""

    secret_hash: bytes
    principal: Principal


def within(by: Principal) -> ColumnElement[bool]:
    """The condition that keeps a caller to the keys in reach (rule G4, trap A2)."""
    mine: ColumnElement[bool] = token.c.tenant_id == by.tenant_id
    if by.reach.kind is ReachKind.SITE:
        return mine
    if by.reach.kind is ReachKind.DOMAIN:
        return mine & ((token.c.domain_id == by.reach.id) | (account.c.domain_id == by.reach.id))
    return mine & ~true()


def _select() -> AnySelect:
    return (
        select(token, domain.c.name.label("domain_name"), account.c.address, account.c.removed_ms)
        .join(domain, domain.c.id == token.c.domain_id, isouter=True)
        .join(account, account.c.id == token.c.account_id, isouter=True)
    )


def _model(row: AnyRow) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        scopes=tuple(Scope(scope) for scope in json.loads(row.scopes)),
        reach=ReachKind(row.reach),
        subject=row.domain_name or row.address,
        expires_at=None if row.expires_ms is None else to_time(row.expires_ms),
        revoked=row.revoked_ms is not None or row.removed_ms is not None,
        created_at=to_time(row.created_ms),
    )


def add(tx: Connection, by: Principal, public_id: str, secret_hash: bytes, new: NewToken) -> Token:
    """Store a key for a subject within the caller's reach; raises `NotFound` for any other."""
    subject = new.subject or ""
    domain_id = domains.get(tx, by, _domain(subject)).id if new.reach is ReachKind.DOMAIN else None
    account_id = accounts.get(tx, by, subject).id if new.reach is ReachKind.ACCOUNT else None
    tx.execute(
        insert(token).values(
            id=public_id, tenant_id=by.tenant_id, name=new.name, secret_hash=secret_hash,
            scopes=json.dumps([scope.value for scope in new.scopes]), reach=new.reach.value,
            domain_id=domain_id, account_id=account_id, created_by=by.name, created_ms=now_ms(),
            expires_ms=None if new.expires_at is None else to_ms(new.expires_at),
        )
    )  # fmt: skip
    return get(tx, by, public_id)


def _domain(subject: str) -> str:
    try:
        return fold_domain(subject)
    except Invalid as error:
        raise Invalid("subject", "not_domain", value=repr(subject[:80])) from error


def get(tx: Connection, by: Principal, public_id: str, *, locked: bool = False) -> Token:
    """One key by its public id; raises `NotFound`. `locked` is for one that is to change."""
    one = _select().where(token.c.id == public_id, within(by))
    row = tx.execute(one.with_for_update(of=token, key_share=True) if locked else one).first()
    if row is None:
        raise NotFound("token", id=public_id)
    return _model(row)


def page(tx: Connection, by: Principal, after: str, limit: int) -> list[Token]:
    """Keys by public id, those after `after`."""
    rows = tx.execute(_select().where(within(by), token.c.id > after).order_by(token.c.id).limit(limit))
    return [_model(row) for row in rows]


def any_made(tx: Connection) -> bool:
    """Whether there ever was one: the first run of a site ends with that."""
    return tx.execute(select(token.c.id).limit(1)).first() is not None


def revoke(tx: Connection, by: Principal, public_id: str) -> Token:
    """End a key's life now; harmless when it has ended. Raises `NotFound`."""
    get(tx, by, public_id)
    tx.execute(
        update(token).where(token.c.id == public_id, token.c.revoked_ms.is_(None)).values(revoked_ms=now_ms())
    )
    return get(tx, by, public_id)


def credential(tx: Connection, public_id: str) -> Credential | None:
    """What a key stands for now; None when unknown, expired, revoked, or its account is disabled."""
    row = tx.execute(
        _select().add_columns(account.c.enabled).where(token.c.id == public_id, token.c.revoked_ms.is_(None))
    ).first()
    if row is None or (row.expires_ms is not None and row.expires_ms <= now_ms()):
        return None
    if row.account_id is not None and (not row.enabled or row.removed_ms is not None):
        return None
    subject = row.domain_id if row.domain_id is not None else row.account_id
    reach = Reach(kind=ReachKind(row.reach), id=None if subject is None else Id(subject))
    scopes = frozenset(Scope(scope) for scope in json.loads(row.scopes))
    return Credential(
        secret_hash=row.secret_hash,
        principal=Principal(name=f"token:{row.id}", scopes=scopes, reach=reach, tenant_id=row.tenant_id),
    )
