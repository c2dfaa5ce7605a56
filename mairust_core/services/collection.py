"""Collection on demand: what nobody needs any more, given back now instead of within the hour."""

from __future__ import annotations

from mairust_core.errors import Locked
from mairust_core.model.collected import Collected
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.operations import Service, operation
from mairust_core.services.changes import change


class Collection(Service):
    """Giving back what nobody needs any more (a running server does it every hour)."""

    @operation("POST", "/gc", scope=Scope.ADMIN, reach=ReachKind.SITE, errors=(Locked,))
    def run(self) -> Collected:
        """Purge removed accounts and old trash, and free the room of what no message refers to."""
        done = self.site.collect()
        with change(self, "run", "site"):
            return done
