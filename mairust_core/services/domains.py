"""Operations on domains."""

from __future__ import annotations

from mairust_core import store
from mairust_core.errors import Conflict, NotFound
from mairust_core.model.address import fold_domain
from mairust_core.model.domain import Domain, NewDomain
from mairust_core.model.forms import DEFAULT_LIMIT, Page, Removed
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.operations import Service, operation
from mairust_core.services.changes import change, note_before
from mairust_core.services.pages import cut, limited


class Domains(Service):
    """The domains for which this site takes mail."""

    @operation("POST", "/domains", scope=Scope.ADMIN, reach=ReachKind.SITE, status=201, errors=(Conflict,))
    def add(self, new: NewDomain) -> Domain:
        """Add a mail domain.

        From the next second on every listener takes mail for its addresses.
        """
        with change(self, "add", new.name) as tx:
            return store.domains.add(tx, self.by, self.site.ids.next(), new.name)

    @operation("GET", "/domains", scope=Scope.READ, reach=ReachKind.DOMAIN)
    def browse(self, *, cursor: str = "", limit: int = DEFAULT_LIMIT) -> Page[Domain]:
        """List the domains in reach, by name."""
        with self.site.storage.read() as tx:
            found = store.domains.page(tx, self.by, cursor, limited(limit) + 1)
        return cut(found, limit, lambda last: last.name)

    @operation("GET", "/domains/{name}", scope=Scope.READ, reach=ReachKind.DOMAIN, errors=(NotFound,))
    def show(self, name: str) -> Domain:
        """Show one domain."""
        with self.site.storage.read() as tx:
            return store.domains.get(tx, self.by, fold_domain(name, "name"))

    @operation(
        "DELETE", "/domains/{name}", scope=Scope.ADMIN, reach=ReachKind.SITE, errors=(NotFound, Conflict)
    )
    def remove(self, name: str) -> Removed:
        """Remove a domain that holds no account or alias any more."""
        folded = fold_domain(name, "name")
        with change(self, "remove", folded) as tx:
            note_before(store.domains.get(tx, self.by, folded, locked=True))
            store.domains.remove(tx, self.by, folded)
        return Removed(name=folded)
