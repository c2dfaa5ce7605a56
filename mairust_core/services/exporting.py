"""Operations of export: everything of an account, in an order that another site keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from mairust_core import store
from mairust_core.errors import Damaged, NotFound
from mairust_core.model.copies import ExportedCopy, Folders
from mairust_core.model.principal import Scope
from mairust_core.operations import BytesIn, Item, ItemsOut, Service, operation

if TYPE_CHECKING:
    from mairust_core.store.exporting import Exportable

PAGE = 200


class Exports(Service):
    """Moving out: mailboxes, and messages as they are shown."""

    @operation("GET", "/accounts/{address:path}/folders", scope=Scope.READ, errors=(NotFound,))
    def folders(self, address: str) -> Folders:
        """List an account's mailboxes and subscriptions by name."""
        with self.site.storage.read() as tx:
            account = store.accounts.get(tx, self.by, address)
            return Folders(
                mailboxes=tuple(name for _, name in store.exporting.mailboxes(tx, account.id)),
                subscribed=store.subscriptions.of(tx, account.id),
            )

    @operation("GET", "/accounts/{address:path}/messages:export", scope=Scope.READ, errors=(NotFound,))
    def messages(self, address: str, *, mailbox: str = "") -> ItemsOut[ExportedCopy]:
        """Give all messages of an account, or of one mailbox, with their bytes.

        The bytes are those of `raw`. Mailboxes come one after the other, INBOX first, messages in the order
        of their UIDs. A message whose bytes are damaged comes without them and says why.
        """
        with self.site.storage.read() as tx:
            account = store.accounts.get(tx, self.by, address)
            found = store.exporting.mailboxes(tx, account.id)
        wanted = [id_ for id_, name in found if not mailbox or name == mailbox]
        if mailbox and not wanted:
            raise NotFound("mailbox", name=mailbox, address=account.address)
        return ItemsOut(items=self._items(account.id, wanted))

    def _items(self, account_id: int, mailbox_ids: list[int]) -> Iterator[Item[ExportedCopy]]:
        for mailbox_id in mailbox_ids:
            after = 0
            while True:
                with self.site.storage.read() as tx:
                    page = store.exporting.page(tx, account_id, mailbox_id, after, PAGE)
                for one in page:
                    yield self._item(one)
                if len(page) < PAGE:
                    break
                after = page[-1].copy.uid

    def _item(self, one: Exportable) -> Item[ExportedCopy]:
        try:
            data = self.site.render(one)
        except Damaged as error:
            return Item(value=replace(one.copy, why=str(error)))
        return Item(value=one.copy, content=BytesIn(chunks=(data,), size_bytes=len(data)))
