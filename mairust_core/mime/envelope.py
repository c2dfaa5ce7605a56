"""ENVELOPE as ready wire bytes (RFC 9051 §7.5.2)."""

from __future__ import annotations

from dataclasses import dataclass

from mairust_core.mime.addresses import Entry, parse_addresses
from mairust_core.mime.fields import Fields
from mairust_core.mime.imap_strings import nstring, quotable


@dataclass(slots=True, kw_only=True)
class AddressFields:
    """The parsed address fields of one header; `sender` and `reply_to` are as given, not defaulted."""

    from_: list[Entry]
    sender: list[Entry]
    reply_to: list[Entry]
    to: list[Entry]
    cc: list[Entry]
    bcc: list[Entry]


def address_fields(fields: Fields) -> AddressFields:
    """Parse the address fields of a header; the first From and Sender count, repeated others add up."""
    return AddressFields(
        from_=_parsed(fields.get(b"from")),
        sender=_parsed(fields.get(b"sender")),
        reply_to=_parsed(fields.get_list(b"reply-to")),
        to=_parsed(fields.get_list(b"to")),
        cc=_parsed(fields.get_list(b"cc")),
        bcc=_parsed(fields.get_list(b"bcc")),
    )


def _parsed(value: bytes | None) -> list[Entry]:
    return parse_addresses(value) if value else []


def envelope(fields: Fields, addresses: AddressFields) -> bytes:
    """Return the parenthesised ENVELOPE; Sender and Reply-To default to From, as the RFC wants."""
    from_ = _address_list(addresses.from_)
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        nstring(fields.get(b"date")),
        nstring(fields.get(b"subject")),
        from_,
        _address_list(addresses.sender) if addresses.sender else from_,
        _address_list(addresses.reply_to) if addresses.reply_to else from_,
        _address_list(addresses.to),
        _address_list(addresses.cc),
        _address_list(addresses.bcc),
        nstring(fields.get(b"in-reply-to")),
        nstring(fields.get(b"message-id")),
    )


def _address_list(entries: list[Entry]) -> bytes:
    if not entries:
        return b"NIL"
    return b"(%b)" % b"".join([_address(entry) for entry in entries])


def _address(entry: Entry) -> bytes:
    name, route, mailbox, host = entry
    if route is None and mailbox is not None and host is not None:
        if name is None:
            if quotable(mailbox + host):
                return b'(NIL NIL "%b" "%b")' % (mailbox, host)
        elif quotable(name + mailbox + host):
            return b'("%b" NIL "%b" "%b")' % (name, mailbox, host)
    return b"(%b)" % b" ".join(map(nstring, entry))
