"""What a site does by itself, again and again or when mail makes it necessary; run by `jobs`.

What a handler needs is loaded when the first job of its kind runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mairust_core.errors import BadConfig, Locked, StorageDown
from mairust_core.jobs import Interrupted, Kind, Later, Schedule

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mairust_core.app import Site
    from mairust_core.jobs.lease import Lease

SCHEDULES = (
    Schedule(name="gc", cron="17 * * * *", kind="gc"),
    Schedule(name="jobs.purge", cron="47 * * * *", kind="jobs.purge"),
    Schedule(
        name="plugins.health", cron="* * * * *", kind="plugins.health", needed=lambda tx: _has_health(tx)
    ),
)


OUTAGE_S = 60.0


@contextmanager
def _outages_waited_for() -> Iterator[None]:
    """What is out of reach comes back, and then there is nothing for anybody to mend in the job."""
    try:
        yield
    except StorageDown as error:
        raise Later(str(error), OUTAGE_S) from error
    except BadConfig as error:
        if error.detail != "blobs_gone":
            raise
        raise Later(str(error), OUTAGE_S) from error


def _collect(site: Site, _: Mapping[str, Any], lease: Lease) -> None:
    from mairust_core.receive.collection import Stopped, collect
    from mairust_core.search.upkeep import forget_gone

    try:
        with _outages_waited_for():
            collect(site, lease.stopping)
            forget_gone(site, lease.stopping)
    except Stopped as error:
        raise Interrupted from error
    except Locked:
        return  # `mairust gc` is at it


def _index(site: Site, _: Mapping[str, Any], lease: Lease) -> None:
    from mairust_core.jobs.resting import Resting
    from mairust_core.search.indexing import FAR_BEHIND, index_some, rests
    from mairust_core.store.indexing import count_queued

    with site.storage.read() as tx:
        ratio = rests(count_queued(tx, FAR_BEHIND))
    rest = Resting(lease.stopping, ratio, always=site.running_chain is not None)
    with _outages_waited_for():
        index_some(site, lease.stopping, rest)
    if lease.stopping.is_set():
        raise Interrupted


def _purge_jobs(site: Site, _: Mapping[str, Any], lease: Lease) -> None:
    from mairust_core.jobs.purge import purge

    site.make_room()
    purge(site.storage, site.settings.jobs.done_days, lease)


def _has_health(tx: Connection) -> bool:
    """Whether a plugin says where to ask how it is, or did so when it was asked last."""
    from mairust_core.store import plugin_health, plugins

    named = any(one.manifest and one.manifest.entry.health_endpoint for one in plugins.enabled(tx))
    return named or plugin_health.any_known(tx)


def _check_plugins(site: Site, _: Mapping[str, Any], lease: Lease) -> None:
    site.check_plugins(lease.confirm)


def _forget_secret(site: Site, payload: Mapping[str, Any], lease: Lease) -> None:
    ids = site.ids
    with site.storage.write() as tx:
        lease.confirm(tx)
        left_ms = site.plugin_secrets.forget(tx, ids, payload["plugin"], payload["until_ms"])
    if left_ms:
        raise Later("the secret is good for a little longer by this machine's clock", left_ms / 1000)


KINDS = (
    Kind(name="gc", handler=_collect, concurrency=1),
    Kind(name="index", handler=_index, concurrency=1),
    Kind(name="jobs.purge", handler=_purge_jobs, concurrency=1),
    Kind(name="plugins.health", handler=_check_plugins, concurrency=1),
    Kind(name="plugins.forget_secret", handler=_forget_secret),
)
"""Every kind of job and what does it."""
