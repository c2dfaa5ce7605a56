"""From an address to accounts, on both databases (rules A3, J4; trap S7)."""

from __future__ import annotations

import pytest

from mairust_core import store
from mairust_core.errors import Conflict, Invalid, NotFound
from mairust_core.model.address import Address
from mairust_core.model.alias import MAX_DEPTH
from mairust_core.store import addressing
from mairust_core.store.addressing import Resolved
from tests.support.stores import ADMIN, Kit


def resolve(kit: Kit, address: str) -> Resolved:
    """Where mail for an address goes."""
    with kit.storage.read() as tx:
        return addressing.resolve(tx, Address.parse(address))


def accounts_of(kit: Kit, address: str) -> tuple[int, ...]:
    """The accounts that mail for an address reaches."""
    return resolve(kit, address).accounts


@pytest.mark.parametrize(
    "spelling",
    ["ann@example.org", "ANN@EXAMPLE.ORG", "Ann@Example.Org.", '"ann"@example.org', "ａｎｎ@example.org"],
)
def test_trap_s7_case_width_quotes_and_the_root_dot_do_not_matter(kit: Kit, spelling: str) -> None:
    """Every spelling of an address reaches its account."""
    kit.domain()
    ann = kit.account("Ann@example.org")
    assert accounts_of(kit, spelling) == (ann,)


@pytest.mark.parametrize(
    "spelling", ["ann@bücher.example", "ann@BÜCHER.example", "ann@xn--bcher-kva.example"]
)
def test_trap_s7_a_domain_is_the_same_in_unicode_and_in_a_labels(kit: Kit, spelling: str) -> None:
    """IDN domains compare by their A-labels."""
    kit.domain("xn--bcher-kva.example")
    ann = kit.account("ann@xn--bcher-kva.example")
    assert accounts_of(kit, spelling) == (ann,)


def test_trap_s7_a_local_part_beyond_ascii_folds(kit: Kit) -> None:
    """SMTPUTF8 local parts match in any case, and keep the case they were given."""
    kit.domain()
    made = kit.account("Jürgen@example.org")
    assert accounts_of(kit, "JÜRGEN@example.org") == (made,)
    with kit.storage.read() as tx:
        assert store.accounts.get(tx, ADMIN, "jürgen@example.org").address == "Jürgen@example.org"


def test_rule_a3_accounts_and_aliases_share_one_table(kit: Kit) -> None:
    """An address that is an account cannot become an alias in any spelling, nor the other way round."""
    kit.domain()
    kit.account("ann@example.org")
    kit.alias("sales@example.org", "ann@example.org")
    with pytest.raises(Conflict):
        kit.alias("ANN@example.org", "ann@example.org")
    with pytest.raises(Conflict):
        kit.account("Sales@Example.org")
    with pytest.raises(Conflict):
        kit.account("ann@EXAMPLE.org")


def test_an_unknown_domain_and_an_unknown_user_differ(kit: Kit) -> None:
    """The caller can tell relaying from a wrong address."""
    kit.domain()
    assert not resolve(kit, "ann@elsewhere.example").known_domain
    found = resolve(kit, "ann@example.org")
    assert (found.known_domain, found.accounts, found.leads_somewhere) == (True, (), False)


def test_rule_j4_detail_resolves_to_the_user_unless_it_is_an_address_of_its_own(kit: Kit) -> None:
    """user+detail reaches user; an alias for the very address wins."""
    kit.domain()
    ann, bob = kit.account("ann@example.org"), kit.account("bob@example.org")
    kit.alias("ann+news@example.org", "bob@example.org")
    assert accounts_of(kit, "ann+shop@example.org") == (ann,)
    assert accounts_of(kit, "ann+news@example.org") == (bob,)
    assert accounts_of(kit, "ANN+a+b@example.org") == (ann,)


def test_a_catch_all_takes_what_nothing_else_does(kit: Kit) -> None:
    """Known addresses and details come before it; it is for its domain only."""
    kit.domain()
    kit.domain("other.example")
    ann, bob = kit.account("ann@example.org"), kit.account("bob@example.org")
    kit.alias("*@example.org", "bob@example.org")
    assert accounts_of(kit, "whoever@example.org") == (bob,)
    assert accounts_of(kit, "ann+x@example.org") == (ann,)
    assert accounts_of(kit, "whoever@other.example") == ()


def test_a_removed_address_falls_to_the_catch_all(kit: Kit) -> None:
    """Removal frees the address at once."""
    kit.domain()
    kit.account("ann@example.org")
    bob = kit.account("bob@example.org")
    kit.alias("*@example.org", "bob@example.org")
    with kit.storage.write() as tx:
        store.accounts.remove(tx, ADMIN, "ann@example.org")
    assert accounts_of(kit, "ann@example.org") == (bob,)


def test_an_alias_reaches_each_account_once_in_id_order(kit: Kit) -> None:
    """Several ways to one account are one copy (rule E1)."""
    kit.domain()
    ann, bob = kit.account("ann@example.org"), kit.account("bob@example.org")
    kit.alias("one@example.org", "bob@example.org", "ann@example.org", "ann+x@example.org")
    kit.alias("two@example.org", "one@example.org", "ann@example.org")
    assert accounts_of(kit, "two@example.org") == tuple(sorted((ann, bob)))


def test_rule_j4_aliases_lead_ten_steps_far_and_no_further(kit: Kit) -> None:
    """A chain of MAX_DEPTH aliases reaches its account, one more does not."""
    kit.domain()
    ann = kit.account("ann@example.org")
    before = "ann@example.org"
    for step in range(MAX_DEPTH):
        kit.alias(f"step{step}@example.org", before)
        before = f"step{step}@example.org"
    assert accounts_of(kit, before) == (ann,)
    with pytest.raises(Invalid):
        kit.alias("toofar@example.org", before)


def test_rule_j4_a_chain_is_not_lengthened_from_below_either(kit: Kit) -> None:
    """An alias put in the place of a catch-all may make those above it too long: then it is refused."""
    kit.domain()
    kit.account("ann@example.org")
    kit.alias("*@example.org", "ann@example.org")
    for step in range(1, MAX_DEPTH):
        kit.alias(f"step{step}@example.org", f"step{step + 1}@example.org")
    with pytest.raises(Invalid, match=r"step1@example\.org would lead over more than"):
        kit.alias(f"step{MAX_DEPTH}@example.org", "anybody@example.org")
    assert not resolve(kit, "step1@example.org").cut_short


def test_trap_s6_a_walk_that_a_limit_ended_is_told(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """More accounts than are followed are never reached in part."""
    kit.domain()
    monkeypatch.setattr(addressing, "MAX_ACCOUNTS", 2)
    names = [f"user{number}@example.org" for number in range(3)]
    for name in names:
        kit.account(name)
    kit.alias("two@example.org", *names[:2])
    assert not resolve(kit, "two@example.org").cut_short
    with pytest.raises(Invalid):
        kit.alias("three@example.org", *names)


def test_rule_j4_a_circle_of_aliases_ends(kit: Kit) -> None:
    """Aliases that a later change bent into a circle reach whoever hangs on it, and nobody is left out."""
    kit.domain()
    ann = kit.account("ann@example.org")
    kit.alias("a@example.org", "ann@example.org")
    kit.alias("b@example.org", "a@example.org")
    kit.run(
        "INSERT INTO alias_target (address_id, position, tenant_id, target, target_folded)"
        " SELECT id, 1, 1, ?, ? FROM address WHERE folded = ?",
        "b@example.org", "b@example.org", "a@example.org",
    )  # fmt: skip
    found = resolve(kit, "b@example.org")
    assert (found.accounts, found.cut_short) == ((ann,), False)


def test_rule_j4_an_alias_to_nowhere_or_to_a_stranger_is_refused(kit: Kit) -> None:
    """Outbound mail does not exist yet, and a circle of one leads nowhere."""
    kit.domain()
    for target in ("ann@elsewhere.example", "nobody@example.org", "self@example.org"):
        with pytest.raises(Invalid):
            kit.alias("self@example.org", target)


def test_rule_j4_postmaster_always_exists(kit: Kit) -> None:
    """Undefined it is an administrator of the domain, then anybody there, then somebody of the site."""
    kit.domain()
    kit.domain("other.example")
    kit.domain("empty.example")
    first = kit.account("first@example.org")
    admin = kit.account("admin@example.org", admin=True)
    other = kit.account("only@other.example")
    assert accounts_of(kit, "PostMaster@example.org") == (admin,)
    assert accounts_of(kit, "postmaster@other.example") == (other,)
    assert accounts_of(kit, "postmaster+x@empty.example") == (admin,)
    kit.alias("postmaster@example.org", "first@example.org")
    assert accounts_of(kit, "postmaster@example.org") == (first,)


def test_rule_j4_a_postmaster_that_leads_nowhere_is_replaced(kit: Kit) -> None:
    """Its account is disabled: somebody else still hears of the fault."""
    kit.domain()
    kit.account("postmaster@example.org")
    ann = kit.account("ann@example.org")
    with kit.storage.write() as tx:
        store.accounts.set_enabled(tx, ADMIN, "postmaster@example.org", False)
    assert accounts_of(kit, "postmaster@example.org") == (ann,)


def test_disabled_and_full_accounts_are_told_apart(kit: Kit) -> None:
    """A full one may have room later; a disabled one takes nothing."""
    kit.domain()
    kit.account("off@example.org")
    full = kit.account("full@example.org", quota_bytes=0)
    ann = kit.account("ann@example.org")
    kit.alias("all@example.org", "off@example.org", "full@example.org", "ann@example.org")
    with kit.storage.write() as tx:
        store.accounts.set_enabled(tx, ADMIN, "off@example.org", False)
    found = resolve(kit, "all@example.org")
    assert (found.accounts, found.full) == ((ann,), (full,))
    assert not resolve(kit, "off@example.org").leads_somewhere


def test_a_domain_is_removed_only_when_nothing_is_in_it(kit: Kit) -> None:
    """Addresses and accounts still to be purged keep it."""
    kit.domain()
    kit.account("ann@example.org")
    for _ in range(2):
        with pytest.raises(Conflict), kit.storage.write() as tx:
            store.domains.remove(tx, ADMIN, "example.org")
        with kit.storage.write() as tx:
            if store.accounts.page(tx, ADMIN, "", 10, None):
                store.accounts.remove(tx, ADMIN, "ann@example.org")
    kit.run("DELETE FROM mailbox")
    kit.run("DELETE FROM account")
    with kit.storage.write() as tx:
        store.domains.remove(tx, ADMIN, "example.org")
    with pytest.raises(NotFound), kit.storage.read() as tx:
        store.domains.get(tx, ADMIN, "example.org")
