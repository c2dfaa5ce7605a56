"""API keys, locally and over HTTP."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mairust_core.api.authentication import CACHE_S
from mairust_core.errors import Forbidden, Invalid, NotFound, Unauthenticated
from mairust_core.model.account import Account, NewAccount
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.model.token import NewToken, Token
from mairust_core.services.accounts import Accounts
from mairust_core.services.domains import Domains
from mairust_core.services.tokens import Tokens
from tests.contract.services.conftest import Served
from tests.contract.services.words import Ops


def test_a_new_key_works_and_shows_its_secret_once(ops: Ops, served: Served, ann: Account) -> None:
    """The key is in the answer to its creation and nowhere else (trap A3)."""
    new = NewToken(name="mine", scopes=(Scope.READ,), reach=ReachKind.ACCOUNT, subject=ann.address)
    issued = ops(Tokens).create(new)
    assert issued.key.startswith(f"mk_{issued.id}_")
    assert (issued.id, issued.name) == (issued.token.id, "mine")
    assert issued.token in ops(Tokens).browse(limit=500).items
    assert served.there(Accounts, issued.key).show(ann.address) == ann
    secret = issued.key.rpartition("_")[2]
    listed = ops(Tokens).browse(limit=500)
    assert secret not in repr(listed)
    assert secret not in served.http.log.read_text()


def test_rule_d3_a_revoked_key_stops_within_a_second(ops: Ops, served: Served) -> None:
    """Whoever revokes it, in whichever process: the server refuses it within its one second."""
    key = served.issue(Scope.READ)
    assert served.there(Domains, key).browse(limit=1) is not None
    revoked = ops(Tokens).revoke(key.split("_")[1])
    assert revoked.revoked
    time.sleep(CACHE_S)
    with pytest.raises(Unauthenticated):
        served.there(Domains, key).browse(limit=1)
    assert ops(Tokens).revoke(revoked.id) == revoked


def test_an_expired_key_is_refused(ops: Ops, served: Served) -> None:
    """A key ends by itself."""
    soon = datetime.now(UTC) + timedelta(seconds=1)
    issued = ops(Tokens).create(NewToken(name="old", scopes=(Scope.READ,), expires_at=soon))
    time.sleep(max((soon - datetime.now(UTC)).total_seconds(), 0) + 0.1)
    with pytest.raises(Unauthenticated, match="not valid"):
        served.there(Domains, issued.key).browse()


def test_a_key_that_would_never_work_is_refused(ops: Ops) -> None:
    """An end in the past is a mistake, of the year or of the zone; the hint says what to do."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    with pytest.raises(Invalid, match=r"expires_at: .* is past.* Write a later time") as refused:
        ops(Tokens).create(NewToken(name="old", scopes=(Scope.READ,), expires_at=past))
    assert refused.value.status == 422


@pytest.mark.parametrize(
    "text", ["9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59.9999+00:00", "0001-01-01T00:00:00+23:59"]
)
def test_times_that_no_zone_can_tell_are_refused(text: str) -> None:
    """At the edges of the calendar another zone, or rounding, leads out of it."""
    with pytest.raises(Invalid, match="outside the years 1970 to 9998"):
        NewToken(name="edge", scopes=(Scope.READ,), expires_at=datetime.fromisoformat(text))


def test_the_latest_end_there_is_comes_back_as_given(ops: Ops) -> None:
    """Down to the millisecond, on every database."""
    last = datetime(9998, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)
    assert (
        ops(Tokens).create(NewToken(name="late", scopes=(Scope.READ,), expires_at=last)).token.expires_at
        == last
    )


def test_a_disabled_account_s_key_is_refused_alike(ops: Ops, served: Served, ann: Account) -> None:
    """Trap A4: unknown, wrong, revoked and disabled get the same answer."""
    key = served.issue(Scope.READ, reach=ReachKind.ACCOUNT, subject=ann.address)
    ops(Accounts).disable(ann.address)
    public_id, secret = key.split("_")[1:]
    answers = set()
    for wrong in (key, f"mk_{public_id}_{secret[:-1]}A", f"mk_{public_id[::-1]}_{secret}", "mk_", "xyz"):
        with pytest.raises(Unauthenticated) as refused:
            served.there(Domains, wrong).browse()
        answers.add(str(refused.value))
    assert len(answers) == 1


def test_a_key_needs_a_name_scopes_and_a_fitting_subject() -> None:
    """What makes no sense is refused before it is sent."""
    with pytest.raises(Invalid, match="at least one scope"):
        NewToken(name="x", scopes=())
    with pytest.raises(Invalid, match="printable"):
        NewToken(name="a\nb", scopes=(Scope.READ,))
    with pytest.raises(Invalid, match="need a subject"):
        NewToken(name="x", scopes=(Scope.READ,), reach=ReachKind.DOMAIN)


def test_a_key_s_domain_may_be_spelled_in_any_way(ops: Ops, domain: str) -> None:
    """As a domain may everywhere; what is none is told as the subject that it is."""
    new = NewToken(name="x", scopes=(Scope.READ,), reach=ReachKind.DOMAIN, subject=f"{domain.upper()}.")
    assert ops(Tokens).create(new).subject == domain
    with pytest.raises(Invalid, match="subject: 'a b' is not a domain"):
        ops(Tokens).create(replace(new, subject="a b"))


def test_a_removed_account_s_keys_are_listed_as_revoked(ops: Ops, ann: Account) -> None:
    """They open nothing, and are not those of who has the address next."""
    new = NewToken(name="ann's", scopes=(Scope.READ,), reach=ReachKind.ACCOUNT, subject=ann.address)
    old = ops(Tokens).create(new).id
    ops(Accounts).remove(ann.address)
    ops(Accounts).add(NewAccount(address=ann.address))
    living = ops(Tokens).create(new).id
    listed = {one.id: one.revoked for one in all_of(ops(Tokens))}
    assert (listed[old], listed[living]) == (True, False)


def all_of(tokens: Tokens) -> list[Token]:
    """Every key there is."""
    found: list[Token] = []
    cursor: str | None = ""
    while cursor is not None:
        page = tokens.browse(cursor=cursor, limit=500)
        found += page.items
        cursor = page.next_cursor
    return found


def test_unknown_subjects_are_not_found(ops: Ops) -> None:
    """A key for nobody is not made."""
    new = NewToken(name="x", scopes=(Scope.READ,), reach=ReachKind.ACCOUNT, subject="a@nowhere.example")
    with pytest.raises(NotFound, match="no account"):
        ops(Tokens).create(new)


def test_rule_g4_no_key_makes_one_beyond_itself(served: Served, domain: str, ann: Account) -> None:
    """Neither more scopes, nor a wider reach, nor another's domain."""
    mine = served.there(Tokens, served.issue(Scope.ADMIN, reach=ReachKind.DOMAIN, subject=domain))
    with pytest.raises(Forbidden, match="send"):
        mine.create(NewToken(name="x", scopes=(Scope.SEND,), reach=ReachKind.DOMAIN, subject=domain))
    with pytest.raises(Forbidden, match="site reach"):
        mine.create(NewToken(name="x", scopes=(Scope.READ,)))
    other = served.here(Domains).browse(limit=1).items[0].name
    if other != domain:
        with pytest.raises(NotFound):
            mine.create(NewToken(name="x", scopes=(Scope.READ,), reach=ReachKind.DOMAIN, subject=other))
    narrower = NewToken(name="x", scopes=(Scope.READ,), reach=ReachKind.ACCOUNT, subject=ann.address)
    assert mine.create(narrower).token.subject == ann.address
