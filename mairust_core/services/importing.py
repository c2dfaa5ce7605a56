"""Operations of import: mailboxes and messages from elsewhere, by the ledger (rule I1)."""

from __future__ import annotations

from mairust_core import store
from mairust_core.errors import Invalid, NotFound, TooLarge
from mairust_core.model.copies import AskedCopies, Folders, ImportedCopy, KnownCopies, NewCopy, NewFolders
from mairust_core.model.principal import Scope
from mairust_core.operations import Item, ItemsIn, ItemsOut, Service, operation
from mairust_core.services.changes import change

_ONE = "/accounts/{address:path}"


class Imports(Service):
    """Moving in: messages with their flags and dates, each copy once however often it is sent."""

    @operation("POST", f"{_ONE}/mailboxes:import", scope=Scope.WRITE, errors=(NotFound,))
    def prepare(self, address: str, new: NewFolders) -> Folders:
        """Make mailboxes that are not there yet, and subscribe to some.

        All that there are then are told; a key without `read` is told those that it named.
        """
        ids = self.site.ids
        with change(self, "prepare", address) as tx:
            account = store.accounts.get(tx, self.by, address)
            for name in new.mailboxes:
                store.mailboxes.ensure(tx, self.by.tenant_id, account.id, ids.next(), name)
            store.subscriptions.add(tx, self.by.tenant_id, account.id, new.subscribed)
            if not self.by.may(Scope.READ):
                return Folders(mailboxes=new.mailboxes, subscribed=new.subscribed)
            return Folders(
                mailboxes=tuple(name for _, name in store.exporting.mailboxes(tx, account.id)),
                subscribed=store.subscriptions.of(tx, account.id),
            )

    @operation("POST", f"{_ONE}/messages:known", scope=Scope.READ, errors=(NotFound,))
    def known(self, address: str, asked: AskedCopies) -> KnownCopies:
        """Say how many copies of some contents were imported into a mailbox before.

        What was moved or deleted since is counted too. `max_size_bytes` is the largest message taken.
        """
        hashes = [bytes.fromhex(one) for one in asked.sha256]
        with self.site.storage.read() as tx:
            account = store.accounts.get(tx, self.by, address)
            found = store.ledger.known(self.site.storage, tx, account.id, asked.mailbox, hashes)
        copies = tuple(found.get(one, 0) for one in hashes)
        return KnownCopies(copies=copies, max_size_bytes=self.site.settings.smtp.max_size)

    @operation("POST", f"{_ONE}/messages:import", scope=Scope.WRITE, errors=(NotFound, TooLarge, Invalid))
    def batch(self, address: str, copies: ItemsIn[NewCopy], *, again: bool = False) -> ItemsOut[ImportedCopy]:
        """Store messages byte for byte with their flags and dates, without trace headers.

        A message is added when the ledger counts fewer copies of it in its mailbox than `copy` says, so the
        same batch may be sent again; `again` adds it whatever the ledger says. Mailboxes are made as needed.
        One answer for each message, in order, given when it is durable. A refused message does not stop the
        others; an error that concerns all of them does, and then the batch is to be sent again.
        """
        with self.site.storage.read() as tx:
            account = store.accounts.get(tx, self.by, address)
        done = self.site.import_batch(self.by.tenant_id, account.id, copies.items, again=again)
        return ItemsOut(items=(Item(value=one) for one in done))
