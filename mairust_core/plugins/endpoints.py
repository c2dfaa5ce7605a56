"""Where a plugin is, and what it may reach: the words of rule H2, judged before anything connects.

A judgement is a catalogue detail that says what is wrong, and the values of its text. Names are resolved,
and their addresses judged again, at each connect; here only what can be read is judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import urlsplit

from mairust_core.model.plugin import Network
from mairust_core.networks import Network as IpNetwork
from mairust_core.networks import plain_address
from mairust_core.sandbox.reach import is_public, unwrapped

UNIX = "unix:"
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_PORTS = {"http": 80, "https": 443}


class Fault(NamedTuple):
    """What is wrong: a catalogue detail and the values of its text."""

    detail: str
    values: dict[str, object]


class Place(NamedTuple):
    """A host and port, the host in lower case and without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine, as far as its text says."""
        address = unwrapped(self.host)
        return self.host == "localhost" if address is None else address.is_loopback

    def is_in(self, private: Sequence[IpNetwork]) -> bool:
        """Whether it is public, in one of these networks, or a name, of which only its addresses can say."""
        address = unwrapped(self.host)
        if address is None:
            return self.host != "localhost"
        return is_public(address) or any(address in network for network in private)


def place(text: str) -> Place | None:
    """The `host:port` of a text, IPv6 addresses in brackets; None when it is none."""
    host, colon, port = text.lower().rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not port.isascii() or not port.isdigit() or not 0 < int(port) < 1 << 16:
        return None
    if bare != host or ":" in bare:
        known = bare != host and plain_address(bare) is not None and "%" not in bare
    else:
        known = _HOST.fullmatch(bare) is not None and ".." not in bare
    return Place(bare, int(port)) if known else None


def judge_network(
    network: Network, allowed: Iterable[str], private: Sequence[IpNetwork] = ()
) -> Fault | None:
    """What is wrong with a word and its list of places.

    `private` are networks that the site's configuration lets plugins reach although they are not public.
    """
    wanted = tuple(allowed)
    if network in (Network.NONE, Network.UNLIMITED):
        return Fault("plugin_needs_no_places", {"network": network.value}) if wanted else None
    if not wanted:
        return Fault("plugin_no_places", {"network": network.value})
    for text in wanted:
        found = place(text)
        if found is None:
            return Fault("plugin_not_a_place", {"value": repr(text[:80])})
        if network is Network.LOCAL_ONLY and not found.is_loopback:
            return Fault("plugin_not_local", {"value": str(found)})
        if network is Network.OUTBOUND_LIMITED and not found.is_in(private):
            return Fault("plugin_not_public", {"value": str(found)})
    return None


def judge_http(url: str, network: Network, allowed: Iterable[str]) -> Fault | None:
    """What is wrong with the endpoint of an http plugin: it is one of the places its words name."""
    if network in (Network.NONE, Network.UNLIMITED):
        return Fault("plugin_http_network", {"network": network.value})
    found = _place_of(url)
    if found is None:
        return Fault("plugin_not_http", {"value": repr(url[:120])})
    if urlsplit(url).scheme == "http" and not found.is_loopback:
        return Fault("plugin_plain_http", {"value": str(found)})
    if found not in [place(text) for text in allowed]:
        return Fault("plugin_endpoint_not_allowed", {"value": str(found)})
    return None


def _place_of(url: str) -> Place | None:
    """Where an http URL leads; None for one without a host, or with what no endpoint needs."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc or parts.fragment:
        return None
    if not url.isascii() or any(char.isspace() or char == "\\" for char in url):
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return place(f"{host}:{_PORTS[parts.scheme] if port is None else port}")


def judge_unix(endpoint: str, socket_dir: Path) -> Fault | None:
    """What is wrong with the endpoint of a unix plugin: `unix:/PATH` below the one directory for them."""
    values: dict[str, object] = {"value": repr(endpoint[:120]), "directory": str(socket_dir)}
    path = PurePosixPath(endpoint.removeprefix(UNIX))
    if not endpoint.startswith(UNIX) or not path.is_absolute() or ".." in path.parts:
        return Fault("plugin_not_unix", values)
    if path == PurePosixPath(socket_dir) or not path.is_relative_to(socket_dir):
        return Fault("plugin_outside_socket_dir", values)
    return None
