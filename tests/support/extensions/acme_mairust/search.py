"""An index that narrows a search down to one account: a line for each message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mairust_core.search.documents import Document, Key
from mairust_core.search.engine import Asked, Step
from mairust_core.search.query import Node

if TYPE_CHECKING:
    from sqlalchemy import Connection

Line = tuple[int, int, int]


class LineEngine:
    """`Engine` in a file; what a transaction that failed left there is only looked at in vain (rule J1)."""

    name = "acme"

    def __init__(self, file: object) -> None:
        self._file = Path(str(file))

    def narrows(self, query: Node) -> bool:
        """To what it was given."""
        return True

    def prepare(self, tenant_id: int, account_id: int, documents: Iterable[Document]) -> Sequence[Line]:
        """The lines."""
        return [(account_id, *one.key) for one in documents]

    def steps(self, prepared: Sequence[Line]) -> Iterator[Step]:
        """None."""
        return iter(())

    def write(self, tx: Connection, prepared: Sequence[Line]) -> None:
        """Append them."""
        with self._file.open("a") as file:
            file.writelines(f"{' '.join(map(str, line))}\n" for line in prepared)

    def candidates(self, tx: Connection, asked: Asked) -> Iterator[Key]:
        """The keys of the account's lines, newest first."""
        text = self._file.read_text() if self._file.exists() else ""
        found = {tuple(map(int, line.split())) for line in text.splitlines()}
        keys = sorted({(at, id_) for account, at, id_ in found if account == asked.account_id}, reverse=True)
        return (key for key in keys if key[0] >= asked.since_ms and key < asked.before)
