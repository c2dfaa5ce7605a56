"""Aliases, locally and over HTTP."""

from __future__ import annotations

import pytest

from mairust_core.errors import Conflict, Invalid, NotFound
from mairust_core.model.account import Account
from mairust_core.model.alias import NewAlias
from mairust_core.operations.cursors import Listing
from mairust_core.services.aliases import Aliases
from tests.contract.services.words import Ops


def test_add_show_browse_remove(ops: Ops, domain: str, ann: Account) -> None:
    """An alias lives from add to remove."""
    added = ops(Aliases).add(NewAlias(address=f"Sales@{domain}", to=(ann.address, ann.address.upper())))
    assert added.address == f"Sales@{domain}"
    assert ops(Aliases).show(f"sales@{domain}") == added
    before = f"sale@{domain}"
    assert ops(Aliases).browse(cursor=Listing("aliases.browse", {}).seal(before), limit=1).items == (added,)
    assert ops(Aliases).remove(f"SALES@{domain}").removed
    with pytest.raises(NotFound, match="no alias"):
        ops(Aliases).show(f"sales@{domain}")


def test_a_catch_all_is_an_alias_too(ops: Ops, domain: str, ann: Account) -> None:
    """`*@domain` goes through a URL as it is."""
    added = ops(Aliases).add(NewAlias(address=f"*@{domain}", to=(ann.address,)))
    assert ops(Aliases).show(f"*@{domain}") == added
    assert ops(Aliases).remove(f"*@{domain}").name == f"*@{domain}"


def test_an_address_is_used_once(ops: Ops, ann: Account) -> None:
    """Accounts and aliases share their addresses (rule A3)."""
    with pytest.raises(Conflict, match="is taken"):
        ops(Aliases).add(NewAlias(address=ann.address, to=(ann.address,)))


def test_rule_j4_foreign_targets_are_refused(ops: Ops, domain: str) -> None:
    """Mail goes to accounts of this site only."""
    with pytest.raises(Invalid, match="not an address of this site"):
        ops(Aliases).add(NewAlias(address=f"out@{domain}", to=("ann@elsewhere.example",)))
    with pytest.raises(NotFound):
        ops(Aliases).show(f"out@{domain}")


def test_a_circle_is_refused(ops: Ops, domain: str) -> None:
    """An alias that leads to itself leads nowhere."""
    with pytest.raises(Invalid, match="no account, or round in a circle"):
        ops(Aliases).add(NewAlias(address=f"me@{domain}", to=(f"me@{domain}",)))
