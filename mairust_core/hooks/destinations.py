"""Where an HTTP plugin is: read from its endpoint, judged at every connect (rule H2, trap H4).

A name is resolved once for each connection, every address it has is judged (`sandbox.reach`), and the
connection goes to one of those and no other: what the name means a moment later does not matter.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult

from mairust_core.hooks.transport import CallFailed
from mairust_core.model.plugin import Limits, Network
from mairust_core.networks import plain_address
from mairust_core.sandbox.names import Names
from mairust_core.sandbox.reach import Reach, Site, Target, unwrapped


class Misled(OSError):
    """An address that the plugin may not be at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where the requests of one plugin go."""

    url: str
    target: Target
    plain: bool
    reach: Reach

    @classmethod
    def of(cls, url: str, limits: Limits, site: Site) -> Destination:
        """The destination of an endpoint; raises `CallFailed` when its limits do not allow it."""
        try:
            target = Target.of_url(url)
        except ValueError:
            raise CallFailed("its endpoint is no http URL") from None
        if limits.network not in {Network.LOCAL_ONLY, Network.OUTBOUND_LIMITED}:
            raise CallFailed(f"network = {limits.network.value} lets nobody call it")
        reach = Reach(network=limits.network, allow=limits.network_allow, site=site)
        if not reach.lists(target):
            raise CallFailed(f"network_allow does not name {target}")
        found = cls(url=url, target=target, plain=urlsplit(url).scheme == "http", reach=reach)
        if plain_address(target.host) is not None:  # nothing will resolve it
            try:
                found.judge(target.host)
            except Misled as error:
                raise CallFailed(str(error)) from None
        return found

    def judge(self, text: str) -> None:
        """Return when the plugin may be at this address; raises `Misled`."""
        address = unwrapped(text)
        if self.plain and (address is None or not address.is_loopback):
            raise Misled("plain http goes to loopback only")
        if (refusal := self.reach.refusal(text, self.target)) is not None:
            raise Misled(f"{text} is {refusal}")


class PinnedResolver(AbstractResolver):
    """Resolves for one destination: every address is judged, and those that were are all that is used."""

    def __init__(self, destination: Destination, names: Names) -> None:
        self._destination = destination
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The judged addresses; raises `Misled` when one of them will not do, `OSError` without any."""
        return [self._judged(host, info[0], info[4]) for info in await self._names.find(host, port)]

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
