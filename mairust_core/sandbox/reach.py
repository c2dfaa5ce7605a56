"""Which addresses a plugin may be connected to, by the words of its approval (rule H2, trap H4).

The one judge of them: for what a local plugin reaches through the proxy, and for where an http plugin is.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from urllib.parse import urlsplit

from mairust_core.model.plugin import Network
from mairust_core.networks import Network as Addresses
from mairust_core.networks import plain_address

_CARRYING = (IPv6Network("64:ff9b::/96"), IPv6Network("::/96"))
"""Of IPv6, with an address of IPv4 in the last 32 bits (RFC 6052, RFC 4291 §2.5.5.1)."""
_OTHERWISE = IPv6Network("64:ff9b:1::/48")
"""With one in a place that its network alone knows (RFC 8215)."""
_HIGHEST_PORT = 65_535
_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9_])?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A host and a port as a plugin names them: a name in lower case without a last dot, or an address."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Target:
        """From `host:port`, an IPv6 address in brackets and without a zone. Raises `ValueError`."""
        given, colon, port = text.lower().rpartition(":")
        host = given.removesuffix(".")
        if not colon or not port.isascii() or not port.isdecimal() or not 0 < int(port) <= _HIGHEST_PORT:
            raise ValueError("not host:port")
        if given.startswith("[") and given.endswith("]"):
            address = None if "%" in given else plain_address(given[1:-1])
            if address is None or ":" not in given:
                raise ValueError("no IPv6 address in its brackets")
            return cls(host=str(address), port=int(port))
        if _NAME.fullmatch(host) is None or ".." in host:
            raise ValueError("no name of a host in host:port")
        address = plain_address(host)
        return cls(host=str(address) if address else host, port=int(port))

    @classmethod
    def of_url(cls, url: str) -> Target:
        """Where an http URL leads. Raises `ValueError`, also for what no endpoint needs."""
        parts = urlsplit(url)
        odd = not url.isascii() or any(char.isspace() or char == "\\" for char in url)
        if odd or parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc or parts.fragment:
            raise ValueError("no http URL")
        port = _PORTS[parts.scheme] if parts.port is None else parts.port
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return cls.parse(f"{host}:{port}")

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine, as far as its text says."""
        address = unwrapped(self.host)
        return self.host == "localhost" if address is None else address.is_loopback

    def is_outside(self, private: Sequence[Addresses]) -> bool:
        """Whether it is public, in one of these networks, or a name, of which only its addresses can say."""
        address = unwrapped(self.host)
        if address is None:
            return self.host != "localhost"
        return is_public(address) or any(address in network for network in private)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What of the network belongs to the site, and what its configuration opens.

    `listeners`: our own, our database and our blob store, asked at each connection; one on this machine takes
    its port on every address of it. `callbacks`: those of them that take callbacks of plugins, and are
    reached for these. `private`: networks that are not public and may be reached all the same.
    """

    listeners: Callable[[], Iterable[tuple[str, int]]] = tuple
    callbacks: Callable[[], Iterable[tuple[str, int]]] = tuple
    private: tuple[Addresses, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What one plugin may reach: its words, its list, and the site it runs on."""

    network: Network
    allow: tuple[str, ...]
    site: Site

    def lists(self, target: Target) -> bool:
        """Whether its approval names this host and port."""
        for text in self.allow:
            try:
                if Target.parse(text) == target:
                    return True
            except ValueError:
                continue
        return False

    def refusal(self, address: str, target: Target, *, is_callback: bool = False) -> str | None:
        """Why this address of a target may not be connected to; None when it may."""
        found = unwrapped(address)
        if found is None:
            return "not an address"
        is_allowed = is_callback and _is_among(self.site.callbacks(), found, target)
        if not is_allowed and _is_among(self.site.listeners(), found, target):
            return "a listener of the site itself"
        if self.network is Network.LOCAL_ONLY:
            return None if found.is_loopback else "not on this machine"
        if self.network is not Network.OUTBOUND_LIMITED:
            return f"out of reach with network = {self.network.value}"
        if found.is_loopback:
            return "not public: it is this machine's loopback"
        if found.is_multicast or found.is_unspecified or found in _OTHERWISE:
            return "no address of one machine"
        if is_public(found) or any(found in one for one in self.site.private):
            return None
        return "not public"


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is an address of the public Internet."""
    return address.is_global and not address.is_multicast and address not in _OTHERWISE


def _is_among(
    listeners: Iterable[tuple[str, int]], address: IPv4Address | IPv6Address, target: Target
) -> bool:
    """Whether one of these answers there.

    One that has a name of which we know no address is at whatever address is not public.
    """
    for host, taken in listeners:
        if taken != target.port:
            continue
        own = unwrapped(host) if host else IPv4Address(0)
        if own is None:
            if host.lower() == target.host or not is_public(address):
                return True
        elif own == address or (is_of_this_machine(own) and is_of_this_machine(address)):
            return True
    return False


def unwrapped(text: str) -> IPv4Address | IPv6Address | None:
    """The address that is really meant: one of IPv4 inside of one of IPv6 is taken out."""
    address = plain_address(text)
    if isinstance(address, IPv6Address):
        if any(address in one for one in _CARRYING) and int(address) > 1:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
        if address.sixtofour is not None:
            return address.sixtofour
        if address.teredo is not None:
            return address.teredo[1]
    return address


def is_of_this_machine(address: IPv4Address | IPv6Address) -> bool:
    """Whether packets to it stay here: only then can a socket be bound to it."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as tried:
        try:
            tried.bind((str(address), 0))
        except OSError:
            return False
    return True
