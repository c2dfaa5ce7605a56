"""Messages of a snapshot, appended to a running site through the committer, with new UIDs (rule I2)."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any

from mairust_core import store
from mairust_core.errors import Damaged, Invalid, MaiRustError, NotFound
from mairust_core.model.address import Address
from mairust_core.model.backup import Additions, Returned
from mairust_core.model.blob import MEMORY_LIMIT_BYTES, Bytes, Content
from mairust_core.model.delivery import Copy, Delivery
from mairust_core.model.mailbox import INBOX
from mairust_core.operations import BytesIn
from mairust_core.receive.describing import describe_to_keep
from mairust_core.transfer.repository.packs import Directory, Entry, Kind, Unpacker, read_directory

if TYPE_CHECKING:
    from mairust_core.app import Site
    from mairust_core.model.principal import Principal

MEMORY_BYTES = 16 << 20
NAME = "sent"

log = logging.getLogger("mairust.backup")
Record = dict[str, Any]


def put_back(site: Site, by: Principal, content: BytesIn) -> Additions:
    """Append the messages of a pack to the mailboxes of its account.

    An account that is gone is made again, with the password and quota of then; raises `NotFound` when its
    domain is gone too, `Invalid` for what is no such pack.
    """
    try:
        return _put_back(site, by, content)
    except Damaged as error:
        if error.detail == "database":
            raise
        raise Invalid("content", "not_a_pack", why=error.values.get("why", error)) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Invalid("content", "not_rows_of_mail", why=repr(error)) from error


def _put_back(site: Site, by: Principal, content: BytesIn) -> Additions:
    with tempfile.SpooledTemporaryFile(MEMORY_BYTES, dir=str(site.settings.data_dir)) as spooled:
        file: IO[bytes] = spooled
        for chunk in content.chunks:
            file.write(chunk)
        directory = read_directory(file, NAME)
        unpacker = Unpacker(file, NAME)
        told = _told(unpacker, directory)
        account_id, address, created = _account(site, by, told["account"])
        mail = {entry.id.hex(): entry for entry in directory.entries() if entry.kind is Kind.MAIL}
        messages = _Appending(site, by, account_id, unpacker, mail).append(told["messages"])
    return Additions(address=address, account_created=created, messages=messages)


def _told(unpacker: Unpacker, directory: Directory) -> Record:
    """What the pack says of its mail."""
    for entry in directory.entries():
        if entry.kind is Kind.ROWS:
            found = json.loads(unpacker.read(entry))
            if isinstance(found, dict) and isinstance(found.get("account"), dict):
                return found
    raise Invalid("content", "whose_mail_missing")


def _account(site: Site, by: Principal, row: Record) -> tuple[int, str, bool]:
    """The account of that address: its id, address, and whether it had to be made."""
    address = str(Address.parse(str(row["address"])))
    ids = site.ids
    with site.storage.write() as tx:
        try:
            found = store.accounts.get(tx, by, address)
        except NotFound:
            made = store.accounts.add(
                tx,
                by,
                (ids.next(), ids.next(), ids.next()),
                address,
                admin=False,
                quota_bytes=row.get("quota_bytes"),
                password_hash=row.get("password_hash"),
            )
            return made.id, made.address, True
    return found.id, found.address, False


class _Appending:
    """Appends messages to one account, each mail once in memory."""

    def __init__(
        self, site: Site, by: Principal, account_id: int, unpacker: Unpacker, mail: dict[str, Entry]
    ) -> None:
        self._site = site
        self._tenant_id = by.tenant_id
        self._account_id = account_id
        self._unpacker = unpacker
        self._mail = mail

    def append(self, messages: Sequence[Record]) -> tuple[Returned, ...]:
        """Append all of them in one batch; what became of each."""
        contents: list[Content] = []
        try:
            deliveries = [self._delivery(one, contents) for one in messages]
            outcomes = self._site.committer.commit_many(deliveries)
        finally:
            for content in contents:
                content.close()
        return tuple(
            Returned(
                sha256=one["message"]["sha256"],
                mailbox=_mailbox(one),
                id=None if isinstance(outcome, MaiRustError) else outcome.ids[0],
                error=str(outcome) if isinstance(outcome, MaiRustError) else "",
            )
            for one, outcome in zip(messages, outcomes, strict=True)
        )

    def _delivery(self, one: Record, contents: list[Content]) -> Delivery:
        message, placement = one["message"], one["placement"] or {}
        content = self._content(message["sha256"])
        contents.append(content)
        copy = Copy(
            id=self._site.ids.next(),
            account_id=self._account_id,
            size_bytes=message["size_bytes"],
            mailbox=_mailbox(one),
            trace_headers=bytes.fromhex(message["trace_headers"]),
            hidden=tuple((start, end) for start, end in json.loads(message["hidden"])),
            flags=placement.get("flags", 0),
            keywords=tuple(json.loads(placement.get("keywords", "[]"))),
            tags=tuple(json.loads(message["tags"])),
            metadata=json.loads(message["metadata"]),
        )
        return Delivery(
            tenant_id=self._tenant_id,
            content=content,
            kept=describe_to_keep(content),
            copies=(copy,),
            received_ms=message["received_ms"],
        )

    def _content(self, sha256: str) -> Content:
        entry = self._mail.get(sha256)
        if entry is None:
            raise Invalid("content", "mail_missing", sha256=sha256)
        if entry.size_bytes <= MEMORY_LIMIT_BYTES:
            return Bytes(data=self._unpacker.read(entry), sha256=entry.id, size_bytes=entry.size_bytes)
        collector = self._site.blobs.collector()
        try:
            for piece in self._unpacker.pieces(entry):
                collector.write(piece)
            return collector.finish()
        finally:
            collector.discard()


def _mailbox(one: Record) -> str:
    return str(one["mailbox"]["name"]) if one.get("mailbox") else INBOX
