"""Operations on messages: append, list, show, and the bytes themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from mairust_core import store
from mairust_core.errors import Damaged, NotFound, QuotaExceeded, Refused, TooLarge
from mairust_core.model.forms import DEFAULT_LIMIT, Page
from mairust_core.model.ids import Id
from mairust_core.model.mailbox import INBOX
from mairust_core.model.message import Message, Summary
from mairust_core.model.principal import Scope
from mairust_core.operations import BytesIn, BytesOut, Service, operation
from mairust_core.services.pages import cut, limited

if TYPE_CHECKING:
    from mairust_core.store.messages import Source

CHUNK_BYTES = 1 << 18


class Messages(Service):
    """Mail, as it came and as it is shown."""

    @operation(
        "POST", "/accounts/{address:path}/messages", scope=Scope.WRITE, status=201,
        errors=(NotFound, TooLarge, QuotaExceeded, Refused),
    )  # fmt: skip
    def append(self, address: str, content: BytesIn, *, mailbox: str = INBOX) -> Summary:
        """Put a message into a mailbox, byte for byte, without trace headers.

        When it answers, the message is as durable as one that SMTP answered with 250.
        """
        with self.site.storage.read() as tx:
            account = store.accounts.get(tx, self.by, address)
            if store.mailboxes.find(tx, account.id, mailbox) is None:
                raise NotFound("mailbox", name=mailbox, address=account.address)
        message_id = self.site.append((self.by.tenant_id, account.id, mailbox), content, self.receipt)
        return self.made(str(message_id))

    def made(self, subject: str) -> Summary:
        """The summary of a message that was appended."""
        return self._find(subject)[0]

    @operation(
        "GET", "/accounts/{address:path}/messages", scope=Scope.READ, errors=(NotFound,),
        encoded="_encoded_page",
    )  # fmt: skip
    def browse(
        self, address: str, *, mailbox: str = "", cursor: str = "", limit: int = DEFAULT_LIMIT
    ) -> Page[Summary]:
        """List an account's messages, or those of one mailbox, newest first."""
        with self.site.storage.read() as tx:
            account = store.accounts.get(tx, self.by, address)
            mailbox_id = store.mailboxes.find(tx, account.id, mailbox) if mailbox else None
            if mailbox and mailbox_id is None:
                raise NotFound("mailbox", name=mailbox, address=account.address)
            found = store.messages.page(tx, self.by, account.id, mailbox_id, cursor, limited(limit) + 1)
        return cut(found, limit, store.messages.make_cursor)

    def _encoded_page(
        self, address: str, *, mailbox: str = "", cursor: str = "", limit: int = DEFAULT_LIMIT
    ) -> dict[str, Any]:
        """What `browse` answers, as JSON values."""
        pages = store.message_pages
        with self.site.storage.read() as tx:
            account_id, shown = pages.find_account(tx, self.by, address)
            mailbox_id = store.mailboxes.find(tx, account_id, mailbox) if mailbox else None
            if mailbox and mailbox_id is None:
                raise NotFound("mailbox", name=mailbox, address=shown)
            items, more = pages.page(tx, self.by, (account_id, mailbox_id), cursor, limited(limit))
        return {"items": items, "next_cursor": more}

    @operation("GET", "/messages/{id}", scope=Scope.READ, errors=(NotFound, Damaged))
    def show(self, id: str) -> Message:
        """Show one message with its header fields and attachments."""
        summary, source = self._find(id)
        known = {field.name: getattr(summary, field.name) for field in fields(summary)}
        return Message(
            **known,
            headers=self.site.header_fields(source),
            attachments=source.attachments,
            original_size=source.size_bytes,
            sha256=source.sha256.hex(),
            eol=source.eol,
            modseq=source.modseq,
        )

    @operation("GET", "/messages/{id}/raw", scope=Scope.READ, errors=(NotFound, Damaged))
    def raw(self, id: str, *, original: bool = False) -> BytesOut:
        """The bytes of one message: trace headers, then what came, without what is hidden (rule B2).

        `original` gives exactly the bytes that came.
        """
        summary, source = self._find(id)
        data = self.site.read_blob(source) if original else self.site.render(source)
        return BytesOut(
            chunks=_chunks(data),
            size_bytes=len(data),
            sha256=hashlib.sha256(data).digest(),
            filename=f"{int(summary.id)}.eml",
        )

    def _find(self, id: str) -> tuple[Summary, Source]:
        with self.site.storage.read() as tx:
            return store.messages.get(tx, self.by, Id.parse(id))


def _chunks(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), CHUNK_BYTES):
        yield data[start : start + CHUNK_BYTES]
