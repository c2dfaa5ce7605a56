"""The story of a mail from its trace row, for one caller: who it was for, what was said, where it is now.

Somebody whose reach is a domain or an account sees the recipients and copies of theirs and is not told
whether there were others (rule G4, trap S8).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select

from mairust_core.errors import Invalid, NotFound
from mairust_core.ids import now_ms, to_time
from mairust_core.model.address import Address
from mairust_core.model.envelope import Road
from mairust_core.model.ids import Id
from mairust_core.model.principal import Principal, ReachKind
from mairust_core.model.story import Event, Mail, Story
from mairust_core.store import accounts, traces
from mairust_core.store.tables import AnyRow, account, domain, mailbox, message, placement, trash
from mairust_core.wire import encode_time

_IN_ONE_QUERY = 500
_PLUGINS_WORDS = {"log", "annotations", "error", "refused", "left_out"}
"""What plugins write freely. They see the mail of many accounts: it is for who may read all of that."""

Place = Mapping[str, str | None]
"""Where a message is, in the words of the event `now`."""
_GONE: Place = {"mailbox": None, "undelete_until": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copy:
    """One account's copy of a mail, as its trace noted it."""

    message_id: int
    account_id: int
    mailbox: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What the caller may see: addresses by account, what their own addresses end in, where copies are."""

    by: Principal
    own: str
    addresses: Mapping[int, str]
    places: Mapping[int, Place]

    @property
    def everything(self) -> bool:
        return self.by.reach.kind is ReachKind.SITE

    def account(self, account_id: int) -> bool:
        """Whether the account is within reach."""
        return self.everything or account_id in self.addresses

    def recipient(self, address: str, account_ids: Sequence[int]) -> bool:
        """Whether a recipient is theirs: by one of its accounts, or by its own name."""
        if self.everything or any(one in self.addresses for one in account_ids):
            return True
        return bool(self.own) and _ends_in(address, self.own)


def find(tx: Connection, by: Principal, wanted: str, trash_days: int) -> Story:
    """The story of the mail with that id of a trace, a message, a reply, or with that Message-ID.

    `trash_days` is how long a deleted message can be undeleted. Raises `NotFound`, also for a mail that was
    not for anybody within reach, and by the id of a copy that is not.
    """
    if wanted.isascii() and wanted.isdigit():
        number = int(Id.parse(wanted))
        row = traces.by_id(tx, by, number) or traces.of_message(tx, by, number)
        if row is None or not _may_ask(tx, by, row, number):
            return _without_trace(tx, by, number, trash_days)
        rows = [row]
    elif "@" in wanted or wanted.startswith("<"):
        rows = traces.by_message_id(tx, by, wanted)
    else:
        raise Invalid("id", "not_trace_id", value=repr(wanted[:40]))
    story = told(tx, by, rows, trash_days)
    if not story.mails:
        raise NotFound("trace", id=wanted[:200])
    return story


def _may_ask(tx: Connection, by: Principal, row: AnyRow, number: int) -> bool:
    """Whether it is theirs what is asked by: another one's copy of the same mail would tell of the other."""
    if by.reach.kind is ReachKind.SITE or number == row.id:
        return True
    whose = {copy.account_id for copy in _copies(row) if copy.message_id == number}
    return bool(_addresses(tx, by, whose))


def told(tx: Connection, by: Principal, rows: Sequence[AnyRow], trash_days: int) -> Story:
    """The story of these rows, as far as it is the caller's."""
    own = _own(tx, by)
    asked = {one for row in rows for _, ids in json.loads(row.rcpt_to) for one in ids}
    addresses = _addresses(tx, by, asked)
    seen = _Seen(by=by, own=own, addresses=addresses, places={})
    theirs = [row for row in rows if _is_theirs(row, seen)]
    shown = theirs[: traces.MAX_MAILS]
    wanted = [copy.message_id for row in shown for copy in _copies(row) if copy.account_id in addresses]
    seen = replace(seen, places=_places(tx, by, wanted, trash_days))
    now = encode_time(to_time(now_ms()))
    return Story(
        events=tuple(event for row in shown for event in _events(row, seen, now)),
        mails=tuple(mail(row, seen) for row in shown),
        complete=len(theirs) == len(shown) and len(rows) < traces.MAX_LOOKED_AT,
    )


def listed(rows: Iterable[AnyRow], by: Principal) -> list[Mail]:
    """The mails of rows for a caller who sees the whole site."""
    seen = _Seen(by=by, own="", addresses={}, places={})
    return [mail(row, seen) for row in rows]


def mail(row: AnyRow, seen: _Seen) -> Mail:
    """What a list shows of a row."""
    return Mail(
        id=Id(row.id),
        at=to_time(row.at_ms),
        accepted=row.accepted,
        road=Road(row.road),
        client=row.client_ip,
        mail_from=row.mail_from,
        recipients=tuple(address for address, _ in _recipients(row, seen)),
        message_id=row.message_id,
        reply=_reply(row, seen),
    )


def _own(tx: Connection, by: Principal) -> str:
    """What the caller's addresses are, or end in: `ann@example.org`, `@example.org`; empty for the site."""
    if by.reach.kind is ReachKind.DOMAIN:
        name = tx.execute(select(domain.c.name).where(domain.c.id == by.reach.id)).scalar_one_or_none()
        return f"@{name}" if name else ""
    if by.reach.kind is ReachKind.ACCOUNT:
        return (
            tx.execute(select(account.c.address).where(account.c.id == by.reach.id)).scalar_one_or_none()
            or ""
        )
    return ""


def _ends_in(address: str, own: str) -> bool:
    try:
        parsed = Address.parse(address)
    except Invalid:
        return False
    if own.startswith("@"):
        return f"@{parsed.domain}" == own
    return parsed.base.folded == Address.parse(own).folded


def _addresses(tx: Connection, by: Principal, account_ids: Iterable[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for some in _slices(sorted(account_ids)):
        query = select(account.c.id, account.c.address).where(account.c.id.in_(some), accounts.within(by))
        found |= {row[0]: row[1] for row in tx.execute(query)}
    return found


def _places(tx: Connection, by: Principal, message_ids: Sequence[int], trash_days: int) -> dict[int, Place]:
    """Where each message is now, in a mailbox or in the trash; what is gone is left out."""
    found: dict[int, Place] = {}
    for some in _slices(message_ids):
        query = _standing(message.c.id).where(message.c.id.in_(some), accounts.within(by))
        found |= {row.id: _place(row, trash_days) for row in tx.execute(query)}
    return found


def _standing(*columns: ColumnElement[Any]) -> Select[Any]:
    """Columns of messages and their accounts, with the mailbox each is in or when it was deleted."""
    return (
        select(*columns, mailbox.c.name, trash.c.deleted_ms)
        .join_from(message, account, account.c.id == message.c.account_id)
        .outerjoin(placement, placement.c.message_id == message.c.id)
        .outerjoin(mailbox, mailbox.c.id == placement.c.mailbox_id)
        .outerjoin(trash, trash.c.message_id == message.c.id)
    )


def _place(row: AnyRow, trash_days: int) -> Place:
    if row.deleted_ms is None:
        return {"mailbox": row.name, "undelete_until": None}
    until = to_time(row.deleted_ms) + timedelta(days=trash_days)
    return {"mailbox": None, "undelete_until": encode_time(until)}


def _slices(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _IN_ONE_QUERY):
        yield ids[start : start + _IN_ONE_QUERY]


def _copies(row: AnyRow) -> list[_Copy]:
    return [
        _Copy(message_id=message_id, account_id=account_id, mailbox=name)
        for event in json.loads(row.events)
        if event["kind"] == "stored"
        for message_id, account_id, name in event["copies"]
    ]


def _recipients(row: AnyRow, seen: _Seen) -> list[tuple[str, list[int]]]:
    return [(address, ids) for address, ids in json.loads(row.rcpt_to) if seen.recipient(address, ids)]


def _is_theirs(row: AnyRow, seen: _Seen) -> bool:
    return seen.everything or bool(_recipients(row, seen))


def _reply(row: AnyRow, seen: _Seen) -> str:
    """The reply; to somebody with part of the copies, as if theirs had been the first (rule G4)."""
    if seen.everything or not row.accepted:
        return str(row.reply)
    own = next((copy.message_id for copy in _copies(row) if seen.account(copy.account_id)), None)
    if own is None:
        repeated = (one for one in json.loads(row.events) if one["kind"] == "repeated")
        own = next((one["message"] for one in repeated if seen.account(one["account_id"])), None)
    return "250 2.0.0 stored" if own is None else f"250 2.0.0 stored {own}"


def _events(row: AnyRow, seen: _Seen, now: str) -> Iterator[Event]:
    at = encode_time(to_time(row.at_ms))
    noted = json.loads(row.events)
    yield _received(row, noted, at)
    for address, ids in _recipients(row, seen):
        named = [seen.addresses[one] for one in ids if one in seen.addresses]
        yield _event(row, at, "recipient", address=address, accounts=named)
    before, after = _told(row, noted, seen)
    yield from before
    if not row.accepted:
        yield _event(row, at, "refused", reply=row.reply)
        yield from after
        return
    copies = [copy for copy in _copies(row) if seen.account(copy.account_id)]
    names = {one: address for address, ids in json.loads(row.rcpt_to) for one in ids} | {**seen.addresses}
    for copy in copies:
        told = {"message": str(copy.message_id), "account": names.get(copy.account_id, "")}
        yield _event(row, at, "stored", **told, mailbox=copy.mailbox)
    yield _event(row, at, "replied", reply=_reply(row, seen))
    yield from after
    for copy in copies:
        told = {"message": str(copy.message_id), "account": names.get(copy.account_id, "")}
        yield _event(row, now, "now", **told, **seen.places.get(copy.message_id, _GONE))


def _told(row: AnyRow, noted: Sequence[dict[str, Any]], seen: _Seen) -> tuple[list[Event], list[Event]]:
    """What other parts noted, as far as it may be seen: before the mail was stored, and afterwards."""
    before: list[Event] = []
    after: list[Event] = []
    found = before
    for other in noted:
        if other["kind"] == "stored":
            found = after
        elif other["kind"] != "received" and _may_see(other, seen):
            told = _event(row, encode_time(to_time(other["at"])), other["kind"], **_further(other, seen))
            (after if other.get("mode") == "shadow" else found).append(told)
    return before, after


def _received(row: AnyRow, noted: Sequence[Mapping[str, Any]], at: str) -> Event:
    first: Mapping[str, Any] = next((one for one in noted if one["kind"] == "received"), {})
    return _event(
        row, at, "received",
        road=row.road, client=row.client_ip, helo=row.helo, tls=first.get("tls", ""),
        session=first.get("session", ""), mail_from=row.mail_from, size=first.get("size"),
        sha256=first.get("sha256"),
    )  # fmt: skip


def _may_see(noted: Mapping[str, Any], seen: _Seen) -> bool:
    """An event of one account is its own; one of the whole mail belongs to the site."""
    return (
        seen.everything
        or noted.get("account_id") in seen.addresses
        or any(one in seen.addresses for one in noted.get("account_ids", ()))
    )


def _further(noted: Mapping[str, Any], seen: _Seen) -> dict[str, Any]:
    """What a part that comes later noted: its own words, and the account by its address."""
    hidden = {"at", "kind", "account_id", "account_ids"}
    if not seen.everything:
        hidden |= _PLUGINS_WORDS if noted.get("action") != "deliver" else {*_PLUGINS_WORDS, "message"}
    words = {name: value for name, value in noted.items() if name not in hidden}
    if "account_id" in noted:
        words["account"] = seen.addresses.get(noted["account_id"], "")
    if "account_ids" in noted:
        words["accounts"] = [seen.addresses[one] for one in noted["account_ids"] if one in seen.addresses]
    return words


def _event(row: AnyRow, at: str, kind: str, **told: Any) -> Event:
    return {"at": at, "kind": kind, "trace": str(row.id), **told}


def _without_trace(tx: Connection, by: Principal, message_id: int, trash_days: int) -> Story:
    """What is known of a message whose trace expired, or which came without one."""
    query = _standing(message.c.received_ms, message.c.trace_id, account.c.address)
    row = tx.execute(query.where(message.c.id == message_id, accounts.within(by))).first()
    if row is None:
        raise NotFound("trace", id=message_id)
    at, now = encode_time(to_time(row.received_ms)), encode_time(to_time(now_ms()))
    whose = {"message": str(message_id), "account": row.address}
    first = {"at": at, "kind": "appended" if row.trace_id is None else "stored", "trace": None, **whose}
    if row.trace_id is not None:
        first["mailbox"] = None
    events = (first, {"at": now, "kind": "now", "trace": None, **whose, **_place(row, trash_days)})
    return Story(events=events, mails=(), complete=row.trace_id is None)
