"""What is going on, in one answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mairust_core import __version__, store
from mairust_core.ids import now_ms
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.model.status import Overview, ServerStatus, TaskRun
from mairust_core.operations import Service, operation

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mairust_core.app import Site

COLLECTION = "gc"


class Status(Service):
    """What is going on."""

    @operation("GET", "/status", scope=Scope.READ)
    def show(self) -> Overview:
        """Tell what is going on: how much there is, what came, what waits, what runs.

        A key without site reach is told the version and the numbers of its own accounts.
        """
        with self.site.storage.read() as tx:
            counts = store.counting.counts(tx, self.by)
            if self.by.reach.kind is not ReachKind.SITE:
                return Overview(version=__version__, at=datetime.now(UTC), counts=counts)
            return Overview(
                version=__version__,
                at=datetime.now(UTC),
                counts=counts,
                mail=store.counting.mail(tx, self.by),
                queues=store.counting.queues(tx, self.by),
                jobs=store.counting.jobs(self.site.storage, tx),
                hooks=store.hooks.status(self.site.storage, tx, self.by),
                trash=store.counting.trash(tx, self.by, self.site.settings.database.trash_days),
                database=store.counting.database(self.site.storage, tx),
                blobs=self.site.blob_room(),
                server=_server(self.site),
                processes=store.counting.processes(tx),
                collection=_last(tx, COLLECTION),
                backups=store.backups.status(tx, now_ms()),
            )


def _server(site: Site) -> ServerStatus | None:
    found = site.running()
    if found is None:
        return None
    return ServerStatus(
        pid=found.pid,
        version=found.version,
        started_at=datetime.fromtimestamp(found.started_ms / 1000, UTC),
        workers=found.workers,
        smtp=found.listeners.get("smtp", "off"),
        lmtp=found.listeners.get("lmtp", "off"),
        http=found.listeners.get("http", "off"),
    )


def _last(tx: Connection, task: str) -> TaskRun | None:
    done = store.upkeeps.last(tx, task)
    return None if done is None else TaskRun(at=done.at, took_s=done.took_s, outcome=dict(done.outcome))
