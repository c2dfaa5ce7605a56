"""What a site does by itself, again and again or when mail makes it necessary; run by `jobs`.

What a handler needs is loaded when the first job of its kind runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mairust_core.errors import Locked
from mairust_core.jobs import Interrupted, Kind, Schedule

if TYPE_CHECKING:
    from mairust_core.app import Site
    from mairust_core.jobs.lease import Lease

SCHEDULES = (
    Schedule(name="gc", cron="17 * * * *", kind="gc"),
    Schedule(name="jobs.purge", cron="47 * * * *", kind="jobs.purge"),
)
INDEX_RESTS = 2.0
"""For each second of indexing so many of rest: mail goes first."""


def _collect(site: Site, _: Mapping[str, Any], lease: Lease) -> None:
    from mairust_core.receive.collection import Stopped, collect
    from mairust_core.search.upkeep import forget_gone

    try:
        collect(site, lease.stopping)
    except Stopped as error:
        raise Interrupted from error
    except Locked:
        return  # `mairust gc` is at it
    forget_gone(site, lease.stopping)


def _index(site: Site, _: Mapping[str, Any], lease: Lease) -> None:
    from mairust_core.search.indexing import index_some

    index_some(site, lease.stopping, lambda took_s: lease.stopping.wait(INDEX_RESTS * took_s))
    if lease.stopping.is_set():
        raise Interrupted


def _purge_jobs(site: Site, _: Mapping[str, Any], lease: Lease) -> None:
    from mairust_core.jobs.purge import purge

    site.make_room()
    purge(site.storage, site.settings.jobs.done_days, lease)


KINDS = (
    Kind(name="gc", handler=_collect, concurrency=1),
    Kind(name="index", handler=_index, concurrency=1),
    Kind(name="jobs.purge", handler=_purge_jobs, concurrency=1),
)
"""Every kind of job and what does it."""
