"""Domains, locally and over HTTP."""

from __future__ import annotations

from uuid import uuid4

import pytest

from mairust_core.errors import Conflict, Invalid, NotFound
from mairust_core.model.account import Account, NewAccount
from mairust_core.model.domain import Domain, NewDomain
from mairust_core.operations.cursors import Listing
from mairust_core.services.accounts import Accounts
from mairust_core.services.domains import Domains
from tests.contract.services.words import Ops


def test_add_returns_the_folded_domain(ops: Ops) -> None:
    """A domain in capitals is added in lower case and can be shown."""
    label = f"D{uuid4().hex[:12]}"
    added = ops(Domains).add(NewDomain(name=f"{label}.EXAMPLE."))
    assert isinstance(added, Domain)
    assert (added.name, added.accounts) == (f"{label.lower()}.example", 0)
    assert ops(Domains).show(f"{label}.Example") == added


def test_trap_s7_unicode_and_a_labels_are_one_domain(ops: Ops) -> None:
    """An internationalised name is kept in A-labels and found by either form."""
    label = f"ü{uuid4().hex[:10]}"
    added = ops(Domains).add(NewDomain(name=f"{label}.example"))
    assert added.name.startswith("xn--")
    assert ops(Domains).show(f"{label.upper()}.example") == ops(Domains).show(added.name) == added


def test_add_twice_is_a_conflict(ops: Ops, domain: str) -> None:
    """A domain exists once."""
    with pytest.raises(Conflict, match=f"domain {domain} exists already"):
        ops(Domains).add(NewDomain(name=domain))


def test_browse_pages_through_by_name(ops: Ops) -> None:
    """Every domain appears once, in order, whatever the page size."""
    prefix = f"p{uuid4().hex[:12]}"
    names = [ops(Domains).add(NewDomain(name=f"{prefix}-{n}.example")).name for n in range(5)]
    found: list[str] = []
    begin = Listing("domains.browse", {})
    cursor = begin.seal(prefix)
    while len(found) < 5:
        page = ops(Domains).browse(cursor=cursor, limit=2)
        found += [item.name for item in page.items if item.name.startswith(prefix)]
        cursor = page.next_cursor or begin.seal("~")
    assert found == names


@pytest.mark.parametrize("limit", [0, -1, 501])
def test_browse_refuses_a_limit_out_of_range(ops: Ops, limit: int) -> None:
    """The page size is 1 to 500."""
    with pytest.raises(Invalid, match=r"outside 1\.\.500"):
        ops(Domains).browse(limit=limit)


def test_remove_takes_an_empty_domain_away(ops: Ops, domain: str) -> None:
    """A removed domain is not found, nor removed again."""
    removed = ops(Domains).remove(domain.upper())
    assert (removed.name, removed.removed) == (domain, True)
    with pytest.raises(NotFound):
        ops(Domains).show(domain)
    with pytest.raises(NotFound):
        ops(Domains).remove(domain)


def test_remove_refuses_while_accounts_are_there(ops: Ops, domain: str, ann: Account) -> None:
    """Nobody's mail goes away by removing a domain."""
    with pytest.raises(Conflict, match="still holds"):
        ops(Domains).remove(domain)
    assert ops(Domains).show(domain).accounts == 1


def test_the_number_of_accounts_follows(ops: Ops, domain: str) -> None:
    """`accounts` counts those that are there."""
    for name in ("a", "b"):
        ops(Accounts).add(NewAccount(address=f"{name}@{domain}"))
    ops(Accounts).remove(f"a@{domain}")
    assert ops(Domains).show(domain).accounts == 1
