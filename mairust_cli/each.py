"""The same for several ids: what became of each, and exit 3 when some failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from mairust_cli.output import Columns
from mairust_cli.session import Session
from mairust_core.errors import MaiRustError, Temporary, Unauthenticated
from mairust_core.model.ids import Id

T = TypeVar("T")

SOME_FAILED = 3


def each(session: Session, ids: Sequence[str], call: Callable[[str], T], columns: Columns[T]) -> None:
    """Make a call for each id and print what came of it; of a single one as any other command does.

    Raises `Invalid` before anything is done when one is no id, and what ends everything: `Unauthenticated`
    and `Temporary`. Exits 3 when other calls failed.
    """
    wanted = [str(int(Id.parse(text))) for text in dict.fromkeys(ids)]
    if len(wanted) == 1:
        session.output.change(call(wanted[0]), columns)
        return
    done: list[T] = []
    failed: dict[str, MaiRustError] = {}
    for one in wanted:
        try:
            done.append(call(one))
        except (Temporary, Unauthenticated):
            raise
        except MaiRustError as error:
            failed[one] = error
    session.output.several(done, failed, columns)
    if failed:
        raise SystemExit(SOME_FAILED)
