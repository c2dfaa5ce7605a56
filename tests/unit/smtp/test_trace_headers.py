"""Return-Path and Received."""

from __future__ import annotations

from datetime import UTC, datetime
from email import policy
from email.parser import BytesParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_core.model.envelope import Connection, Envelope, Recipient, Road
from mairust_core.receive.trace_headers import protocol, trace_headers

AT = datetime(2026, 11, 22, 10, 20, 30, tzinfo=UTC)
CLIENT = Connection(road=Road.SMTP, ip="192.0.2.1", helo="client.example.net", esmtp=True)


def envelope(
    connection: Connection = CLIENT,
    *,
    mail_from: str = "bob@example.net",
    to: tuple[str, ...] = ("ann@example.org",),
    smtputf8: bool = False,
) -> Envelope:
    """An envelope of one client."""
    recipients = tuple(Recipient(address=address, accounts=(1,)) for address in to)
    return Envelope(
        mail_from=mail_from, recipients=recipients, connection=connection, received_at=AT, smtputf8=smtputf8
    )


def build(given: Envelope) -> bytes:
    """Its trace headers."""
    return trace_headers(given, hostname="mx.example.org", message_id="731824090112")


def test_trace_headers() -> None:
    """They look like this (RFC 5321 §4.4)."""
    assert build(envelope()) == (
        b"Return-Path: <bob@example.net>\r\n"
        b"Received: from client.example.net ([192.0.2.1])\r\n"
        b"\tby mx.example.org with ESMTP id 731824090112\r\n"
        b"\tfor <ann@example.org>;\r\n"
        b"\tSun, 22 Nov 2026 10:20:30 +0000\r\n"
    )


def test_trap_s8_recipients_do_not_leak() -> None:
    """With more than one recipient none is named."""
    built = build(envelope(to=("ann@example.org", "secret@example.org")))
    assert b"secret" not in built
    assert b"ann@" not in built
    assert b"id 731824090112;\r\n" in built


@pytest.mark.parametrize(
    ("road", "esmtp", "tls", "smtputf8", "keyword"),
    [
        (Road.SMTP, False, "", False, "SMTP"),
        (Road.SMTP, True, "", False, "ESMTP"),
        (Road.SMTP, True, "TLSv1.3 X", False, "ESMTPS"),
        (Road.SMTP, True, "", True, "UTF8SMTP"),
        (Road.SMTP, True, "TLSv1.3 X", True, "UTF8SMTPS"),
        (Road.LMTP, True, "", False, "LMTP"),
        (Road.LMTP, True, "TLSv1.3 X", False, "LMTPS"),
        (Road.LMTP, True, "", True, "UTF8LMTP"),
        (Road.DELIVER, True, "", False, "LMTP"),
    ],
)
def test_protocols(road: Road, esmtp: bool, tls: str, smtputf8: bool, keyword: str) -> None:
    """The `with` keyword is the registered one (RFC 3848, RFC 6531)."""
    connection = Connection(road=road, esmtp=esmtp, tls=tls)
    assert protocol(envelope(connection, smtputf8=smtputf8)) == keyword


def test_unknown_clients() -> None:
    """Nothing is made up about a client nobody told of; the null sender stays null."""
    built = build(envelope(Connection(road=Road.LMTP), mail_from=""))
    assert built.startswith(b"Return-Path: <>\r\nReceived: from unknown\r\n\tby ")


def test_a_pipe_has_no_client() -> None:
    """The name is that of this machine itself: nobody came from anywhere."""
    built = build(envelope(Connection(road=Road.DELIVER, helo="vm")))
    assert b"\r\nReceived: by mx.example.org with LMTP id " in b"\r\n" + built
    assert b"from" not in built.split(b"Received:")[1]


def test_tls_and_ipv6_are_told() -> None:
    """The address literal names IPv6, the cipher stands in a comment."""
    built = build(
        envelope(Connection(road=Road.SMTP, ip="2001:db8::1", helo="x", esmtp=True, tls="TLSv1.3 AES"))
    )
    assert b"from x ([IPv6:2001:db8::1])\r\n\t(TLSv1.3 AES)\r\n" in built


@given(st.text(), st.text(), st.text(), st.text(), st.text(), st.booleans())
def test_no_header_can_be_injected(
    helo: str, sender: str, to: str, tls: str, ip: str, smtputf8: bool
) -> None:
    """Whatever a client calls itself there are two fields, short lines, and ASCII unless SMTPUTF8."""
    connection = Connection(road=Road.SMTP, ip=ip, helo=helo, esmtp=True, tls=tls)
    sender = sender * 40
    built = build(envelope(connection, mail_from=sender, to=(to,), smtputf8=smtputf8))
    assert smtputf8 or built.isascii()
    lines = built.decode().split("\r\n")
    assert all(len(line.encode()) <= 998 and "\r" not in line and "\n" not in line for line in lines)
    assert [line.split(":")[0] for line in lines if line and line[0] != "\t"] == ["Return-Path", "Received"]
    message = BytesParser(policy=policy.compat32).parsebytes(built + b"\r\n")
    assert message.keys() == ["Return-Path", "Received"]
