"""Operations on traces: what happened to a mail (B-7)."""

from __future__ import annotations

from mairust_core import store
from mairust_core.errors import NotFound
from mairust_core.model.forms import DEFAULT_LIMIT, Page
from mairust_core.model.ids import Id
from mairust_core.model.moment import Moment, ms_of
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.model.story import Mail, Story
from mairust_core.operations import Service, operation
from mairust_core.services.pages import cut, limited

DAY = Moment("24h")


class Traces(Service):
    """What happened to a mail, from the socket to where it lies now."""

    @operation("GET", "/trace", scope=Scope.READ, reach=ReachKind.SITE)
    def browse(
        self,
        *,
        recipient: str = "",
        sender: str = "",
        refused: bool = False,
        since: Moment = DAY,
        cursor: str = "",
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Mail]:
        """List the mails that came, newest first, those refused too.

        `recipient` and `sender` are addresses as the client gave them; `refused` leaves out accepted mails.
        """
        sought = store.traces.Sought(
            since_ms=ms_of(since, "since"), recipient=recipient, sender=sender, refused=refused
        )
        before = int(Id.of_cursor(cursor)) if cursor else 0
        with self.site.storage.read() as tx:
            rows = store.traces.page(tx, self.by, sought, before, limited(limit) + 1)
        return cut(store.stories.listed(rows, self.by), limit, lambda last: str(int(last.id)))

    @operation("GET", "/trace/{id:path}", scope=Scope.READ, errors=(NotFound,))
    def show(self, id: str) -> Story:
        """Tell the whole story of one mail: by an id or by its Message-ID.

        The id is that of a message, that of its trace (in the `Received` field), or the one in the reply
        `250 2.0.0 stored ID`. A Message-ID may belong to several mails; the newest 20 are told. A key with
        domain or account reach is told of its own recipients and copies only.
        """
        with self.site.storage.read() as tx:
            return store.stories.find(tx, self.by, id, self.site.settings.database.trash_days)
