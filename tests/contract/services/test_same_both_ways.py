"""A call in this process and a call over HTTP give the same value or raise the same error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from mairust_core.errors import MaiRustError
from mairust_core.model.account import Account, AccountChange, NewAccount, NewPassword
from mairust_core.model.alias import NewAlias
from mairust_core.model.backup import BackedUp, NewBackup, Verification
from mairust_core.model.copies import AskedCopies, NewFolders
from mairust_core.model.domain import NewDomain
from mairust_core.model.finding import Examination
from mairust_core.model.hook import HookType
from mairust_core.model.hook_forms import FilterForm, HookChange, NewHook
from mairust_core.model.job import NewJob
from mairust_core.model.mailbox import MailboxRename, NewMailbox
from mairust_core.model.message_change import MessageChange
from mairust_core.model.moment import Moment
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.model.search import Rebuild
from mairust_core.model.token import NewToken
from mairust_core.model.trial import Replay
from mairust_core.model.trust import NewTrustKey
from mairust_core.operations import BytesIn, BytesOut, ItemsIn, Service
from mairust_core.services.accesses import Accesses
from mairust_core.services.accounts import Accounts
from mairust_core.services.aliases import Aliases
from mairust_core.services.audit import Audit
from mairust_core.services.backups import Backups
from mairust_core.services.config import Config
from mairust_core.services.doctor import Doctor
from mairust_core.services.domains import Domains
from mairust_core.services.exporting import Exports
from mairust_core.services.hook_schemas import Schemas
from mairust_core.services.hooks import Hooks
from mairust_core.services.importing import Imports
from mairust_core.services.index import Index
from mairust_core.services.jobs import Jobs
from mairust_core.services.mailboxes import Mailboxes
from mairust_core.services.messages import Messages
from mairust_core.services.plugin_tokens import PluginTokens
from mairust_core.services.plugins import Plugins
from mairust_core.services.registry import SERVICES
from mairust_core.services.search import Search
from mairust_core.services.secrets import Secrets
from mairust_core.services.status import Status
from mairust_core.services.tokens import Tokens
from mairust_core.services.traces import Traces
from mairust_core.services.trust import Trust
from tests.contract.services.conftest import Served
from tests.support.jobs import enqueue
from tests.support.linking import approved, manifest_text, new_id
from tests.support.packaging import Marketplace, upgraded

NOW = datetime(2026, 11, 25, tzinfo=UTC)
MAIL = b"From: a@x.example\r\nSubject: both\r\n\r\nways\r\n"
WITH_PARTS = (
    b"Subject: parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n"
    b"--b\r\nContent-Type: image/png; name=a.png\r\n\r\nx\r\n--b--\r\n"
)

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
    (Imports, lambda s: s.prepare("nobody@taken.example", NewFolders())),
    (Imports, lambda s: s.prepare("ann@taken.example", NewFolders(mailboxes=("a\0b",)))),
    (Imports, lambda s: s.known("nobody@taken.example", AskedCopies(mailbox="INBOX", sha256=()))),
    (Imports, lambda s: list(s.batch("nobody@taken.example", ItemsIn(items=[])).items)),
    (Exports, lambda s: s.folders("nobody@taken.example")),
    (Exports, lambda s: s.messages("ann@taken.example", mailbox="gone")),
    (Messages, lambda s: s.append("ann@taken.example", BytesIn(chunks=[MAIL]), flag=("a b",))),
    (Messages, lambda s: s.browse("ann@taken.example", tag="a\n")),
    (Messages, lambda s: s.browse("ann@taken.example", since=Moment("yesterday"))),
    (Messages, lambda s: s.browse("ann@taken.example", before=Moment("999999w"))),
    (Messages, lambda s: s.change("1", MessageChange(add_flags=("\\Seen",)))),
    (Messages, lambda s: s.change("x", MessageChange())),
    (Messages, lambda s: s.delete("1")),
    (Messages, lambda s: s.delete("1", now=True)),
    (Messages, lambda s: s.undelete("1")),
    (Messages, lambda s: s.release("1")),
    (Messages, lambda s: s.text("1")),
    (Messages, lambda s: s.attachment("1", 1)),
    (Messages, lambda s: s.part("1", "a/b?c")),
    (Backups, lambda s: s.verified(Verification(snapshots=("unknown",), percent=100, damaged=0))),
    (Mailboxes, lambda s: s.create("nobody@taken.example", NewMailbox(name="Work"))),
    (Mailboxes, lambda s: s.rename("ann@taken.example", MailboxRename(name="Gone", to="Here"))),
    (Mailboxes, lambda s: s.delete("ann@taken.example", name="Gone & é/%?")),
    (Mailboxes, lambda s: s.delete("ann@taken.example", name="")),
    (Accounts, lambda s: s.edit("nobody@taken.example", AccountChange(admin=True))),
    (Accounts, lambda s: s.passwd("nobody@taken.example", NewPassword(password="12345678"))),
    (
        Tokens,
        lambda s: s.create(NewToken(name="x", scopes=(Scope.READ,), reach=ReachKind.DOMAIN, subject="u.x")),
    ),
    (Search, lambda s: s.find(q="a", account="nobody@taken.example")),
    (Search, lambda s: s.find(q="mailbox:gone", account="ann@taken.example")),
    (Search, lambda s: s.find(q="", account="ann@taken.example")),
    (Search, lambda s: s.find(q='"open', account="ann@taken.example")),
    (Search, lambda s: s.find(q="a", account="ann@taken.example", cursor="junk")),
    (Search, lambda s: s.find(q="a", account="ann@taken.example", limit=501)),
    (Search, lambda s: s.find(q="a\0", account="ann@taken.example")),
    (Index, lambda s: s.rebuild(Rebuild(account="nobody@taken.example"))),
    (Tokens, lambda s: s.revoke("0000")),
    (Plugins, lambda s: s.install(BytesIn(chunks=[b"no package"]))),
    (Plugins, lambda s: s.install(BytesIn(chunks=[b""]), upgrade=True)),
    (Plugins, lambda s: s.rollback("com.example.none")),
    (Plugins, lambda s: s.review_rollback("com.example.none", to="a b")),
    (Trust, lambda s: s.confirm_revocations("0000")),
    (Trust, lambda s: s.add(NewTrustKey(name="x", public_key="no key"))),
    (Trust, lambda s: s.remove("0000")),
    (Trust, lambda s: s.import_revocations(BytesIn(chunks=[b"{}"]))),
    (Traces, lambda s: s.show("4711")),
    (Traces, lambda s: s.show("<no/such%id?@x.example>")),
    (Traces, lambda s: s.show("neither")),
    (Traces, lambda s: s.show("")),
    (Traces, lambda s: s.show("%_@%")),
    (Traces, lambda s: s.browse(since=Moment("yesterday"))),
    (Traces, lambda s: s.browse(cursor="x")),
    (Audit, lambda s: s.browse(since=Moment("1y"))),
    (Audit, lambda s: s.browse(limit=0)),
    (Audit, lambda s: s.browse(cursor="-1")),
    (Tokens, lambda s: s.browse(limit=501)),
    (Jobs, lambda s: s.browse(state="Ready")),
    (Jobs, lambda s: s.browse(cursor="x")),
    (Jobs, lambda s: s.browse(kind="\0")),
    (Jobs, lambda s: s.show("1")),
    (Jobs, lambda s: s.show("x")),
    (Jobs, lambda s: s.retry("2")),
    (Jobs, lambda s: s.discard("3")),
    (Jobs, lambda s: s.release("4")),
    (Plugins, lambda s: s.show("com.example.none")),
    (Plugins, lambda s: s.show("../../etc/passwd")),
    (Plugins, lambda s: s.approve("com.example.none")),
    (Plugins, lambda s: s.approve_review("com.example.none", "a/b?c")),
    (Plugins, lambda s: s.rollback_to("com.example.none", "1.0.0")),
    (Plugins, lambda s: s.enable("")),
    (Plugins, lambda s: s.remove("a\0b")),
    (Plugins, lambda s: s.browse(cursor="\0")),
    (Hooks, lambda s: s.show("a:b/c d")),
    (Hooks, lambda s: s.add(NewHook(name="x", type=HookType.PRE_RECEIVE, plugin="com.example.none"))),
    (Hooks, lambda s: s.add(NewHook(name="x y", type=HookType.PRE_RECEIVE, plugin="com.example.none"))),
    (Hooks, lambda s: s.edit("none", HookChange(priority=1))),
    (Hooks, lambda s: s.edit("none", HookChange(filter=FilterForm(subject_matches="(")))),
    (Hooks, lambda s: s.enable("none")),
    (Hooks, lambda s: s.remove("none")),
    (Hooks, lambda s: s.reset("none")),
    (Hooks, lambda s: s.log("none")),
    (Hooks, lambda s: s.log("none", outcome="bad")),
    (Hooks, lambda s: s.test("none", BytesIn(chunks=[MAIL]))),
    (Hooks, lambda s: s.test("none", BytesIn(chunks=[MAIL]), type="pre_send")),
    (Hooks, lambda s: s.replay("none", Replay(account="ann@taken.example"))),
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
    rich = str(served.here(Messages).append(address, BytesIn(chunks=[WITH_PARTS])).id)
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
    yield Messages, lambda s: s.browse(address, unflag="\\Seen", since=Moment("2026-01-01"))
    yield Messages, lambda s: s.text(str(summary.id))
    yield Messages, lambda s: s.html(rich)
    yield Messages, lambda s: s.attachment(rich, 1)
    yield Messages, lambda s: s.part(str(summary.id), "1")
    yield Messages, lambda s: s.raw(str(summary.id))
    yield Messages, lambda s: s.raw(str(summary.id), original=True)
    yield Exports, lambda s: s.folders(address)
    yield Exports, lambda s: [(i.value, b"".join(i.content.chunks)) for i in s.messages(address).items]
    yield Search, lambda s: s.find(q="subject:both", account=address)
    yield Search, lambda s: s.find(q="ways", account=address, limit=1)
    yield Index, lambda s: s.status()
    yield Tokens, lambda s: s.browse(limit=1)
    begun = served.here(Backups).begin(NewBackup()).id
    yield Backups, lambda s: s.browse(limit=2)
    yield Backups, lambda s: b"".join(s.contents(str(int(begun))).chunks)
    nothing = BackedUp(repository="", snapshot="", messages=0, objects_new=0, bytes_new=0)
    served.here(Backups).finish(str(int(begun)), nothing)
    job_id = enqueue(served.site, NewJob(kind="seen", subject="both ways", run_at_ms=4_000_000_000_000))
    yield Jobs, lambda s: s.show(job_id)
    with TemporaryDirectory() as directory:
        plugin = approved(served.site, Path(directory), manifest_text(new_id()))
    yield Plugins, lambda s: s.show(plugin)
    yield Plugins, lambda s: s.browse(limit=2)
    yield Hooks, lambda s: s.show(f"{plugin}:pre_receive")
    yield Hooks, lambda s: s.browse(plugin=plugin)
    yield Hooks, lambda s: s.log(f"{plugin}:pre_receive")
    yield Plugins, lambda s: s.logs(plugin)
    yield PluginTokens, lambda s: s.browse(plugin)
    yield Accesses, lambda s: s.of_plugin(plugin, since=Moment("1h"))
    yield Accesses, lambda s: s.of_message(str(summary.id))
    yield Accesses, lambda s: s.of_account(address)
    served.here(Plugins).remove(plugin)
    back = upgraded(served.here(Plugins))
    yield Plugins, lambda s: s.review_rollback(back)
    served.here(Plugins).remove(back)
    market = Marketplace()
    market.trusted_on(served.site)
    served.here(Trust).import_revocations(market.revoke(1, ["0" * 16]))
    yield Trust, lambda s: s.browse(limit=2)
    yield Trust, lambda s: s.revocations(limit=2)
    yield Jobs, lambda s: s.browse(kind="seen", state="ready")
    yield Traces, lambda s: [e for e in s.show(str(summary.id)).events if e["kind"] != "now"]
    yield Traces, lambda s: s.browse(recipient="nobody@taken.example")
    yield Audit, lambda s: s.browse(limit=3)
    yield Schemas, lambda s: s.hooks()
    yield Status, lambda s: replace(s.show(), at=NOW, blobs=None)
    yield Doctor, lambda s: s.examine(lang="ja")
    yield Config, lambda s: [(one.key, one.value) for one in s.show().items]
    yield Config, lambda s: s.export()
    yield Secrets, lambda s: s.browse(limit=1)
    yield Secrets, lambda s: s.status()


class Noting:
    """A service that notes which operations were asked of it."""

    def __init__(self, service: Service, kind: type[Service], seen: set[str]) -> None:
        self._service = service
        self._kind = kind
        self._seen = seen

    def __getattr__(self, name: str) -> Any:
        self._seen.add(self._kind.operations[name].id)
        return getattr(self._service, name)


def _but_chance(found: object) -> object:
    """Without what doctor finds in a few blobs that it picks at random: another test damaged one."""
    if not isinstance(found, Examination):
        return found
    return replace(found, findings=tuple(one for one in found.findings if one.id != "blobs.damaged"))


def test_values_are_the_same(served: Served, taken: Account) -> None:
    """What is read here and there is equal, type by type; and no operation that reads is left out."""
    seen: set[str] = set()
    for kind, call in reading(served, taken.address):
        here, there = call(Noting(served.here(kind), kind, seen)), call(served.there(kind))
        if isinstance(here, BytesOut):
            assert b"".join(here.chunks) == b"".join(there.chunks)
            assert (here.size_bytes, here.sha256, here.filename) == (
                there.size_bytes,
                there.sha256,
                there.filename,
            )
        else:
            assert _but_chance(here) == _but_chance(there)
    assert seen == {op.id for kind in SERVICES for op in kind.operations.values() if op.method == "GET"}


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
