"""`site.verify_password`: one answer and one amount of work for whatever is wrong (trap A4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import argon2
import pytest
from sqlalchemy import select, update

from mairust_core.access.passwords import SCOPES
from mairust_core.access.throttle import PER_SUBJECT
from mairust_core.app import Site
from mairust_core.errors import MaiRustError, TooMany, Unauthenticated
from mairust_core.model.account import NewAccount
from mairust_core.model.alias import NewAlias
from mairust_core.model.domain import NewDomain
from mairust_core.model.principal import Principal, ReachKind
from mairust_core.services.accounts import Accounts
from mairust_core.services.aliases import Aliases
from mairust_core.services.domains import Domains
from mairust_core.store.tables import account

BY = Principal.local("tester")
GOOD = "correct horse"


CHEAP: dict[str, Any] = {"time_cost": 1, "memory_cost": 64, "parallelism": 1}


@pytest.fixture
def house(site: Site) -> Site:
    """A site with Ann, Bob without a password, Carol who is disabled, and an alias; its time stands still.

    Its hashes are cheap, so that a hundred log-ins take no minute.
    """
    passwords = site._passwords
    passwords._hasher = argon2.PasswordHasher(**CHEAP)
    passwords._nobody = passwords.hash("nobody's")
    site.throttle._clock = lambda: 1_800_000_000_000
    site.service(Domains, BY).add(NewDomain(name="example.org"))
    accounts = site.service(Accounts, BY)
    accounts.add(NewAccount(address="Ann@example.org", password=GOOD))
    accounts.add(NewAccount(address="bob@example.org"))
    accounts.add(NewAccount(address="carol@example.org", password=GOOD))
    accounts.disable("carol@example.org")
    accounts.add(NewAccount(address="dora@example.org", password=GOOD))
    accounts.remove("dora@example.org")
    site.service(Aliases, BY).add(NewAlias(address="sales@example.org", to=("ann@example.org",)))
    return site


WRONG = [
    ("ann@example.org", "wrong horse"),
    ("ann@example.org", ""),
    ("ann@example.org", GOOD + "\0"),
    ("ann@example.org", "\ud800"),
    ("ann@example.org", GOOD * 1000),
    ("bob@example.org", GOOD),
    ("carol@example.org", GOOD),
    ("dora@example.org", GOOD),
    ("sales@example.org", GOOD),
    ("nobody@example.org", GOOD),
    ("ann+x@example.org", GOOD),
    ("ann@elsewhere.example", GOOD),
    ("ann", GOOD),
    ("", GOOD),
    ("ann@example.org' OR 1=1 --", GOOD),
    ("*@example.org", GOOD),
]


@pytest.mark.parametrize("address", ["ann@example.org", "ANN@Example.ORG", "Ann@example.org"])
def test_a_right_password_gives_the_account_and_no_more(house: Site, address: str) -> None:
    """Its reach is that account, whatever the account may be; it never administers."""
    by = house.verify_password(address, GOOD, "192.0.2.1")
    assert (by.name, by.scopes, by.reach.kind) == ("account:Ann@example.org", SCOPES, ReachKind.ACCOUNT)
    assert by.reach.id == house.service(Accounts, BY).show(address).id


def refused(site: Site, address: str, password: str, ip: str | None = None) -> MaiRustError:
    """The error of a log-in that fails."""
    with pytest.raises(MaiRustError) as raised:
        site.verify_password(address, password, ip)
    return raised.value


def test_trap_a4_whatever_is_wrong_gets_the_same_answer(house: Site) -> None:
    """Unknown, wrong, without a password, disabled, removed, an alias, no address at all."""
    errors = [refused(house, *wrong) for wrong in WRONG]
    assert {type(error) for error in errors} == {Unauthenticated}
    assert len({str(error) for error in errors}) == 1
    assert {error.reply.code for error in errors} == {535}


class Counted(argon2.PasswordHasher):
    """Counts the computations, and with which parameters."""

    def __init__(self) -> None:
        super().__init__(**CHEAP)
        self.parameters: list[argon2.Parameters] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        """One computation."""
        self.parameters.append(argon2.extract_parameters(hash if isinstance(hash, str) else hash.decode()))
        return super().verify(hash, password)


@pytest.fixture
def counted(house: Site) -> Iterator[Counted]:
    """The hasher that the site verifies with, counting."""
    passwords = house._passwords
    own, passwords._hasher = passwords._hasher, Counted()
    yield passwords._hasher
    passwords._hasher = own


def test_trap_a4_whatever_is_wrong_costs_the_same_work(house: Site, counted: Counted) -> None:
    """One computation with the same parameters: the time tells nothing, on whatever machine."""
    for address, password in WRONG:
        before = len(counted.parameters)
        refused(house, address, password)
        assert len(counted.parameters) == before + 1, address
    assert len(set(map(repr, counted.parameters))) == 1


def test_trap_a4_too_many_wrong_passwords_close_the_account_for_a_while(
    house: Site, counted: Counted
) -> None:
    """Also to the right one, alike for accounts that are not there; what is refused costs no work."""
    for address in ("ann@example.org", "nobody@example.org"):
        answers = [refused(house, address, "wrong horse") for _ in range(PER_SUBJECT.at_once)]
        assert {type(answer) for answer in answers} == {Unauthenticated}
        work = len(counted.parameters)
        assert isinstance(refused(house, address, GOOD), TooMany)
        assert len(counted.parameters) == work
    other = refused(house, "bob@example.org", GOOD)
    assert isinstance(other, Unauthenticated)


def test_trap_a4_too_many_accounts_tried_close_the_address(house: Site) -> None:
    """Others still get in, and so does the same account from elsewhere."""
    answers = [refused(house, f"user{number}@example.org", GOOD, "192.0.2.66") for number in range(21)]
    assert [type(answer) for answer in answers] == [Unauthenticated] * 20 + [TooMany]
    assert isinstance(refused(house, "ann@example.org", GOOD, "192.0.2.66"), TooMany)
    assert house.verify_password("ann@example.org", GOOD, "192.0.2.67")
    assert house.verify_password("ann@example.org", GOOD, None)


def test_a_weak_hash_is_renewed_by_a_right_password(house: Site) -> None:
    """It opens as before, with today's parameters from then on; a wrong password changes nothing."""
    house._passwords._hasher = argon2.PasswordHasher(time_cost=2, memory_cost=64, parallelism=1)
    weak = argon2.PasswordHasher(**CHEAP).hash(GOOD)
    ours = account.c.address == "Ann@example.org"
    with house.storage.write() as tx:
        tx.execute(update(account).where(ours).values(password_hash=weak))
    refused(house, "ann@example.org", "wrong horse")
    assert stored(house) == weak
    house.verify_password("ann@example.org", GOOD)
    renewed = stored(house)
    assert renewed != weak
    house.verify_password("ann@example.org", GOOD)
    assert stored(house) == renewed


def stored(site: Site) -> str:
    """Ann's hash."""
    query = select(account.c.password_hash).where(account.c.address == "Ann@example.org")
    with site.storage.read() as tx:
        return str(tx.execute(query).scalar_one())


def test_a_hash_that_is_none_opens_to_nobody(house: Site) -> None:
    """Whatever stands in the row."""
    ours = account.c.address == "Ann@example.org"
    for broken in ("", "plain:" + GOOD, "$argon2id$broken"):
        with house.storage.write() as tx:
            tx.execute(update(account).where(ours).values(password_hash=broken))
        assert isinstance(refused(house, "ann@example.org", GOOD), Unauthenticated)


def test_a_site_hashes_as_rfc_9106_recommends(site: Site) -> None:
    """argon2id with the parameters of its second choice, or stronger (RFC 9106 §4)."""
    found = argon2.extract_parameters(site.hash_password(GOOD))
    assert found.type is argon2.Type.ID
    assert (found.memory_cost, found.salt_len, found.hash_len) >= (65536, 16, 32)
    assert found.time_cost >= 3
    assert site._passwords._nobody.rpartition("$")[0].rpartition("$")[0] in site.hash_password("x" * 12)
