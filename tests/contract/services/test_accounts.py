"""Accounts, locally and over HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from mairust_core.errors import Conflict, Forbidden, Invalid, NotFound
from mairust_core.model.account import Account, AccountChange, NewAccount, NewPassword
from mairust_core.model.alias import NewAlias
from mairust_core.model.domain import NewDomain
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.services.accounts import Accounts
from mairust_core.services.aliases import Aliases
from mairust_core.services.domains import Domains
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


def test_a_domain_is_the_same_in_any_spelling(ops: Ops, served: Served) -> None:
    """Upper case, with a dot at the end, in its own letters: as everywhere else (trap S7)."""
    name = f"b\u00fccher-{uuid4().hex[:10]}.example"
    served.here(Domains).add(NewDomain(name=name))
    added = ops(Accounts).add(NewAccount(address=f"ann@{name}"))
    for spelling in (name, name.upper(), f"{name}.", added.address.partition("@")[2].upper()):
        assert ops(Accounts).browse(domain=spelling).items == (added,)
    with pytest.raises(Invalid, match="domain"):
        ops(Accounts).browse(domain="a b")


def test_remove_takes_the_account_away(ops: Ops, ann: Account) -> None:
    """A removed account is gone at once and its address free again."""
    assert ops(Accounts).remove(ann.address).name == ann.address
    with pytest.raises(NotFound, match="no account"):
        ops(Accounts).show(ann.address)
    assert ops(Accounts).add(NewAccount(address=ann.address)).id != ann.id


def test_remove_refuses_while_aliases_name_the_account(ops: Ops, domain: str, ann: Account) -> None:
    """Whoever has the address next would get their mail, and until then it would be refused or lost."""
    eve = ops(Accounts).add(NewAccount(address=f"eve@{domain}"))
    detail = ann.address.replace("@", "+news@")
    aliases = {
        f"sales@{domain}": (ann.address,),
        f"*@{domain}": (ann.address.upper(),),
        f"both@{domain}": (eve.address, ann.address),
        f"news@{domain}": (detail,),
    }
    for alias, targets in aliases.items():
        ops(Aliases).add(NewAlias(address=alias, to=targets))
    ops(Aliases).add(NewAlias(address=f"over@{domain}", to=(f"sales@{domain}",)))
    ops(Aliases).add(NewAlias(address=f"eves@{domain}", to=(eve.address,)))
    for alias in sorted(aliases):
        with pytest.raises(Conflict) as refused:
            ops(Accounts).remove(ann.address)
        told = str(refused.value)
        assert alias in told
        assert "mairust alias remove" in told
        assert f"over@{domain}" not in told
        assert f"eves@{domain}" not in told
        ops(Aliases).remove(alias)
    assert ops(Accounts).remove(ann.address).removed


def test_a_target_that_is_an_address_of_its_own_names_nobody_else(
    ops: Ops, domain: str, ann: Account
) -> None:
    """`ann+x` that is an alias itself is not ann."""
    eve = ops(Accounts).add(NewAccount(address=f"eve@{domain}"))
    ops(Aliases).add(NewAlias(address=f"ann+x@{domain}", to=(eve.address,)))
    ops(Aliases).add(NewAlias(address=f"x@{domain}", to=(f"ann+x@{domain}",)))
    assert ops(Accounts).remove(ann.address).removed


def test_trap_a2_a_refusal_names_no_alias_out_of_reach(served: Served, domain: str, ann: Account) -> None:
    """A domain's administrator learns that there is one, not which."""
    other = served.here(Domains).add(NewDomain(name=f"other-{domain}")).name
    served.here(Aliases).add(NewAlias(address=f"secret@{other}", to=(ann.address,)))
    key = served.issue(Scope.ADMIN, reach=ReachKind.DOMAIN, subject=domain)
    with pytest.raises(Conflict, match="Aliases of other domains lead to") as refused:
        served.there(Accounts, key).remove(ann.address)
    assert other not in str(refused.value)
    served.here(Aliases).add(NewAlias(address=f"own@{domain}", to=(ann.address,)))
    with pytest.raises(Conflict, match=f"own@{domain}") as refused:
        served.there(Accounts, key).remove(ann.address)
    assert other not in str(refused.value)


def test_an_alias_and_a_removal_at_once_leave_nothing_dangling(served: Served, domain: str) -> None:
    """One of the two is refused, whichever comes first."""
    for number in range(8):
        who = served.here(Accounts).add(NewAccount(address=f"r{number}@{domain}")).address
        alias = NewAlias(address=f"to-{number}@{domain}", to=(who,))
        with ThreadPoolExecutor(2) as pool:
            added = pool.submit(served.here(Aliases).add, alias)
            removed = pool.submit(served.here(Accounts).remove, who)
        ends = (type(added.exception()), type(removed.exception()))
        assert ends in ((type(None), Conflict), (Invalid, type(None)))


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


def test_edit_changes_what_is_given(ops: Ops, ann: Account) -> None:
    """Quota and administration, each alone; null takes the quota away, what is left out stays."""
    edit = ops(Accounts).edit
    assert edit(ann.address, AccountChange(quota_bytes=5)).quota_bytes == 5
    changed = edit(ann.address, AccountChange(admin=True))
    assert (changed.quota_bytes, changed.admin) == (5, True)
    assert edit(ann.address, AccountChange()) == changed
    assert edit(ann.address, AccountChange(quota_bytes=None, admin=False)) == ann
    for wrong in (-1, 1 << 63):
        with pytest.raises(Invalid, match="quota_bytes"):
            edit(ann.address, AccountChange(quota_bytes=wrong))


def test_rule_g4_who_reaches_a_domain_makes_nobody_the_sites_administrator(
    served: Served, domain: str, ann: Account
) -> None:
    """Administrators are whom mail to `postmaster` of a domain without accounts goes to."""
    there = served.there(Accounts, served.issue(Scope.ADMIN, reach=ReachKind.DOMAIN, subject=domain))
    with pytest.raises(Forbidden, match="site reach"):
        there.edit(ann.address, AccountChange(admin=True))
    with pytest.raises(Forbidden, match="site reach"):
        there.add(NewAccount(address=f"new@{domain}", admin=True))
    assert served.here(Accounts).browse(domain=domain).items == (ann,)
    served.here(Accounts).edit(ann.address, AccountChange(admin=True))
    assert not there.edit(ann.address, AccountChange(admin=False)).admin
    assert there.add(NewAccount(address=f"new@{domain}")).address == f"new@{domain}"


def test_trap_a3_passwd_stores_a_hash_and_tells_nothing(served: Served, ops: Ops, ann: Account) -> None:
    """Of the new password only; the old one is no longer good. The audit has neither."""
    hashes = []
    for password in ("correct horse battery", "another secret 1"):
        assert ops(Accounts).passwd(ann.address, NewPassword(password=password)) == ann
        with served.site.storage.read() as tx:
            sql = "SELECT password_hash FROM account WHERE id = ?"
            [(stored,)] = served.site.storage.fetch_all(tx, sql, (ann.id,))
            hashes.append((stored, password))
            audited = str(served.site.storage.fetch_all(tx, "SELECT * FROM audit", ()))
        assert password not in audited + served.http.log.read_text()
        assert password not in repr(NewPassword(password=password))
    hasher = PasswordHasher()
    assert all(hasher.verify(stored, password) for stored, password in hashes)
    with pytest.raises(VerifyMismatchError):
        hasher.verify(hashes[1][0], hashes[0][1])
    for wrong in ("short", "x" * 1025):
        with pytest.raises(Invalid, match="password"):
            ops(Accounts).passwd(ann.address, NewPassword(password=wrong))


def test_many_passwords_at_once_all_have_their_turn(served: Served, domain: str) -> None:
    """Each waits for a free place: memory stays bounded, none is refused."""
    made = [served.here(Accounts).add(NewAccount(address=f"p{n}@{domain}")).address for n in range(6)]
    new = NewPassword(password="correct horse battery")
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda address: served.there(Accounts).passwd(address, new).address, made))
    assert done == made


def test_rule_a2_an_account_that_comes_back_has_a_higher_uidvalidity(ops: Ops, domain: str) -> None:
    """Removed and added again within a second: mail programs must not take old UIDs for new ones."""
    given = []
    for _ in range(4):
        ops(Accounts).add(NewAccount(address=f"back@{domain}"))
        given.append(ops(Accounts).mailboxes(f"back@{domain}").items[0].uidvalidity)
        ops(Accounts).remove(f"back@{domain}")
    assert given == sorted(set(given))
