"""The trace headers a mail gets when it comes in (RFC 5321 §4.4).

They stand before the blob in every rendering (rule B2). Whatever the client chose – host name, sender – is
text of an attacker: nothing of it can begin a new field, and no recipient leaks into another's
copy (trap S8).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING

from mairust_core.model.envelope import Road

if TYPE_CHECKING:
    from mairust_core.model.envelope import Connection, Envelope

_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
_TLS = re.compile(r"[A-Za-z0-9._ -]{1,100}")
_PLAIN_PATH = re.compile(r"[!-;=?-~]{0,900}")
_MAX_PATH_OCTETS = 900
"""A line may have 998 octets (RFC 5322 §2.1.1), and a path cannot be folded."""


def trace_headers(envelope: Envelope, *, hostname: str, message_id: str) -> bytes:
    """`Return-Path` and `Received` of this envelope, CRLF line ends, folded.

    `hostname` is ours, `message_id` the id by which we know the mail. The `for` clause appears only when
    there is exactly one recipient.
    """
    connection, recipients = envelope.connection, envelope.recipients
    sender = ""
    if envelope.mail_from or connection.road is not Road.DELIVER:  # a pipe need not tell its sender
        sender = f"Return-Path: <{_path(envelope.mail_from, envelope.smtputf8)}>\r\n"
    receiver = ""
    if len(recipients) == 1:
        receiver = f"\r\n\tfor <{_path(recipients[0].address, envelope.smtputf8)}>"
    return (
        f"{sender}Received: {_from(connection)}"
        f"by {hostname} with {protocol(envelope)} id {message_id}{receiver};\r\n"
        f"\t{_date(int(envelope.received_at.timestamp()))}\r\n"
    ).encode()


def protocol(envelope: Envelope) -> str:
    """The `with` keyword: SMTP, ESMTPS, UTF8LMTP … (RFC 3848, RFC 6531 §4.3)."""
    connection = envelope.connection
    if connection.road in (Road.LMTP, Road.DELIVER):
        name = "UTF8LMTP" if envelope.smtputf8 else "LMTP"
    elif connection.esmtp:
        name = "UTF8SMTP" if envelope.smtputf8 else "ESMTP"
    else:
        return "SMTP"
    return f"{name}S" if connection.tls else name


@lru_cache(maxsize=4)
def _date(seconds: int) -> str:
    """RFC 5322 §3.3, in UTC; mail of one second shares it."""
    return format_datetime(datetime.fromtimestamp(seconds, UTC))


def _from(connection: Connection) -> str:
    """The `from` clause with the fold behind it; a pipe has none, for nobody said anything there."""
    return "" if connection.road is Road.DELIVER else f"from {_client(connection)}\r\n\t"


@lru_cache(maxsize=1024)
def _client(connection: Connection) -> str:
    """Who the client is, once for all mail of a session."""
    host = connection.helo if _HOST.fullmatch(connection.helo) else "unknown"
    tcp_info = f" ({_address_literal(connection.ip)})" if connection.ip else ""
    tls = f"\r\n\t({connection.tls})" if connection.tls and _TLS.fullmatch(connection.tls) else ""
    return f"{host}{tcp_info}{tls}"


def _address_literal(ip: str) -> str:
    try:
        address = ip_address(ip)
    except ValueError:
        return "[unknown]"
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"


def _path(address: str, smtputf8: bool) -> str:
    """The address, with `?` for everything that could end the field or does not belong into it."""
    if _PLAIN_PATH.fullmatch(address):
        return address
    harmless = "".join(
        char if char.isprintable() and char not in "<>" and (smtputf8 or char.isascii()) else "?"
        for char in address
    )
    return harmless.encode()[:_MAX_PATH_OCTETS].decode(errors="ignore")
