"""Cursors: each goes on where its page ended, in its own list with its own filters, and nowhere else."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast
from uuid import uuid4

import pytest

from mairust_core import store
from mairust_core.cursors import Listing
from mairust_core.errors import Invalid
from mairust_core.hooks.log import Noted
from mairust_core.hooks.sayings import Saying
from mairust_core.ids import now_ms
from mairust_core.model.account import NewAccount
from mairust_core.model.alias import NewAlias
from mairust_core.model.backup import BackedUp, NewBackup
from mairust_core.model.domain import NewDomain
from mairust_core.model.forms import Page
from mairust_core.model.hook_forms import Outcome
from mairust_core.model.job import NewJob
from mairust_core.model.mailbox import NewMailbox
from mairust_core.model.plugin_life import LogOrigin, NewPluginToken, TokenScope
from mairust_core.model.principal import Scope
from mairust_core.model.trial import Replay
from mairust_core.operations import BytesIn, Operation, Service
from mairust_core.services.accounts import Accounts
from mairust_core.services.aliases import Aliases
from mairust_core.services.backups import Backups
from mairust_core.services.domains import Domains
from mairust_core.services.mailboxes import Mailboxes
from mairust_core.services.messages import Messages
from mairust_core.services.plugin_tokens import PluginTokens
from mairust_core.services.registry import SERVICES
from mairust_core.services.trust import Trust
from tests.contract.services.conftest import Served
from tests.contract.services.test_hooks import call
from tests.contract.services.words import Ops
from tests.support.hooking import logged
from tests.support.jobs import enqueue
from tests.support.linking import approved, manifest_text, new_id
from tests.support.packaging import Marketplace

LISTS = [
    pytest.param(kind, op, id=op.id)
    for kind in SERVICES
    for op in kind.operations.values()
    if op.is_continued
]

Values = dict[str, Any]


@pytest.fixture(scope="module")
def values(served: Served) -> Iterator[Values]:
    """Two of everything that can be listed, and by what path parameters its lists are had."""
    with TemporaryDirectory() as directory:
        yield fill(served, Path(directory))


def fill(served: Served, directory: Path) -> Values:
    """Make it."""
    address, message_id = _mail(served)
    hooks = [f'type = "pre_receive"\nfilter = {{subject_matches = "never {one}"}}' for one in (1, 2)]
    plugin, _ = (approved(served.site, directory / one, manifest_text(new_id(), *hooks)) for one in "ab")
    _said_of(served, plugin, address, message_id)
    for _ in range(2):
        served.issue(Scope.READ)
        enqueue(served.site, NewJob(kind="seen", subject="twice", run_at_ms=4_000_000_000_000))
        served.here(PluginTokens).create(plugin, NewPluginToken(scopes=(TokenScope.METRICS,)))
        begun = str(int(served.here(Backups).begin(NewBackup()).id))
        done = BackedUp(repository="", snapshot="", messages=0, objects_new=0, bytes_new=0)
        served.here(Backups).finish(begun, done)
        with served.site.storage.write() as tx:
            served.site.secrets.put(tx, uuid4().hex, b"x")
        market = Marketplace()
        market.trusted_on(served.site)
        served.here(Trust).import_revocations(market.revoke(1, ["0" * 16, "1" * 16]))
    return {"address": address, "name": f"{plugin}:pre_receive", "plugin": plugin, "message": message_id}


def _mail(served: Served) -> tuple[str, str]:
    """Two domains with an account each, whose first one has two of all that an account has."""
    names = [f"c{uuid4().hex[:12]}.example" for _ in range(2)]
    for name in names:
        served.here(Domains).add(NewDomain(name=name))
        served.here(Accounts).add(NewAccount(address=f"ann@{name}"))
        served.here(Aliases).add(NewAlias(address=f"cursor@{name}", to=(f"ann@{name}",)))
    address = f"ann@{names[0]}"
    served.here(Mailboxes).create(address, NewMailbox(name="Archive"))
    mails = [BytesIn(chunks=[b"Subject: cursor %d\r\n\r\nx\r\n" % number]) for number in range(2)]
    ids = [served.here(Messages).append(address, mail, hooks=True).id for mail in mails]
    return address, str(int(ids[0]))


def _said_of(served: Served, plugin: str, address: str, message_id: str) -> None:
    """Calls of its hook, accesses, and what it wrote."""
    lines = [
        Saying(at_ms=now_ms(), plugin=plugin, hook="h", origin=LogOrigin.STDERR, text=text) for text in "ab"
    ]
    served.site.hook_log.record(Noted(sayings=lines))
    account_id = int(served.here(Accounts).show(address).id)
    seen = (plugin, "1.0.0", "h", "mail", "headers", account_id, None, int(message_id))
    calls = [logged(call(served, f"{plugin}:pre_receive", Outcome.FAILED)) for _ in range(2)]
    accesses = [(int(served.site.ids.next()), 1, now_ms(), *seen) for _ in range(2)]
    with served.site.storage.write() as tx:
        store.hook_calls.record(served.site.storage, tx, calls)
        store.plugin_accesses.record(served.site.storage, tx, accesses)


def ask(service: Service, op: Operation, values: Values, cursor: str, **asked: Any) -> Page[Any]:
    """A page of one item; `asked` may be another path parameter or filter."""
    of = {"id": values["plugin"] if op.path.startswith("/plugins") else values["message"], **values, **asked}
    args = [of[name] for name in op.path_params]
    call: Any = getattr(service, op.name)
    if op.body:
        others = {name: value for name, value in asked.items() if name not in op.path_params}
        body = Replay(**{"account": values["address"], "limit": 1, "cursor": cursor, **others})
        return cast(Page[Any], call(*args, body))
    given = {"q": "cursor", "account": values["address"]} if op.id == "search.find" else {}
    options = {**given, **{name: asked[name] for name in asked if name not in op.path_params}}
    return cast(Page[Any], call(*args, **options, cursor=cursor, limit=1))


def first_cursor(service: Service, op: Operation, values: Values) -> str:
    """That of the first page."""
    found = ask(service, op, values, "").next_cursor
    assert found, f"{op.id} has one page only: it proves nothing"
    return found


def refused(service: Service, op: Operation, values: Values, cursor: str, **asked: Any) -> None:
    """The list names the cursor, and says what to do."""
    with pytest.raises(Invalid, match="next_cursor") as caught:
        ask(service, op, values, cursor, **asked)
    assert str(caught.value).startswith("cursor: ")


@pytest.mark.parametrize(("kind", "op"), LISTS)
def test_a_cursor_goes_on_where_its_page_ended(
    ops: Ops, served: Served, values: Values, kind: type[Service], op: Operation
) -> None:
    """Also when it was given here and is taken there, or the other way round."""
    first = ask(ops(kind), op, values, "")
    assert first.next_cursor
    here, there = (ask(one(kind), op, values, first.next_cursor) for one in (served.here, served.there))
    assert (len(here.items), here.items) == (1, there.items)
    assert here.items != first.items
    assert here.next_cursor == there.next_cursor != first.next_cursor


@pytest.mark.parametrize(("kind", "op"), LISTS)
def test_a_cursor_that_none_gave_is_refused(
    ops: Ops, values: Values, kind: type[Service], op: Operation
) -> None:
    """A word, a released server's, one that is cut, longer, changed anywhere, or made of nonsense."""
    good = first_cursor(ops(kind), op, values)
    changed = [good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1 :] for at in (1, 6, len(good) - 2)]
    nonsense = "." + urlsafe_b64encode(b"\0" * 9 + b"1").decode().rstrip("=")
    old = [values["address"], "1-1", "1", "zz", "INBOX", "é", "9" * 60]
    for cursor in [good[1:], good[:-1], good + "A", good + "=", f" {good}", ".", *changed, nonsense, *old]:
        refused(ops(kind), op, values, cursor)


@pytest.mark.parametrize(("kind", "op"), LISTS)
def test_a_cursor_is_of_one_list(
    ops: Ops, served: Served, values: Values, kind: type[Service], op: Operation
) -> None:
    """No other list takes it, whatever is listed there."""
    cursor = first_cursor(served.here(kind), op, values)
    for other_kind in SERVICES:
        for other in other_kind.operations.values():
            if other.is_continued and other is not op:
                refused(ops(other_kind), other, values, cursor)


@pytest.mark.parametrize(("kind", "op"), LISTS)
def test_a_cursor_is_of_one_filter(ops: Ops, values: Values, kind: type[Service], op: Operation) -> None:
    """Every parameter but the size of the page counts, those of the path too."""
    cursor = first_cursor(ops(kind), op, values)
    told = {"refused": True, "deleted": True, "outcome": "failed", "state": "ready"}
    words = {"unflag": "\\Seen", "flag": "\\Seen", "after": "1", "q": "other", "account": "x@y.example"}
    moments = dict.fromkeys(("since", "before"), None)
    members = [one.name for one in op.query] if not op.body else ["account"]
    for name in (*op.path_params, *members):
        if name in {"cursor", "limit"} or name in moments:
            continue
        refused(ops(kind), op, values, cursor, **{name: {**told, **words}.get(name, "other")})


@pytest.mark.parametrize(("kind", "op"), LISTS)
def test_trap_a5_a_forged_position_is_data(
    ops: Ops, values: Values, kind: type[Service], op: Operation
) -> None:
    """The sum is no secret: whoever makes one up gets a page or a refusal, and no more."""
    asked = {"q": "cursor", "account": values["address"]} if op.id == "search.find" else {}
    asked |= {"account": values["address"]} if op.body else {}
    asked |= {"since": "24h"} if op.id == "traces.browse" else {}
    of = {"id": values["plugin"] if op.path.startswith("/plugins") else values["message"], **values}
    listing = Listing(op.id, {**{name: of[name] for name in op.path_params}, **asked})
    assert listing.open(first_cursor(ops(kind), op, values))
    for position in ("' OR 1=1 --", "zz", "-1", "9" * 60, "𝕏" * 300, "1-" + "9" * 30, "a\0b", "\ud83d"):
        found = told_of(ops(kind), op, values, listing.seal(position))
        assert found.startswith(("a page", "cursor: ")), (position, found)


def told_of(service: Service, op: Operation, values: Values, cursor: str) -> str:
    """What came of asking."""
    try:
        return f"a page: {ask(service, op, values, cursor)}"
    except Invalid as error:
        return str(error)


def test_there_are_lists() -> None:
    """An empty table would prove nothing; one of them takes its cursor in a body."""
    ids = {str(one.id) for one in LISTS}
    assert len(ids) >= 20
    assert "hooks.replay" in ids
