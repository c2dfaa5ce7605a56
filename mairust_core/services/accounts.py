"""Operations on accounts."""

from __future__ import annotations

from mairust_core import store
from mairust_core.errors import Conflict, NotFound
from mairust_core.model.account import Account, AccountChange, NewAccount, NewPassword
from mairust_core.model.forms import DEFAULT_LIMIT, UNSET, Page, Removed, Unset
from mairust_core.model.mailbox import Mailbox
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.operations import Service, operation
from mairust_core.services.changes import change, note_before
from mairust_core.services.pages import cut, limited

ADMIN, READ = Scope.ADMIN, Scope.READ
DOMAIN = ReachKind.DOMAIN
_ONE = "/accounts/{address:path}"


class Accounts(Service):
    """Who owns mail on this site."""

    @operation(
        "POST",
        "/accounts",
        scope=ADMIN,
        reach=DOMAIN,
        status=201,
        errors=(Conflict, NotFound),
    )
    def add(self, new: NewAccount) -> Account:
        """Add an account with its INBOX, in a domain of this site."""
        self._require_may_appoint(new.admin)
        ids = self.site.ids
        password_hash = None if new.password is None else self.site.hash_password(new.password)
        with change(self, "add", new.address) as tx:
            return store.accounts.add(
                tx,
                self.by,
                (ids.next(), ids.next(), ids.next()),
                new.address,
                admin=new.admin,
                quota_bytes=new.quota_bytes,
                password_hash=password_hash,
            )

    @operation("GET", "/accounts", scope=READ, errors=(NotFound,))
    def browse(self, *, domain: str = "", cursor: str = "", limit: int = DEFAULT_LIMIT) -> Page[Account]:
        """List the accounts in reach, by address."""
        with self.site.storage.read() as tx:
            found = store.accounts.page(tx, self.by, cursor, limited(limit) + 1, domain or None)
        return cut(found, limit, lambda last: store.accounts.fold(last.address))

    @operation("GET", f"{_ONE}/mailboxes", scope=READ, errors=(NotFound,))
    def mailboxes(self, address: str, *, cursor: str = "", limit: int | None = None) -> Page[Mailbox]:
        """List the mailboxes of an account, INBOX first: all of them where no `limit` is given."""
        with self.site.storage.read() as tx:
            account = store.accounts.get(tx, self.by, address)
            found = store.mailboxes.all_of(tx, account.id, after=cursor)
        return cut(found, len(found) if limit is None else limited(limit), lambda last: last.name)

    @operation(
        "POST",
        "/accounts/{address:path}/enable",
        scope=ADMIN,
        reach=DOMAIN,
        errors=(NotFound,),
    )
    def enable(self, address: str) -> Account:
        """Let an account take mail and log in again."""
        with change(self, "enable", address) as tx:
            note_before(store.accounts.get(tx, self.by, address, locked=True), "enabled")
            return store.accounts.set_enabled(tx, self.by, address, True)

    @operation(
        "POST",
        "/accounts/{address:path}/disable",
        scope=ADMIN,
        reach=DOMAIN,
        errors=(NotFound,),
    )
    def disable(self, address: str) -> Account:
        """Refuse an account's new mail and log-ins; what it holds stays."""
        with change(self, "disable", address) as tx:
            note_before(store.accounts.get(tx, self.by, address, locked=True), "enabled")
            return store.accounts.set_enabled(tx, self.by, address, False)

    @operation("GET", _ONE, scope=READ, errors=(NotFound,))
    def show(self, address: str) -> Account:
        """Show one account."""
        with self.site.storage.read() as tx:
            return store.accounts.get(tx, self.by, address)

    @operation("PATCH", _ONE, scope=ADMIN, reach=DOMAIN, errors=(NotFound,))
    def edit(self, address: str, wanted: AccountChange) -> Account:
        """Change an account's quota, or whether it administers; what is left out stays.

        A quota below what is in use deletes nothing: new mail is refused until there is room again.
        """
        self._require_may_appoint(wanted.admin)
        given = {"quota_bytes": wanted.quota_bytes, "admin": wanted.admin}
        values = {name: value for name, value in given.items() if value is not UNSET}
        with change(self, "edit", address) as tx:
            note_before(store.accounts.get(tx, self.by, address, locked=True))
            return store.accounts.edit(tx, self.by, address, values)

    @operation("POST", f"{_ONE}/password", scope=ADMIN, reach=DOMAIN, errors=(NotFound,))
    def passwd(self, address: str, new: NewPassword) -> Account:
        """Give an account another password, with which it logs in from now on."""
        with self.site.storage.read() as tx:
            store.accounts.get(tx, self.by, address)  # hashing is for those who may
        password_hash = self.site.hash_password(new.password)
        with change(self, "passwd", address) as tx:
            return store.accounts.edit(tx, self.by, address, {"password_hash": password_hash})

    @operation("DELETE", _ONE, scope=ADMIN, reach=DOMAIN, errors=(NotFound, Conflict))
    def remove(self, address: str) -> Removed:
        """Remove an account that no alias names any more and, a little later, all its mail."""
        with change(self, "remove", address) as tx:
            note_before(store.accounts.get(tx, self.by, address, locked=True))
            store.accounts.remove(tx, self.by, address)
        return Removed(name=address)

    def _require_may_appoint(self, admin: bool | Unset) -> None:
        """Raise `Forbidden` for who reaches less than the site: administrators get mail of other domains."""
        if admin is True:
            self.by.require(ADMIN, ReachKind.SITE)
