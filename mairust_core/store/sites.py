"""Queries on the one row of the site as a whole."""

from __future__ import annotations

import secrets

from sqlalchemy import Connection, insert, select, update

from mairust_core.model.principal import DEFAULT_TENANT
from mairust_core.store.tables import site


def create(tx: Connection) -> None:
    """Enter a new site, under a name nobody else has."""
    tx.execute(insert(site).values(id=1, tenant_id=DEFAULT_TENANT, name=secrets.token_hex(16), uidvalidity=0))


def name(tx: Connection) -> str:
    """The name by which its blob store knows it."""
    return str(tx.execute(select(site.c.name)).scalar_one())


def last_uidvalidity(tx: Connection) -> int:
    """The highest UIDVALIDITY that a removed account ever gave to a mailbox (rule A2)."""
    return int(tx.execute(select(site.c.uidvalidity)).scalar_one())


def remember_uidvalidity(tx: Connection, given: int) -> None:
    """An account that gave this UIDVALIDITY is about to be removed; its address may come back."""
    tx.execute(update(site).where(site.c.uidvalidity < given).values(uidvalidity=given))
