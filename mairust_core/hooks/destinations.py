"""Where an HTTP plugin may be: rule H2 judged on addresses, at every connect (trap H4).

A name is resolved once for each connection, every address it has is judged, and the connection goes to one of
those and no other: what the name means a moment later does not matter.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult

from mairust_core.hooks.transport import CallFailed
from mairust_core.model.plugin import Limits, Network
from mairust_core.networks import Network as IpNetwork
from mairust_core.networks import plain_address

Place = tuple[str, int]
_PORTS = {"http": 80, "https": 443}
_TRANSLATED = tuple(
    ip_network(one) for one in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")
)
"""IPv6 that leads to some IPv4 address, which nobody judged."""


class Misled(OSError):
    """An address that the plugin may not be at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a site says about addresses: private networks its configuration lists, and what is its own.

    `own` gives host and port of our listeners, database and blob store.
    """

    private: Sequence[IpNetwork] = ()
    own: Callable[[], Iterable[Place]] = tuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where the requests of one plugin go."""

    url: str
    host: str
    port: int
    plain: bool
    limits: Limits
    around: Surroundings

    @classmethod
    def of(cls, url: str, limits: Limits, around: Surroundings) -> Destination:
        """The destination of an endpoint; raises `CallFailed` when its limits do not allow it."""
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS[parts.scheme]
        except (ValueError, KeyError):
            raise CallFailed("its endpoint is no http URL") from None
        host = (parts.hostname or "").lower()
        if not host or "@" in parts.netloc:
            raise CallFailed("its endpoint is no http URL")
        if limits.network not in {Network.LOCAL_ONLY, Network.OUTBOUND_LIMITED}:
            raise CallFailed(f"network = {limits.network.value} lets nobody call it")
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if shown not in {one.lower() for one in limits.network_allow}:
            raise CallFailed(f"network_allow does not name {shown}")
        found = cls(url=url, host=host, port=port, plain=parts.scheme == "http", limits=limits, around=around)
        if plain_address(host) is not None:  # nothing will resolve it
            try:
                found.judge(host)
            except Misled as error:
                raise CallFailed(str(error)) from None
        return found

    def judge(self, text: str) -> None:
        """Return when the plugin may be at this address; raises `Misled`."""
        address = plain_address(text)
        if address is None:
            raise Misled("its name leads to no address")
        if address.is_loopback:
            self._judge_loopback(address)
            return
        if self.plain:
            raise Misled("plain http goes to loopback only")
        if self.limits.network is Network.LOCAL_ONLY:
            raise Misled(f"{address} is not this machine's loopback, network = local-only")
        listed = any(address in network for network in self.around.private)
        if not listed and not is_public(address):
            raise Misled(f"{address} is not public and the configuration does not list it")
        self._judge_ours(address)

    def _judge_loopback(self, address: IPv4Address | IPv6Address) -> None:
        if self.limits.network is not Network.LOCAL_ONLY:
            raise Misled(f"{address} is this machine's loopback, which takes network = local-only")
        self._judge_ours(address)

    def _judge_ours(self, address: IPv4Address | IPv6Address) -> None:
        own = list(self.around.own())
        if (self.host, self.port) in own or is_ours(address, self.port, own):
            raise Misled(f"port {self.port} is one of our own")


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is of the public Internet and stands for no other."""
    if address.is_multicast or any(address in one for one in _TRANSLATED if one.version == address.version):
        return False
    return address.is_global


def is_ours(address: IPv4Address | IPv6Address, port: int, own: Iterable[Place]) -> bool:
    """Whether one of our own services answers there: at this address, or at any of this machine's."""
    for host, taken in own:
        if taken != port:
            continue
        listening = plain_address(host)
        if listening == address or ((listening is None or listening.is_unspecified) and _is_local(address)):
            return True
        if listening is not None and listening.is_loopback and address.is_loopback:
            return True
    return False


def _is_local(address: IPv4Address | IPv6Address) -> bool:
    """Whether the address is one of this machine's: only those can be bound."""
    if address.is_loopback:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
    return True


class PinnedResolver(AbstractResolver):
    """Resolves for one destination: every address is judged, and those that were are all that is used."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The judged addresses; raises `Misled` when one of them will not do, `OSError` without any."""
        infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [self._judged(host, info[0], info[4]) for info in infos]

    def _judged(self, host: str, family: int, address: tuple[Any, ...]) -> ResolveResult:
        self._destination.judge(str(address[0]))
        return ResolveResult(
            hostname=host,
            host=str(address[0]),
            port=int(address[1]),
            family=family,
            proto=0,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )

    async def close(self) -> None:
        """Nothing is held."""
