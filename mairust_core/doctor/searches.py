"""Whether the index that searches are narrowed with holds all mail, and keeps up with what comes."""

from __future__ import annotations

from collections.abc import Iterator

from mairust_core.config import Settings
from mairust_core.doctor.findings import Found
from mairust_core.model.principal import DEFAULT_TENANT
from mairust_core.model.search import IndexMode
from mairust_core.search.engines import DATABASE
from mairust_core.search.indexing import BEHIND
from mairust_core.store import StorageBackend, indexing

MAX_COUNTED = 1_000_000


def index(settings: Settings, storage: StorageBackend, behind: int = BEHIND) -> Iterator[Found]:
    """Every message is indexed or queued for it, as far as counts tell, unless the index was dropped.

    The queue is shorter than `behind`.
    """
    if settings.search.engine != DATABASE:
        return
    with storage.read() as tx:
        if indexing.state(tx, DEFAULT_TENANT).mode is not IndexMode.ON:
            return
        lacking = indexing.lacking(tx, DEFAULT_TENANT)
        waiting = indexing.count_queued(tx, MAX_COUNTED)
    if lacking:
        yield Found("search.index", count=sum(lacking.values()), accounts=len(lacking))
    if waiting >= behind:
        yield Found("search.behind", count=waiting)
