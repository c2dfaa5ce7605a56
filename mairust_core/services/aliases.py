"""Operations on aliases."""

from __future__ import annotations

from mairust_core import store
from mairust_core.errors import Conflict, NotFound
from mairust_core.model.address import Address
from mairust_core.model.alias import Alias, NewAlias, alias_address
from mairust_core.model.forms import DEFAULT_LIMIT, Page, Removed
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.operations import Service, operation
from mairust_core.services.changes import change, note_before
from mairust_core.services.pages import cut, limited


class Aliases(Service):
    """Addresses whose mail goes to other addresses; `*@domain` catches what nothing else takes."""

    @operation(
        "POST", "/aliases", scope=Scope.ADMIN, reach=ReachKind.DOMAIN, status=201, errors=(Conflict, NotFound)
    )
    def add(self, new: NewAlias) -> Alias:
        """Add an alias or, as `*@domain`, a catch-all.

        A key that reaches one domain names targets of that domain only: others are not there for it.
        """
        with change(self, "add", new.address) as tx:
            if self.by.reach.kind is not ReachKind.SITE:
                for name in dict.fromkeys(Address.parse(target).domain for target in new.to):
                    store.domains.get(tx, self.by, name)
            return store.aliases.add(tx, self.by, self.site.ids.next(), new)

    @operation("GET", "/aliases", scope=Scope.READ, reach=ReachKind.DOMAIN)
    def browse(self, *, cursor: str = "", limit: int = DEFAULT_LIMIT) -> Page[Alias]:
        """List the aliases in reach, by address."""
        with self.site.storage.read() as tx:
            found = store.aliases.page(tx, self.by, cursor, limited(limit) + 1)
        return cut(found, limit, lambda last: store.accounts.fold(last.address))

    @operation("GET", "/aliases/{address:path}", scope=Scope.READ, reach=ReachKind.DOMAIN, errors=(NotFound,))
    def show(self, address: str) -> Alias:
        """Show one alias."""
        with self.site.storage.read() as tx:
            return store.aliases.get(tx, self.by, alias_address(address))

    @operation(
        "DELETE", "/aliases/{address:path}", scope=Scope.ADMIN, reach=ReachKind.DOMAIN, errors=(NotFound,)
    )
    def remove(self, address: str) -> Removed:
        """Remove an alias; mail to it is refused from the next second on."""
        wanted = alias_address(address)
        with change(self, "remove", wanted) as tx:
            note_before(store.aliases.get(tx, self.by, wanted, locked=True))
            store.aliases.remove(tx, self.by, wanted)
        return Removed(name=wanted)
