"""What a site keeps of packages, as tests ask for it."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from mairust_core.store.tables import plugin_package
from tests.support.linking import TESTER


def archives(tx: Connection) -> set[str]:
    """The archives that packages have."""
    mine = plugin_package.c
    return set(tx.execute(select(mine.archive).where(mine.tenant_id == TESTER.tenant_id)).scalars())


def count(tx: Connection, plugin: str) -> int:
    """How many packages of a plugin are kept."""
    mine = plugin_package.c
    query = select(func.count()).where(mine.tenant_id == TESTER.tenant_id, mine.plugin == plugin)
    return int(tx.execute(query).scalar_one())
