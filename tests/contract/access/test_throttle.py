"""Failed log-ins, counted in the database (trap A4, rule J2), with clocks that the test moves."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from mairust_core.access.throttle import PER_ADDRESS, PER_SUBJECT, Throttle
from mairust_core.app import Site
from mairust_core.errors import TooMany
from mairust_core.networks import Network, plain_address
from mairust_core.store import failures

IP = "192.0.2.7"
NOW = 1_800_000_000_000


class Clock:
    """Milliseconds that stand still until they are moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The time of all throttles of a test."""
    return Clock()


def tries(throttle: Throttle, ip: str | None, subject: str | None, most: int = 100) -> int:
    """How many failures are counted before the next one is sent away."""
    weights = throttle.weights(ip, subject)
    for count in range(most):
        with throttle._storage.read() as tx:
            try:
                throttle.require(tx, weights)
            except TooMany:
                return count
        throttle.count(weights)
    return most


def test_trap_a4_failures_of_one_account_are_throttled_wherever_they_come_from(
    site: Site, clock: Clock
) -> None:
    """So many at once, then one more after each pause."""
    throttle = Throttle(site.storage, clock=clock)
    assert tries(throttle, None, "account:a") == PER_SUBJECT.at_once
    assert tries(throttle, "198.51.100.1", "account:a") == 0
    clock.now += PER_SUBJECT.pause_ms
    assert tries(throttle, "198.51.100.2", "account:a") == 1
    assert tries(throttle, "198.51.100.3", "account:b") == PER_SUBJECT.at_once


def test_trap_a4_failures_of_one_address_are_throttled_whoever_they_aim_at(site: Site, clock: Clock) -> None:
    """One address has its own number of tries, over all subjects."""
    throttle = Throttle(site.storage, clock=clock)
    counted = 0
    for number in range(100):
        done = tries(throttle, IP, f"account:{number}", most=1)
        counted += done
        if not done:
            break
    assert counted == PER_ADDRESS.at_once
    assert tries(throttle, "192.0.2.8", "account:new", most=1) == 1


def test_trap_a4_every_process_counts_together(site: Site, clock: Clock) -> None:
    """What one has seen the other knows."""
    one, other = (Throttle(site.storage, clock=clock) for _ in range(2))
    assert tries(one, None, "key:a", most=6) == 6
    assert tries(other, None, "key:a") == PER_SUBJECT.at_once - 6
    assert tries(one, None, "key:a") == 0


def test_everything_is_forgiven_in_time_and_then_collected(site: Site, clock: Clock) -> None:
    """The whole number of tries is there again, and nothing stays in the table."""
    throttle = Throttle(site.storage, clock=clock)
    assert tries(throttle, IP, "account:a") == PER_SUBJECT.at_once
    with site.storage.write() as tx:
        assert failures.expire(tx, clock.now, 100) == 0
    clock.now += PER_SUBJECT.pause_ms * PER_SUBJECT.at_once
    assert tries(throttle, "192.0.2.9", "account:a") == PER_SUBJECT.at_once
    clock.now += PER_SUBJECT.pause_ms * PER_SUBJECT.at_once
    with site.storage.write() as tx:
        assert failures.expire(tx, clock.now, 100) == 3


@pytest.mark.parametrize("jump_ms", [-86_400_000 * 365, -3_600_000, -1])
def test_a_clock_that_goes_back_locks_nobody_out_for_long(site: Site, clock: Clock, jump_ms: int) -> None:
    """However far it jumps, a try is free again after one pause, and is what it was before."""
    throttle = Throttle(site.storage, clock=clock)
    tries(throttle, None, "account:a")
    clock.now += jump_ms
    weights = throttle.weights(None, "account:a")
    with site.storage.read() as tx, pytest.raises(TooMany) as refused:
        throttle.require(tx, weights)
    assert refused.value.values["retry_after_s"] == PER_SUBJECT.pause_ms // 1000
    clock.now += PER_SUBJECT.pause_ms + 1
    assert tries(throttle, None, "account:a") == 1
    clock.now += PER_SUBJECT.pause_ms
    assert tries(throttle, None, "account:a") == 1


def test_a_clock_that_goes_back_locks_no_address_out_for_long(site: Site, clock: Clock) -> None:
    """What this process remembers of it is no truer than the row."""
    throttle = Throttle(site.storage, clock=clock)
    for number in range(PER_ADDRESS.at_once + 1):
        tries(throttle, IP, f"account:{number}", most=1)
    clock.now -= 86_400_000
    throttle.require_address(IP)
    assert tries(throttle, IP, "account:new") == 0
    with pytest.raises(TooMany):
        throttle.require_address(IP)
    clock.now += PER_ADDRESS.pause_ms
    throttle.require_address(IP)
    assert tries(throttle, IP, "account:new") == 1


def test_the_answer_says_how_long_to_wait(site: Site, clock: Clock) -> None:
    """In whole seconds, until the next try."""
    throttle = Throttle(site.storage, clock=clock)
    weights = throttle.weights(None, "account:a")
    for _ in range(PER_SUBJECT.at_once):
        throttle.count(weights)
    clock.now += PER_SUBJECT.pause_ms - 1500
    with site.storage.read() as tx, pytest.raises(TooMany) as refused:
        throttle.require(tx, weights)
    assert refused.value.values["retry_after_s"] == 2
    clock.now += 1500
    with site.storage.read() as tx:
        throttle.require(tx, weights)


def test_an_address_out_of_tries_is_remembered_without_a_look(site: Site, clock: Clock) -> None:
    """This process needs no database to refuse it, until its next try."""
    throttle = Throttle(site.storage, clock=clock)
    throttle.require_address(IP)
    for number in range(PER_ADDRESS.at_once + 1):
        tries(throttle, IP, f"account:{number}", most=1)
    with pytest.raises(TooMany):
        throttle.require_address(IP)
    throttle.require_address("192.0.2.8")
    clock.now += PER_ADDRESS.pause_ms
    throttle.require_address(IP)


@pytest.mark.parametrize(
    "ip",
    [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "::ffff:127.0.0.1",
        None,
        "",
        "/run/x.sock",
        "10.1.2.3",
        "2001:db8:1::9",
    ],
)
def test_rule_j2_addresses_of_this_machine_and_of_trusted_networks_are_not_counted(
    site: Site, clock: Clock, ip: str | None
) -> None:
    """A proxy in front must not be locked out with all its clients."""
    throttle = Throttle(site.storage, networks("10.0.0.0/8", "2001:db8:1::/48"), clock)
    assert [one.subject for one in throttle.weights(ip, "account:a")] == ["to:account:a"]
    assert throttle.weights(ip, None) == []


def networks(*texts: str) -> tuple[Network, ...]:
    """Networks as the settings hold them."""
    return tuple(map(ip_network, texts))


def test_an_ipv6_client_is_its_network(site: Site, clock: Clock) -> None:
    """Who has one address of a /64 has all of them; IPv4 in IPv6 is IPv4."""
    throttle = Throttle(site.storage, clock=clock)
    subjects = {
        throttle.weights(ip, None)[0].subject
        for ip in ("2001:db8::1", "2001:db8::ffff:2", "2001:db8::1%eth0")
    }
    assert subjects == {"from:2001:db8::/64"}
    assert throttle.weights("::ffff:192.0.2.7", None) == throttle.weights("192.0.2.7", None)
    assert plain_address("no address") is None


@pytest.mark.parametrize("subject", ["account:" + "x" * 5000, "key:\ud800", "key:a\nb", "account:\x00"])
def test_a_subject_that_no_row_could_hold_is_counted_too(site: Site, clock: Clock, subject: str) -> None:
    """Long ones and those with control characters become a hash."""
    throttle = Throttle(site.storage, clock=clock)
    assert tries(throttle, None, subject) == PER_SUBJECT.at_once
    assert len(throttle.weights(None, subject)[0].subject) < 100
