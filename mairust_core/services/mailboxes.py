"""Operations on mailboxes: creating, renaming and deleting them (rule A2); `accounts` lists them."""

from __future__ import annotations

from contextlib import suppress

from mairust_core import store
from mairust_core.errors import Conflict, Locked, NotFound
from mairust_core.model.forms import Removed
from mairust_core.model.mailbox import (
    Mailbox,
    MailboxRef,
    MailboxRename,
    NewMailbox,
    changeable,
    folded_inbox,
)
from mairust_core.model.principal import Scope
from mairust_core.operations import Service, operation, require_names
from mairust_core.services.changes import change

WRITE = Scope.WRITE
AT_ONCE = 100
"""Messages that go to the trash in one transaction (rule D2)."""
ROUNDS = 5
"""How often a mailbox is emptied before it is left to whoever keeps filling it."""
_PATH = "/accounts/{address:path}/mailboxes"


class Mailboxes(Service):
    """What an account's messages are sorted into; levels of a name stand between slashes."""

    @operation("POST", _PATH, scope=WRITE, status=201, errors=(NotFound, Conflict))
    def create(self, address: str, new: NewMailbox) -> Mailbox:
        """Create a mailbox; those above it in its name need not be there."""
        mailbox_id = self.site.ids.next()
        with change(self, "create", f"{address} {new.name}") as tx:
            account = store.accounts.get(tx, self.by, address)
            if not store.mailboxes.ensure(tx, self.by.tenant_id, account.id, mailbox_id, new.name):
                raise Conflict("mailbox", name=new.name, address=account.address)
            return store.mailboxes.get(tx, account.id, account.address, new.name)

    @operation("PATCH", _PATH, scope=WRITE, errors=(NotFound, Conflict))
    def rename(self, address: str, wanted: MailboxRename) -> Mailbox | MailboxRef:
        """Give a mailbox another name, and with it what lies below it.

        Messages keep their UIDs, the mailbox its UIDVALIDITY.
        """
        with change(self, "rename", f"{address} {wanted.name}") as tx:
            account = store.accounts.get(tx, self.by, address)
            return store.mailboxes.rename(tx, account.id, account.address, wanted.name, wanted.to)

    @operation("DELETE", _PATH, scope=WRITE, errors=(NotFound, Locked))
    def delete(self, address: str, *, name: str) -> Removed:
        """Delete a mailbox and put its messages into the trash; what lies below it stays (RFC 9051 §6.3.5).

        An undeleted message makes it anew. Large mailboxes are emptied a hundred messages at a time: when
        that is interrupted, the rest is still there.
        """
        require_names([("name", name)])
        wanted = changeable("name", folded_inbox(name))
        with self.site.storage.read() as tx:
            account = store.accounts.get(tx, self.by, address)
            mailbox_id = store.mailboxes.find(tx, account.id, wanted)
        if mailbox_id is None:
            raise NotFound("mailbox", name=wanted, address=account.address)
        for _ in range(ROUNDS):
            self._empty(mailbox_id)
            with suppress(Locked), change(self, "delete", f"{account.address} {wanted}") as tx:
                if not store.mailboxes.remove(tx, account.id, mailbox_id):
                    raise Locked("mailbox", name=wanted)
                return Removed(name=wanted)
        raise Locked("mailbox", name=wanted)

    def _empty(self, mailbox_id: int) -> None:
        while True:
            with self.site.storage.write() as tx:
                held = store.placements.hold_some(tx, mailbox_id, AT_ONCE)
                store.trash.put(tx, held)
            if not held:
                return
