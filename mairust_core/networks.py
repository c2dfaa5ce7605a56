"""Network addresses of clients: written one way, and counted under one name (rule J2)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

V6_PREFIX = 64
"""Whoever has one IPv6 address has all of its network's."""

Network = IPv4Network | IPv6Network


@lru_cache(maxsize=4096)
def plain_address(text: str) -> IPv4Address | IPv6Address | None:
    """The address, IPv4-mapped ones unwrapped and scope dropped; None when it is not one."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def is_loopback(host: str) -> bool:
    """True for an address of this machine's loopback, also when IPv4 is written as IPv6."""
    address = plain_address(host)
    return address is not None and address.is_loopback


def counted(ip: str | None, trusted: Iterable[Network] = ()) -> str | None:
    """The address, or its IPv6 network, under which a client is counted.

    None for those that limits by address skip: unknown ones, loopback, trusted networks (rule J2).
    """
    address = plain_address(ip) if ip else None
    if address is None or address.is_loopback or any(address in network for network in trusted):
        return None
    if isinstance(address, IPv6Address):
        return str(ip_network((address, V6_PREFIX), strict=False))
    return str(address)
