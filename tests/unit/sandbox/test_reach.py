"""Which addresses a plugin may be connected to (rule H2, trap H4)."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from mairust_core.model.plugin import Network
from mairust_core.sandbox.reach import Reach, Site, Target

OUTSIDE = "93.184.215.14"
HTTPS = Target(host="plugin.example", port=443)


def _reach(network: Network, *allow: str, site: Site | None = None) -> Reach:
    return Reach(network=network, allow=allow, site=site or Site())


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("example.org:443", "example.org", 443),
        ("EXAMPLE.org.:443", "example.org", 443),
        ("[::1]:80", "::1", 80),
        ("[::ffff:127.0.0.1]:80", "127.0.0.1", 80),
        ("[2001:DB8::0:1]:80", "2001:db8::1", 80),
        ("my_service:8080", "my_service", 8080),
    ],
)
def test_targets_are_written_one_way(text: str, host: str, port: int) -> None:
    """So that two spellings of one thing are equal."""
    assert Target.parse(text) == Target(host=host, port=port)


@pytest.mark.parametrize(
    "text",
    [
        *("example.org", ":80", "example.org:", "a:0", "a:65536", "a:-1", "a:٣", "a:8 0"),
        *("::1:80", "[::1:80", "[fe80::1%eth0]:80", "[a]:80", "[127.0.0.1]:80", "a..b:80"),
        *("-a:80", "a b:80", "é:80"),
    ],
)
def test_other_texts_are_no_targets(text: str) -> None:
    """Each of them is an error."""
    with pytest.raises(ValueError, match=r"host:port|in its brackets"):
        Target.parse(text)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://127.0.0.1/hook?a=b", "127.0.0.1:80"),
        ("https://Plugin.Example.", "plugin.example:443"),
        ("https://[2001:DB8::1]:8443/", "[2001:db8::1]:8443"),
        ("ftp://plugin.example/", None),
        ("http://plugin.example:0/", None),
        ("http://plugin.example:x/", None),
        ("http://a@plugin.example/", None),
        ("http://plugin.example/#part", None),
        ("http://plugin.example\\@evil.example/", None),
        ("http:///", None),
        ("http://[::1", None),
    ],
)
def test_a_url_leads_to_one_target(url: str, target: str | None) -> None:
    """For the manifest, for each connection and for the proxy alike."""
    if target is not None:
        assert str(Target.of_url(url)) == target
        return
    with pytest.raises(ValueError, match=r"URL|port|Port|IPv6"):
        Target.of_url(url)


def test_only_what_is_listed_is_tried() -> None:
    """Host and port both; what the list has wrong opens nothing."""
    reach = _reach(Network.OUTBOUND_LIMITED, "Example.ORG:443", "nonsense")
    assert reach.lists(Target.parse("example.org:443"))
    for other in ("example.org:80", "www.example.org:443", "example.org.evil.test:443"):
        assert not reach.lists(Target.parse(other))


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::"),
        *(
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.169.254",
            "fe80::1",
            "fe80::1%eth0",
        ),
        *("fd00:ec2::254", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:10.0.0.1"),
        *("::127.0.0.1", "::10.0.0.1", "64:ff9b:1::127.0.0.1"),
        *("192.0.2.1", "not an address", "2001:0:0:0:0:0:f5ff:fffe"),
    ],
)
def test_trap_h4_outbound_reaches_public_addresses_only(address: str) -> None:
    """Not one that leads back here or into a network of ours, in whatever form."""
    assert _reach(Network.OUTBOUND_LIMITED).refusal(address, HTTPS) is not None


@pytest.mark.parametrize("address", [OUTSIDE, "2606:4700::1111", f"::ffff:{OUTSIDE}"])
def test_rule_h2_outbound_reaches_the_public(address: str) -> None:
    """And local-only does not."""
    assert _reach(Network.OUTBOUND_LIMITED).refusal(address, HTTPS) is None
    assert _reach(Network.LOCAL_ONLY).refusal(address, HTTPS) == "not on this machine"


def test_rule_h2_configuration_opens_private_networks_but_not_loopback() -> None:
    """What the site lists, and no more."""
    site = Site(private=tuple(map(ip_network, ("10.1.0.0/16", "127.0.0.0/8", "0.0.0.0/8", "224.0.0.0/4"))))
    reach = _reach(Network.OUTBOUND_LIMITED, site=site)
    assert reach.refusal("10.1.2.3", HTTPS) is None
    assert reach.refusal("10.2.2.3", HTTPS) == "not public"
    assert reach.refusal("127.0.0.1", HTTPS) == "not public: it is this machine's loopback"
    for nobody in ("0.0.0.0", "224.0.0.1"):
        assert reach.refusal(nobody, HTTPS) == "no address of one machine"


@pytest.mark.parametrize(
    ("listener", "address", "refused"),
    [
        (("127.0.0.1", 25), "127.0.0.1", True),
        (("127.0.0.1", 25), "::ffff:127.0.0.1", True),
        (("127.0.0.1", 25), "127.0.0.2", True),
        (("127.0.0.1", 25), "::1", True),
        (("", 25), "127.0.0.1", True),
        (("0.0.0.0", 25), "127.0.0.2", True),
        (("::", 25), "127.0.0.1", True),
        (("db.example.org", 25), "127.0.0.1", True),
        (("127.0.0.1", 26), "127.0.0.1", False),
    ],
)
def test_rule_h2_our_own_listeners_are_not_reached(
    listener: tuple[str, int], address: str, refused: bool
) -> None:
    """On no address of this machine; a listener whose address we do not know is none to risk."""
    reach = _reach(Network.LOCAL_ONLY, site=Site(listeners=lambda: [listener]))
    assert (reach.refusal(address, Target(host=address, port=25)) is not None) is refused


@pytest.mark.parametrize(
    ("host", "address", "refused"),
    [
        ("s3.example.org", OUTSIDE, True),
        ("S3.example.org", OUTSIDE, True),
        ("other.example.org", OUTSIDE, False),
        ("other.example.org", "10.1.2.3", True),
    ],
)
def test_rule_h2_a_store_known_by_its_name_only(host: str, address: str, refused: bool) -> None:
    """It is neither reached by that name nor anywhere inside; its port outside stays everybody's."""
    site = Site(listeners=lambda: [("s3.example.org", 443)], private=(ip_network("10.0.0.0/8"),))
    reach = _reach(Network.OUTBOUND_LIMITED, site=site)
    assert (reach.refusal(address, Target.parse(f"{host}:443")) is not None) is refused


@pytest.mark.parametrize("network", [Network.NONE, Network.UNLIMITED])
def test_rule_h2_no_other_word_leads_through_the_judge(network: Network) -> None:
    """What is not limited never asks it."""
    assert _reach(network).refusal(OUTSIDE, HTTPS) == f"out of reach with network = {network.value}"
