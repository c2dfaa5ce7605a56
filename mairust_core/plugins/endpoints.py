"""Where a plugin is, and what it may reach: the words of rule H2, judged before anything connects.

A judgement is a catalogue detail that says what is wrong, and the values of its text. Names are resolved,
and their addresses judged again, at each connect; here only what can be read is judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import urlsplit

from mairust_core.model.plugin import Network
from mairust_core.networks import Network as IpNetwork
from mairust_core.sandbox.reach import Target

UNIX = "unix:"


class Fault(NamedTuple):
    """What is wrong: a catalogue detail and the values of its text."""

    detail: str
    values: dict[str, object]


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
        found = target(text)
        if found is None:
            return Fault("plugin_not_a_place", {"value": repr(text[:80])})
        if network is Network.LOCAL_ONLY and not found.is_loopback:
            return Fault("plugin_not_local", {"value": str(found)})
        if network is Network.OUTBOUND_LIMITED and not found.is_outside(private):
            return Fault("plugin_not_public", {"value": str(found)})
    return None


def judge_http(url: str, network: Network, allowed: Iterable[str]) -> Fault | None:
    """What is wrong with the endpoint of an http plugin: it is one of the places its words name."""
    if network in (Network.NONE, Network.UNLIMITED):
        return Fault("plugin_http_network", {"network": network.value})
    try:
        found = Target.of_url(url)
    except ValueError:
        return Fault("plugin_not_http", {"value": repr(url[:120])})
    if urlsplit(url).scheme == "http" and not found.is_loopback:
        return Fault("plugin_plain_http", {"value": str(found)})
    if found not in [target(text) for text in allowed]:
        return Fault("plugin_endpoint_not_allowed", {"value": str(found)})
    return None


def target(text: str) -> Target | None:
    """The `host:port` of a text; None when it is none."""
    with suppress(ValueError):
        return Target.parse(text)
    return None


def judge_unix(endpoint: str, socket_dir: Path) -> Fault | None:
    """What is wrong with the endpoint of a unix plugin: `unix:/PATH` below the one directory for them."""
    values: dict[str, object] = {"value": repr(endpoint[:120]), "directory": str(socket_dir)}
    path = PurePosixPath(endpoint.removeprefix(UNIX))
    if not endpoint.startswith(UNIX) or not path.is_absolute() or ".." in path.parts:
        return Fault("plugin_not_unix", values)
    if path == PurePosixPath(socket_dir) or not path.is_relative_to(socket_dir):
        return Fault("plugin_outside_socket_dir", values)
    return None
