"""A call in this process and a call over HTTP give the same value or raise the same error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mairust_core.errors import MaiRustError
from mairust_core.model.account import Account, NewAccount
from mairust_core.model.alias import NewAlias
from mairust_core.model.domain import NewDomain
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.model.token import NewToken
from mairust_core.operations import BytesIn, BytesOut, Service
from mairust_core.services.accounts import Accounts
from mairust_core.services.aliases import Aliases
from mairust_core.services.backups import Backups
from mairust_core.services.domains import Domains
from mairust_core.services.messages import Messages
from mairust_core.services.registry import SERVICES
from mairust_core.services.tokens import Tokens
from tests.contract.services.conftest import Served

MAIL = b"From: a@x.example\r\nSubject: both\r\n\r\nways\r\n"

Call = Callable[[Any], Any]

WRONG: list[tuple[type[Service], Call]] = [
    (Domains, lambda s: s.add(NewDomain(name="taken.example"))),
    (Domains, lambda s: s.show("unknown.example")),
    (Domains, lambda s: s.show("")),
    (Domains, lambda s: s.show("..")),
    (Domains, lambda s: s.show("a/b")),
    (Domains, lambda s: s.show("%2e%2F")),
    (Domains, lambda s: s.show("a b?c#d&e")),
    (Domains, lambda s: s.show("a\0b")),
    (Domains, lambda s: s.show("\udcff.example")),
    (Domains, lambda s: s.show("x" * 5000)),
    (Domains, lambda s: s.remove("taken.example")),
    (Domains, lambda s: s.browse(limit=0)),
    (Domains, lambda s: s.browse(limit=10**30)),
    (Domains, lambda s: s.browse(cursor="\0")),
    (Accounts, lambda s: s.add(NewAccount(address="ann@taken.example"))),
    (Accounts, lambda s: s.add(NewAccount(address="x@unknown.example"))),
    (Accounts, lambda s: s.browse(domain="unknown.example")),
    (Accounts, lambda s: s.show("nobody@taken.example")),
    (Accounts, lambda s: s.show("not an address")),
    (Accounts, lambda s: s.mailboxes("messages@taken.example/messages")),
    (Accounts, lambda s: s.enable("@")),
    (Accounts, lambda s: s.remove("/@taken.example/enable")),
    (Aliases, lambda s: s.add(NewAlias(address="ann@taken.example", to=("ann@taken.example",)))),
    (Aliases, lambda s: s.add(NewAlias(address="new@taken.example", to=("x@abroad.example",)))),
    (Aliases, lambda s: s.show("*@taken.example")),
    (Aliases, lambda s: s.remove("ann@taken.example")),
    (Messages, lambda s: s.show("12345678901234567890")),
    (Messages, lambda s: s.show("1")),
    (Messages, lambda s: s.raw("１")),
    (Messages, lambda s: s.browse("ann@taken.example", mailbox="gone/é&+%")),
    (Messages, lambda s: s.browse("ann@taken.example", mailbox="a\0")),
    (Messages, lambda s: s.browse("ann@taken.example", cursor="junk")),
    (Messages, lambda s: s.append("nobody@taken.example", BytesIn(chunks=[MAIL]))),
    (Messages, lambda s: s.append("ann@taken.example", BytesIn(chunks=[MAIL]), mailbox="gone")),
    (
        Tokens,
        lambda s: s.create(NewToken(name="x", scopes=(Scope.READ,), reach=ReachKind.DOMAIN, subject="u.x")),
    ),
    (Tokens, lambda s: s.revoke("0000")),
    (Tokens, lambda s: s.browse(limit=501)),
]


@pytest.fixture(scope="module", autouse=True)
def taken(served: Served) -> Account:
    """The domain `taken.example` with the account ann; a site has them once, whichever test comes first."""
    try:
        served.here(Domains).add(NewDomain(name="taken.example"))
        return served.here(Accounts).add(NewAccount(address="ann@taken.example"))
    except MaiRustError:
        return served.here(Accounts).show("ann@taken.example")


@pytest.mark.parametrize(("kind", "call"), WRONG, ids=range(len(WRONG)))
def test_errors_are_the_same(served: Served, kind: type[Service], call: Call) -> None:
    """Class, code, exit code and text do not tell where an error arose."""
    raised = []
    for service in (served.here(kind), served.there(kind)):
        with pytest.raises(MaiRustError) as caught:
            call(service)
        raised.append(caught.value)
    here, there = raised
    assert type(here) is type(there)
    assert (here.code, here.status, here.exit_code) == (there.code, there.status, there.exit_code)
    assert str(here) == str(there)


def reading(served: Served, address: str) -> Iterator[tuple[type[Service], Call]]:
    """Every operation that only reads, with arguments that find something."""
    summary = served.here(Messages).append(address, BytesIn(chunks=[MAIL]))
    served.here(Aliases).add(NewAlias(address=f"alias.{summary.id}@taken.example", to=(address,)))
    yield Domains, lambda s: s.show("taken.example")
    yield Domains, lambda s: s.browse(limit=3)
    yield Accounts, lambda s: s.show(address)
    yield Accounts, lambda s: s.browse(domain="taken.example")
    yield Accounts, lambda s: s.mailboxes(address)
    yield Aliases, lambda s: s.show(f"alias.{summary.id}@taken.example")
    yield Aliases, lambda s: s.browse(limit=2)
    yield Messages, lambda s: s.show(str(summary.id))
    yield Messages, lambda s: s.browse(address, mailbox="INBOX")
    yield Messages, lambda s: s.raw(str(summary.id))
    yield Messages, lambda s: s.raw(str(summary.id), original=True)
    yield Tokens, lambda s: s.browse(limit=1)
    yield Backups, lambda s: s.browse(limit=2)


def test_values_are_the_same(served: Served, taken: Account) -> None:
    """What is read here and there is equal, type by type; and no operation that reads is left out."""
    seen = set()
    for kind, call in reading(served, taken.address):
        here, there = call(served.here(kind)), call(served.there(kind))
        if isinstance(here, BytesOut):
            assert b"".join(here.chunks) == b"".join(there.chunks)
            assert (here.size_bytes, here.sha256, here.filename) == (
                there.size_bytes,
                there.sha256,
                there.filename,
            )
        else:
            assert here == there
        seen.add((kind, type(here)))
    reads = {(kind, op.name) for kind in SERVICES for op in kind.operations.values() if op.method == "GET"}
    assert {kind for kind, _ in seen} == {kind for kind, _ in reads}


def test_a_proxy_has_operations_only(served: Served) -> None:
    """Nothing of the site is to be had through a proxy, and no operation is missing."""
    for kind in SERVICES:
        proxy = served.there(kind)
        assert all(callable(getattr(proxy, name)) for name in kind.operations)
        for other in ("site", "by", "operations", "noun", "_find", "__declared__"):
            with pytest.raises(AttributeError, match="no operation"):
                getattr(proxy, other)


def test_wrong_arguments_are_type_errors_both_ways(served: Served) -> None:
    """A call that fits no signature fails like any Python call, before anything is sent."""
    for service in (served.here(Domains), served.there(Domains)):
        with pytest.raises(TypeError):
            service.show()  # type: ignore[call-arg]  # the point of the test
        with pytest.raises(TypeError):
            service.browse(nope=1)  # type: ignore[call-arg]  # the point of the test
