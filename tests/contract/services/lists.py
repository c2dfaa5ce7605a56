"""Two of everything that can be listed, and every list asked for alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest

from mairust_core import store
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
