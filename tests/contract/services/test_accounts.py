"""Accounts, locally and over HTTP."""

from __future__ import annotations

import pytest

from mairust_core.errors import Conflict, Invalid, NotFound
from mairust_core.model.account import Account, NewAccount
from mairust_core.services.accounts import Accounts
from tests.contract.services.conftest import Served
from tests.contract.services.words import Ops


def test_add_makes_an_account_with_its_inbox(ops: Ops, domain: str) -> None:
    """A new account is enabled, empty and has an INBOX."""
    added = ops(Accounts).add(
        NewAccount(address=f"Ann.Lee@{domain.upper()}", quota_bytes=1 << 40, admin=True)
    )
    assert (added.address, added.enabled, added.admin) == (f"Ann.Lee@{domain}", True, True)
    assert (added.quota_bytes, added.used_bytes, added.messages) == (1 << 40, 0, 0)
    inbox = ops(Accounts).mailboxes(added.address).items
    assert [(box.name, box.messages, box.unseen, box.uidnext) for box in inbox] == [("INBOX", 0, 0, 1)]


@pytest.mark.parametrize(
    "local",
    [
        "a/b",
        "a%2Fb",
        "a%b",
        "a?b",
        "a#b",
        "a&b=c",
        "{address}",
        "a'b",
        "ärger",
        "田中",
        '"a b"',
        '"a@b"',
        '".."',
    ],
)
def test_any_address_reaches_its_account(ops: Ops, domain: str, local: str) -> None:
    """Whatever RFC 5321 and 6531 allow before the @ survives the way through a URL."""
    added = ops(Accounts).add(NewAccount(address=f"{local}@{domain}"))
    assert ops(Accounts).show(added.address) == added
    assert ops(Accounts).disable(added.address).enabled is False
    assert len(ops(Accounts).mailboxes(added.address).items) == 1
    assert ops(Accounts).remove(added.address).name == added.address


def test_addresses_meet_in_any_case(ops: Ops, ann: Account) -> None:
    """Local parts keep their case and match without it."""
    assert ops(Accounts).show(ann.address.upper()) == ann
    with pytest.raises(Conflict, match="is taken"):
        ops(Accounts).add(NewAccount(address=ann.address.upper()))


def test_a_domain_must_be_there_first(ops: Ops) -> None:
    """No account in a domain that is not ours."""
    with pytest.raises(NotFound, match=r"no domain nowhere\.example"):
        ops(Accounts).add(NewAccount(address="ann@nowhere.example"))


def test_enable_and_disable_can_be_repeated(ops: Ops, ann: Account) -> None:
    """Asking for what already is, is done."""
    assert [ops(Accounts).disable(ann.address).enabled for _ in range(2)] == [False, False]
    assert [ops(Accounts).enable(ann.address).enabled for _ in range(2)] == [True, True]


def test_browse_lists_one_domain_by_address(ops: Ops, domain: str) -> None:
    """The filter keeps to the domain; pages continue where the last one ended."""
    for name in ("cay", "Ann", "bob"):
        ops(Accounts).add(NewAccount(address=f"{name}@{domain}"))
    first = ops(Accounts).browse(domain=domain, limit=2)
    assert [item.address.partition("@")[0] for item in first.items] == ["Ann", "bob"]
    assert first.next_cursor is not None
    rest = ops(Accounts).browse(domain=domain, limit=2, cursor=first.next_cursor)
    assert ([item.address for item in rest.items], rest.next_cursor) == ([f"cay@{domain}"], None)


def test_remove_takes_the_account_away(ops: Ops, ann: Account) -> None:
    """A removed account is gone at once and its address free again."""
    assert ops(Accounts).remove(ann.address).name == ann.address
    with pytest.raises(NotFound, match="no account"):
        ops(Accounts).show(ann.address)
    assert ops(Accounts).add(NewAccount(address=ann.address)).id != ann.id


def test_trap_a3_no_password_or_hash_leaves(served: Served, domain: str) -> None:
    """Neither the password nor its hash is in an answer or in the server's log."""
    password = "correct horse battery"
    added = served.there(Accounts).add(NewAccount(address=f"pw@{domain}", password=password))
    assert "argon2" not in repr(added)
    assert password not in repr(NewAccount(address=f"pw@{domain}", password=password))
    assert password not in served.http.log.read_text()


@pytest.mark.parametrize("address", ["", "ann", "@x.example", "ann@", "a b@x.example", "ann@-x.example"])
def test_show_refuses_what_is_no_address(ops: Ops, address: str) -> None:
    """A wrong address is told from one that is not there."""
    with pytest.raises(Invalid):
        ops(Accounts).show(address)
