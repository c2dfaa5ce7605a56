"""Operations on messages: append, list, show, change, delete, and the bytes themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mairust_core import store
from mairust_core.errors import (
    BadQuery,
    Conflict,
    Damaged,
    Invalid,
    NotFound,
    QuotaExceeded,
    Refused,
    Temporary,
    TooLarge,
)
from mairust_core.model.forms import DEFAULT_LIMIT, UNSET, values_of
from mairust_core.model.ids import Id
from mairust_core.model.mailbox import INBOX, QUARANTINE, folded_inbox
from mairust_core.model.message import Changed, Deleted, Message, MessageRef, Summary
from mairust_core.model.message_change import PLUGINS_METADATA, Appended, MessageChange, MessageFilter
from mairust_core.model.moment import Moment, at_or_none
from mairust_core.model.principal import Scope
from mairust_core.model.search import Listed
from mairust_core.operations import ANY, BytesIn, BytesOut, Service, operation
from mairust_core.services.changes import change, note_before, record
from mairust_core.services.pages import limited

if TYPE_CHECKING:
    from mairust_core.store.messages import Source
    from mairust_core.store.placements import Held

MAX_FILENAME = 255
PLAIN = "text/plain; charset=utf-8"
READ, WRITE = Scope.READ, Scope.WRITE


class Messages(Service):
    """Mail, as it came and as it is shown."""

    @operation(
        "POST", "/accounts/{address:path}/messages", scope=WRITE, status=201,
        errors=(NotFound, TooLarge, QuotaExceeded, Refused, Temporary),
    )  # fmt: skip
    def append(
        self,
        address: str,
        content: BytesIn,
        *,
        mailbox: str = INBOX,
        flag: tuple[str, ...] = (),
        tag: tuple[str, ...] = (),
        date: datetime | None = None,
        hooks: bool = False,
    ) -> Summary:
        """Put a message into a mailbox, byte for byte, without trace headers.

        `date` is when it was received, now if it is left out. With `hooks` the site's hooks are asked about
        it as about mail that comes in, and it has a trace. When it answers, the message is as durable as one
        that SMTP answered with 250. The answer to a key without `read` tells of the bytes that it sent only:
        mailbox, UID, flags and tags are empty, and the thread is that of a message alone.
        """
        wanted = Appended(
            mailbox=mailbox, flags=flag, tags=tag, date=date, asked_for=address if hooks else ""
        )
        with self.site.storage.read() as tx:
            account = store.accounts.get(tx, self.by, address)
            if store.mailboxes.find(tx, account.id, wanted.mailbox) is None:
                raise NotFound("mailbox", name=mailbox, address=account.address)
        message_id = self.site.append((self.by.tenant_id, account.id), wanted, content, self.receipt)
        return self.made(str(message_id))

    def made(self, subject: str) -> Summary:
        """The summary of a message that was appended; without `read`, what whoever sent it knows."""
        summary = self._find(subject)[0]
        if self.by.may(READ):
            return summary
        hidden = replace(summary, mailbox="", uid=0, flags=(), tags=(), deleted_at=None)
        return replace(hidden, thread_id=summary.id)  # another would tell what else is there

    @operation(
        "GET", "/accounts/{address:path}/messages", scope=READ, errors=(NotFound, BadQuery),
        encoded="_encoded_page",
    )  # fmt: skip
    def browse(
        self,
        address: str,
        *,
        q: str | None = None,
        mailbox: str = "",
        tag: str = "",
        flag: str = "",
        unflag: str = "",
        since: Moment | None = None,
        before: Moment | None = None,
        deleted: bool = False,
        cursor: str = "",
        limit: int = DEFAULT_LIMIT,
    ) -> Listed:
        """List an account's messages, newest first: those that fit all that is given.

        With `q`, those of them that match a search, in its own language; the answer then says, as that of
        a search, whether it is `complete`.

        `unflag` asks for messages without a flag; `since` and `before` bound the time of receipt; `deleted`
        asks for those in the trash instead. A page may hold fewer than `limit`, or none, and still have a
        `next_cursor`: where no index helps it looks at so many messages and no more.
        """
        wanted = MessageFilter(
            mailbox=mailbox,
            tag=tag,
            flag=flag,
            unflag=unflag,
            since=at_or_none(since, "since"),
            before=at_or_none(before, "before"),
            deleted=deleted,
        )
        return self._listed(address, q, wanted, cursor, limit)

    def _listed(self, address: str, q: str | None, wanted: MessageFilter, cursor: str, limit: int) -> Listed:
        if q is not None:
            if wanted.deleted:
                raise Invalid("q", "not_in_trash")
            return Listed.of(self.site.search(self.by, address, q, cursor, limited(limit), wanted))
        with self.site.storage.read() as tx:
            account = store.accounts.get(tx, self.by, address)
            mailbox_id = store.mailboxes.find(tx, account.id, wanted.mailbox) if wanted.mailbox else None
            if wanted.mailbox and mailbox_id is None:
                raise NotFound("mailbox", name=wanted.mailbox, address=account.address)
            asked = store.listing.Wanted(account_id=account.id, mailbox_id=mailbox_id, filter=wanted)
            page = store.listing.page(tx, self.by, asked, cursor, limited(limit))
        return Listed(items=page.items, next_cursor=page.next_cursor)

    def _encoded_page(
        self,
        address: str,
        *,
        q: str | None = None,
        mailbox: str = "",
        cursor: str = "",
        limit: int = DEFAULT_LIMIT,
        **asked: Any,
    ) -> dict[str, Any] | Listed:
        """What `browse` answers, as JSON values unless it is filtered or searched."""
        if q is not None or any(asked.values()):
            for bound in ("since", "before"):
                asked[bound] = at_or_none(asked.get(bound), bound)
            return self._listed(address, q, MessageFilter(mailbox=mailbox, **asked), cursor, limit)
        mailbox = folded_inbox(mailbox)
        pages = store.message_pages
        with self.site.storage.read() as tx:
            account_id, shown = pages.find_account(tx, self.by, address)
            mailbox_id = store.mailboxes.find(tx, account_id, mailbox) if mailbox else None
            if mailbox and mailbox_id is None:
                raise NotFound("mailbox", name=mailbox, address=shown)
            items, more = pages.page(tx, self.by, (account_id, mailbox_id), cursor, limited(limit))
        return {"items": items, "next_cursor": more}

    @operation("GET", "/messages/{id}", scope=READ, errors=(NotFound, Damaged))
    def show(self, id: str) -> Message:
        """Show one message, deleted or not, with its header fields and attachments."""
        summary, source = self._find(id)
        return Message(
            **values_of(summary),
            headers=self.site.header_fields(source),
            attachments=source.attachments,
            original_size=source.size_bytes,
            sha256=source.sha256.hex(),
            eol=source.eol,
            modseq=source.modseq,
            metadata=source.metadata,
        )

    @operation("PATCH", "/messages/{id}", scope=WRITE, errors=(NotFound, Conflict))
    def change(self, id: str, wanted: MessageChange) -> Changed | MessageRef:
        """Change flags, tags or metadata of one message, or move it.

        What is left out stays. A message that moves gets a new UID and keeps its id.
        """
        _require_own_words(wanted)
        entry_id = self.site.ids.next()
        with self.site.storage.write() as tx:
            one = store.placements.hold(tx, self.by, Id.parse(id))
            if _is_let_out(one, wanted):
                _note_place(one)
                record(tx, self, entry_id, "change", str(int(one.id)))
            store.placements.change(tx, one, wanted)
            summary, source = store.messages.get(tx, self.by, one.id)
        return Changed(**values_of(summary), metadata=source.metadata)

    @operation("DELETE", "/messages/{id}", scope=WRITE, errors=(NotFound,))
    def delete(self, id: str, *, now: bool = False) -> Deleted:
        """Delete one message: it goes to the trash, which does not count towards the quota.

        It can be undeleted for `database.trash_days`; with `now` it is gone for good, also from the trash.
        """
        message_id = Id.parse(id)
        if now:
            return self._purge(message_id)
        with self.site.storage.write() as tx:
            one = store.placements.hold(tx, self.by, message_id)
            if one.place is not None:
                store.trash.put(tx, [one])
            summary = store.messages.get(tx, self.by, message_id)[0]
        assert summary.deleted_at is not None
        kept = timedelta(days=self.site.settings.database.trash_days)
        return Deleted(id=message_id, undelete_until=summary.deleted_at + kept)

    def _purge(self, message_id: Id) -> Deleted:
        with change(self, "purge", str(int(message_id))) as tx:
            one = store.placements.hold(tx, self.by, message_id)
            _note_place(one)
            if one.place is not None:
                store.trash.put(tx, [one])
            store.trash.purge(tx, [message_id], counted=one.place is not None)
        return Deleted(id=message_id)

    @operation("POST", "/messages/{id}/undelete", scope=WRITE, errors=(NotFound, QuotaExceeded))
    def undelete(self, id: str) -> Summary | MessageRef:
        """Put a deleted message back into the mailbox it was in, which is made anew if it is gone."""
        message_id, new_id = Id.parse(id), self.site.ids.next()
        with self.site.storage.write() as tx:
            one = store.placements.hold(tx, self.by, message_id)
            home = store.trash.mailbox_of(tx, message_id)
            if home is not None and home[0] is None:
                store.mailboxes.ensure(tx, one.tenant_id, one.account_id, new_id, home[1])
        with self.site.storage.write() as tx:  # the mailbox was locked after the account: not in one go
            one = store.placements.hold(tx, self.by, message_id)
            store.trash.take_back(tx, one)
            return store.messages.get(tx, self.by, message_id)[0]

    @operation("POST", "/messages/{id}/release", scope=WRITE, errors=(NotFound, Conflict))
    def release(self, id: str) -> Summary | MessageRef:
        """Let a message out of Quarantine into INBOX (rule E2); one that is elsewhere stays there."""
        with change(self, "release", str(int(Id.parse(id)))) as tx:
            one = store.placements.hold(tx, self.by, Id.parse(id))
            _note_place(one)
            if one.placed.mailbox == QUARANTINE:
                store.placements.change(tx, one, MessageChange(mailbox=INBOX))
            return store.messages.get(tx, self.by, one.id)[0]

    @operation("GET", "/messages/{id}/raw", scope=READ, errors=(NotFound, Damaged))
    def raw(self, id: str, *, original: bool = False) -> BytesOut:
        """The bytes of one message: trace headers, then what came, without what is hidden (rule B2).

        `original` gives exactly the bytes that came.
        """
        summary, source = self._find(id)
        data = self.site.read_blob(source) if original else self.site.render(source)
        return BytesOut.of(data, f"{int(summary.id)}.eml", "message/rfc822")

    @operation("GET", "/messages/{id}/text", scope=READ, errors=(NotFound, Damaged), produces=PLAIN)
    def text(self, id: str) -> BytesOut:
        """The body of one message as text in UTF-8, taken from its HTML where it has no other."""
        _, source = self._find(id)
        return BytesOut.of(
            self.site.text(source).encode("utf-8", "replace"), f"{int(Id.parse(id))}.txt", PLAIN
        )

    @operation("GET", "/messages/{id}/html", scope=READ, errors=(NotFound, Damaged), produces=PLAIN)
    def html(self, id: str) -> BytesOut:
        """The HTML body of one message as its sender wrote it, in UTF-8, never as a page (trap A7)."""
        _, source = self._find(id)
        html = self.site.html(source)
        if not html:
            raise NotFound("html", id=id)
        return BytesOut.of(html.encode("utf-8", "replace"), f"{int(Id.parse(id))}.html.txt", PLAIN)

    @operation("GET", "/messages/{id}/attachments/{n}", scope=READ, errors=(NotFound, Damaged), produces=ANY)
    def attachment(self, id: str, n: int) -> BytesOut:
        """One attachment, decoded, by its number in the message's list; always a download (trap A7)."""
        _, source = self._find(id)
        if not 1 <= n <= len(source.attachments):
            raise NotFound("attachment", id=id, number=n)
        return self._part(id, source, source.attachments[n - 1].part)

    @operation("GET", "/messages/{id}/parts/{number}", scope=READ, errors=(NotFound, Damaged), produces=ANY)
    def part(self, id: str, number: str) -> BytesOut:
        """One MIME part, decoded, by its number as IMAP counts (RFC 9051 §6.4.5.1): `1`, `2.1`."""
        _, source = self._find(id)
        return self._part(id, source, number)

    def _part(self, id: str, source: Source, number: str) -> BytesOut:
        found = self.site.part(source, number)
        if found is None:
            raise NotFound("part", id=id, number=number[:40])
        name = found.filename[:MAX_FILENAME] or f"{int(Id.parse(id))}-{number}.bin"
        return BytesOut.of(found.data, name, found.content_type)

    def _find(self, id: str) -> tuple[Summary, Source]:
        with self.site.storage.read() as tx:
            return store.messages.get(tx, self.by, Id.parse(id))


def _note_place(one: Held) -> None:
    """For the audit: whose message it is, and where; null in the trash."""
    note_before({"account": one.address, "mailbox": one.place.mailbox if one.place else None})


def _is_let_out(one: Held, wanted: MessageChange) -> bool:
    """Whether it leaves Quarantine, which the audit tells however it is done (rule E2)."""
    is_in = one.place is not None and one.place.mailbox == QUARANTINE
    return is_in and wanted.mailbox not in (UNSET, QUARANTINE)


def _require_own_words(wanted: MessageChange) -> None:
    """Raise `Invalid` for what only a plugin may say: it is told that it wrote that itself (rule F2)."""
    for name, value in {} if wanted.metadata is UNSET else wanted.metadata.items():
        if value is not None and name.startswith(PLUGINS_METADATA):
            raise Invalid("metadata", "metadata_of_plugin", name=name)
