"""Statements of hot paths: built and compiled once for each shape, then sent with other values.

Building a statement of a few joins costs as much as running it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, cast

from sqlalchemy import Connection, bindparam

from mairust_core.model.ids import Id
from mairust_core.model.principal import Principal, Reach, ReachKind
from mairust_core.store.tables import AnySelect

TENANT, SUBJECT = "by_tenant", "by_subject"
Rows = list[tuple[Any, ...]]


class Prepared:
    """One statement in its shapes; `build` makes the statement of a shape, with `bindparam`s for values."""

    def __init__(self, build: Callable[..., AnySelect]) -> None:
        self._build = build
        self._compiled: dict[Hashable, tuple[str, tuple[str, ...] | None, dict[str, Any]]] = {}

    def rows(self, tx: Connection, by: Principal, shape: tuple[Hashable, ...], **values: Any) -> Rows:
        """All rows for a caller; `shape` is what `build` gets after a caller of that kind of reach."""
        key = (tx.dialect.name, by.reach.kind, shape)
        if key not in self._compiled:
            self._compiled[key] = self._compile(tx, by.reach.kind, shape)
        sql, order, fixed = self._compiled[key]
        given = {**fixed, **values, TENANT: by.tenant_id, SUBJECT: by.reach.id}
        sent = given if order is None else tuple(given[name] for name in order)
        return cast(Rows, tx.exec_driver_sql(sql, sent).fetchall())

    def _compile(
        self, tx: Connection, kind: ReachKind, shape: tuple[Hashable, ...]
    ) -> tuple[str, tuple[str, ...] | None, dict[str, Any]]:
        compiled = self._build(_any_caller(kind), *shape).compile(dialect=tx.dialect)
        order = tuple(compiled.positiontup) if compiled.positional and compiled.positiontup else None
        return str(compiled), order, dict(compiled.params)


def _any_caller(kind: ReachKind) -> Principal:
    """Whoever has that kind of reach: the conditions on a caller are built from it."""
    subject = cast(Id, bindparam(SUBJECT))
    return Principal(
        name="",
        scopes=frozenset(),
        reach=Reach(kind=kind, id=subject),
        tenant_id=cast(int, bindparam(TENANT)),
    )
