"""Who the client really is, when a trusted front server says so (rule J2).

PROXY v1 and v2 (haproxy's proxy-protocol.txt, read by aiosmtpd), XCLIENT and XFORWARD (Postfix's
XCLIENT_README and XFORWARD_README).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import TYPE_CHECKING

from aiosmtpd.proxy_protocol import AF, PROTO, V2_SIGNATURE, ProxyData, get_proxy

from mairust_core.networks import plain_address

if TYPE_CHECKING:
    from mairust_core.networks import Network
    from mairust_core.smtp.inbox import Inbox

XCLIENT_ATTRIBUTES = ("NAME", "ADDR", "PORT", "PROTO", "HELO")
XFORWARD_ATTRIBUTES = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE")
_LOCAL = V2_SIGNATURE + b"\x20"
_V2_HEAD_BYTES = 16
_UNKNOWN = ("[UNAVAILABLE]", "[TEMPUNAVAIL]")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_MAX_HELO = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who talks to us, or on whose behalf; None and empty where nobody told."""

    ip: str | None = None
    port: int | None = None
    helo: str | None = None
    esmtp: bool | None = None


class TrustedNetworks:
    """The networks whose word about their clients is taken; raises `ValueError` for what is no network."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks: list[Network] = [ip_network(text, strict=False) for text in networks]

    def contains(self, ip: str) -> bool:
        """Whether this peer is trusted; IPv4 inside IPv6 counts as IPv4."""
        if not self._networks:
            return False
        address = plain_address(ip)
        return address is not None and any(address in network for network in self._networks)


async def read_proxy_header(inbox: Inbox, peer: Client) -> Client | None:
    """The client a PROXY header names; `peer` itself for LOCAL and UNKNOWN; None when it is malformed.

    Raises `asyncio.IncompleteReadError` when the connection ends before.
    """
    if await _read_local(inbox):
        return peer
    header: ProxyData = await get_proxy(inbox)
    if not header:
        return None
    if header.protocol == PROTO.UNSPEC or header.family in (AF.UNSPEC, AF.UNIX):
        return peer
    address = plain_address(str(header.src_addr))
    return Client(ip=str(address), port=header.src_port) if address else None


async def _read_local(inbox: Inbox) -> bool:
    """Whether a LOCAL header was read, whose addresses mean nothing, whatever they are; else nothing was."""
    head = await inbox.readexactly(5)
    if V2_SIGNATURE.startswith(head):
        head += await inbox.readexactly(_V2_HEAD_BYTES - len(head))
    if head.startswith(_LOCAL):
        await inbox.readexactly(int.from_bytes(head[-2:], "big"))
        return True
    inbox.buffer[:0] = head
    return False


def with_attributes(client: Client, argument: str, allowed: tuple[str, ...]) -> Client | None:
    """The client as the attributes of XCLIENT or XFORWARD change it; None when one is malformed."""
    for word in argument.split():
        name, equals, encoded = word.partition("=")
        value = _from_xtext(encoded)
        if not equals or value is None or name.upper() not in allowed:
            return None
        changed = _with_attribute(client, name.upper(), "" if value.upper() in _UNKNOWN else value)
        if changed is None:
            return None
        client = changed
    return client


def _with_attribute(client: Client, name: str, value: str) -> Client | None:
    """One attribute; an empty value says that the front server does not know either."""
    if name == "ADDR":
        address = plain_address(value[5:] if value[:5].upper() == "IPV6:" else value)
        return replace(client, ip=str(address) if address else None) if address or not value else None
    if name == "PORT":
        if value and not (value.isascii() and value.isdigit() and int(value[:6]) <= 65535):
            return None
        return replace(client, port=int(value) if value else None)
    if name == "PROTO":
        return (
            replace(client, esmtp=value.upper() == "ESMTP")
            if value.upper() in ("SMTP", "ESMTP", "")
            else None
        )
    if name == "HELO":
        return replace(client, helo=value[:_MAX_HELO])
    return client


def _from_xtext(text: str) -> str | None:
    """RFC 3461 §4 xtext decoded; None when an escape is broken or hides something unprintable."""
    if not text or "+" in _XTEXT.sub("", text):
        return None
    decoded = _XTEXT.sub(lambda match: chr(int(match[1], 16)), text)
    return decoded if decoded.isascii() and decoded.isprintable() else None
