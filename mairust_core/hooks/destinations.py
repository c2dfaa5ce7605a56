"""Where an HTTP plugin is: read from its endpoint, judged at every connect (rule H2, trap H4).

A name is resolved once for each connection, every address it has is judged (`sandbox.reach`), and the
connection goes to one of those and no other: what the name means a moment later does not matter.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from mairust_core.hooks.transport import CallFailed
from mairust_core.model.plugin import Limits, Network
from mairust_core.networks import plain_address
from mairust_core.sandbox.names import Found, Names
from mairust_core.sandbox.reach import Reach, Site, Target, unwrapped

_AS_THEY_ARE = "/?:@!$&'()*+,;=-._~%"
"""Octets of a path or query that mean what they mean only unquoted (RFC 3986 §3.3)."""


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

    async def addresses(self, names: Names) -> Found:
        """Where it is now, as `socket.getaddrinfo` gives it: every address was judged, and no other is used.

        Raises `Misled` when one of them will not do, `socket.gaierror` without any.
        """
        try:
            found = await names.find(self.target.host, self.target.port)
        except OSError as error:
            raise socket.gaierror(error.errno, "not found") from error
        for info in found:
            self.judge(str(info[4][0]))
        return found

    @property
    def place(self) -> str:
        """What the field `Host` says (RFC 9110 §7.2)."""
        usual = 80 if self.plain else 443
        return str(self.target).removesuffix(f":{usual}") if self.target.port == usual else str(self.target)

    @property
    def request_target(self) -> str:
        """Path and query as they are sent (RFC 9112 §3.2.1)."""
        parts = urlsplit(self.url)
        path = quote(parts.path, safe=_AS_THEY_ARE) or "/"
        return f"{path}?{quote(parts.query, safe=_AS_THEY_ARE)}" if parts.query else path
