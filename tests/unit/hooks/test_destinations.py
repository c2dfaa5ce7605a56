"""Where an HTTP plugin is: every address of its name is judged (rule H2, trap H4)."""

from __future__ import annotations

import socket

import pytest

from mairust_core.hooks.destinations import Destination, Misled
from mairust_core.model.plugin import Limits, Network
from mairust_core.sandbox.names import Found, Names
from mairust_core.sandbox.reach import Site

PUBLIC, OTHER, METADATA = "93.184.215.14", "93.184.215.15", "169.254.169.254"


def _names(*addresses: str) -> Names:
    """A resolver that finds these."""

    def look_up(_host: str, port: int) -> Found:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    return Names(look_up)


def _destination() -> Destination:
    """A name that its plugin may be at."""
    limits = Limits(network=Network.OUTBOUND_LIMITED, network_allow=("plugin.example:443",))
    return Destination.of("https://plugin.example/", limits, Site())


@pytest.mark.parametrize("addresses", [(PUBLIC, METADATA), (METADATA, PUBLIC)])
async def test_trap_h4_one_address_that_will_not_do_spoils_the_name(addresses: tuple[str, ...]) -> None:
    """Whichever it is: the connection may go to any of them."""
    with pytest.raises(Misled, match=f"{METADATA} is not public"):
        await _destination().addresses(_names(*addresses))


async def test_a_name_may_have_several_addresses() -> None:
    """Each that will do is one to connect to."""
    found = await _destination().addresses(_names(PUBLIC, OTHER))
    assert [one[4][0] for one in found] == [PUBLIC, OTHER]
