"""Who changed what: every change has its entry, and a list that finds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from mairust_core import wire
from mairust_core.model.account import Account, AccountChange, NewAccount, NewPassword
from mairust_core.model.alias import NewAlias
from mairust_core.model.audit import Entry
from mairust_core.model.copies import NewFolders
from mairust_core.model.domain import NewDomain
from mairust_core.model.hook import HookType
from mairust_core.model.hook_forms import HookChange, NewHook
from mairust_core.model.job import JobSelection, NewJob
from mairust_core.model.mailbox import MailboxRename, NewMailbox
from mairust_core.model.moment import Moment
from mairust_core.model.plugin_life import NewPluginToken, Rotation, TokenScope
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.model.search import Rebuild
from mairust_core.model.token import NewToken
from mairust_core.model.trial import Replay
from mairust_core.operations import BytesIn
from mairust_core.services.accounts import Accounts
from mairust_core.services.aliases import Aliases
from mairust_core.services.audit import Audit
from mairust_core.services.backups import Backups
from mairust_core.services.collection import Collection
from mairust_core.services.domains import Domains
from mairust_core.services.hooks import Hooks
from mairust_core.services.importing import Imports
from mairust_core.services.index import Index
from mairust_core.services.jobs import Jobs
from mairust_core.services.mailboxes import Mailboxes
from mairust_core.services.messages import Messages
from mairust_core.services.plugin_tokens import PluginTokens
from mairust_core.services.plugins import Plugins
from mairust_core.services.registry import SERVICES
from mairust_core.services.secrets import Secrets
from mairust_core.services.tokens import Tokens
from mairust_core.services.trust import Trust
from tests.contract.services.conftest import Served
from tests.contract.services.words import Ops
from tests.support.jobs import enqueue, kill
from tests.support.linking import approved, http_text, manifest_text, new_id
from tests.support.packaging import Marketplace, Signing, body, made, upgraded
from tests.support.packs import pack_for_nobody

PASSWORD = "correct horse battery staple"
NOT_ADMINISTRATIVE = {
    "messages.append",
    "messages.change",
    "messages.delete",
    "messages.undelete",
    "imports.known",
    "imports.batch",
    "backups.begin",
    "backups.pack",
    "backups.finish",
    "backups.verified",
    "hooks.test",
}
"""Changes of mail, not of the site: the message itself is the record; or a question that needs a body.

Of backups the table of runs is the record.
"""

Change = Callable[[Ops, str], tuple[Any, str]]


def _in_new_domain(ops: Ops, name: str) -> str:
    return ops(Domains).add(NewDomain(name=f"{name}.example")).name


def _account(ops: Ops, name: str, password: str | None = None) -> str:
    new = NewAccount(address=f"ann@{_in_new_domain(ops, name)}", password=password)
    return ops(Accounts).add(new).address


def _alias(ops: Ops, name: str) -> str:
    account = _account(ops, name)
    return ops(Aliases).add(NewAlias(address=f"x{account}", to=(account,))).address


def _token(ops: Ops) -> str:
    return ops(Tokens).create(NewToken(name="t", scopes=(Scope.READ,))).token.id


def _edited(ops: Ops, name: str) -> str:
    return ops(Accounts).edit(_account(ops, name), AccountChange(quota_bytes=1 << 20)).address


def _new_password(ops: Ops, name: str) -> str:
    return ops(Accounts).passwd(_account(ops, name), NewPassword(password=PASSWORD)).address


def _mailbox(ops: Ops, name: str) -> str:
    """An account and its mailbox, with a blank between."""
    account = _account(ops, name)
    return f"{account} {ops(Mailboxes).create(account, NewMailbox(name='Work')).name}"


def _prepared(ops: Ops, name: str) -> str:
    account = _account(ops, name)
    ops(Imports).prepare(account, NewFolders(mailboxes=("In",)))
    return account


def _renamed(ops: Ops, name: str) -> str:
    account, _, old = (subject := _mailbox(ops, name)).partition(" ")
    ops(Mailboxes).rename(account, MailboxRename(name=old, to="Play"))
    return subject


def _deleted(ops: Ops, name: str) -> str:
    account, _, old = (subject := _mailbox(ops, name)).partition(" ")
    ops(Mailboxes).delete(account, name=old)
    return subject


def _message(ops: Ops, name: str) -> str:
    return str(int(ops(Messages).append(_account(ops, name), BytesIn(chunks=[b"Subject: x\r\n\r\n"])).id))


def _released(ops: Ops, name: str) -> str:
    return str(int(ops(Messages).release(_message(ops, name)).id))


def _put_back(ops: Ops, name: str) -> str:
    account = _account(ops, name)
    return ops(Backups).put_back(pack_for_nobody(account)).address


def _installed(ops: Ops, _: str) -> str:
    market = Marketplace()
    ops(Trust).add(market.as_trusted())
    return ops(Plugins).install(body(made(manifest_text(new_id()), Signing(key=market.root)))).id


def _trusted(ops: Ops, name: str) -> str:
    return ops(Trust).add(replace(Marketplace().as_trusted(), name=name)).name


def _untrusted(ops: Ops, name: str) -> str:
    _trusted(ops, name)
    ops(Trust).remove(name)
    return name


def _taken_back(ops: Ops, _: str) -> str:
    market = Marketplace()
    ops(Trust).add(market.as_trusted())
    return ops(Trust).import_revocations(market.revoke(1)).root


def _confirmed(ops: Ops, name: str) -> str:
    _trusted(ops, name)
    return ops(Trust).confirm_revocations(name).name


CHANGES: dict[str, Callable[[Ops, str], str]] = {
    "domains.add": _in_new_domain,
    "domains.remove": lambda ops, name: ops(Domains).remove(_in_new_domain(ops, name)).name,
    "accounts.add": lambda ops, name: _account(ops, name, PASSWORD),
    "accounts.enable": lambda ops, name: ops(Accounts).enable(_account(ops, name)).address,
    "accounts.disable": lambda ops, name: ops(Accounts).disable(_account(ops, name)).address,
    "accounts.remove": lambda ops, name: ops(Accounts).remove(_account(ops, name)).name,
    "accounts.edit": _edited,
    "accounts.passwd": _new_password,
    "aliases.add": _alias,
    "aliases.remove": lambda ops, name: ops(Aliases).remove(_alias(ops, name)).name,
    "tokens.create": lambda ops, _: _token(ops),
    "tokens.revoke": lambda ops, _: ops(Tokens).revoke(_token(ops)).id,
    "collection.run": lambda ops, _: "site" if ops(Collection).run() else "",
    "backups.put_back": _put_back,
    "imports.prepare": _prepared,
    "mailboxes.create": _mailbox,
    "mailboxes.rename": _renamed,
    "mailboxes.delete": _deleted,
    "messages.release": _released,
    "plugins.install": _installed,
    "plugins.rollback": lambda ops, _: ops(Plugins).rollback(upgraded(ops(Plugins))).id,
    "trust.add": _trusted,
    "trust.remove": _untrusted,
    "trust.import_revocations": _taken_back,
    "trust.confirm_revocations": _confirmed,
    "index.rebuild": lambda ops, _: "site" if ops(Index).rebuild(Rebuild()) else "",
    "index.drop": lambda ops, _: "site" if ops(Index).drop() else "",
    "secrets.prepare_master": lambda ops, _: ops(Secrets).prepare_master().key_id,
    "secrets.rotate_master": lambda ops, _: ops(Secrets).rotate_master().key_id,
}
"""By operation: does it once and says on what."""

JOB_CHANGES: dict[str, Callable[[Ops, str], object]] = {
    "jobs.retry": lambda ops, job: ops(Jobs).retry(job),
    "jobs.discard": lambda ops, job: ops(Jobs).discard(job),
    "jobs.release": lambda ops, job: ops(Jobs).release(job),
    "jobs.retry_all": lambda ops, kind: ops(Jobs).retry_all(JobSelection(kind=kind)),
    "jobs.discard_all": lambda ops, kind: ops(Jobs).discard_all(JobSelection(kind=kind)),
    "jobs.release_all": lambda ops, kind: ops(Jobs).release_all(JobSelection(kind=kind)),
}
"""Those of a dead job, which no operation makes, and of all dead ones of a kind."""

HOOK_CHANGES: dict[str, Callable[[Ops, str], object]] = {
    "hooks.add": lambda *_: None,
    "hooks.edit": lambda ops, name: ops(Hooks).edit(name, HookChange(priority=7)),
    "hooks.disable": lambda ops, name: ops(Hooks).disable(name),
    "hooks.enable": lambda ops, name: ops(Hooks).enable(name),
    "hooks.reset": lambda ops, name: ops(Hooks).reset(name),
    "hooks.remove": lambda ops, name: ops(Hooks).remove(name),
}
"""Those of a hook that was just added."""

METRICS = NewPluginToken(scopes=(TokenScope.METRICS,))
PLUGIN_CHANGES: dict[str, Callable[[Ops, str], object]] = {
    "plugins.approve": lambda ops, plugin: ops(Plugins).approve(plugin),
    "plugins.disable": lambda ops, plugin: ops(Plugins).disable(plugin),
    "plugins.enable": lambda ops, plugin: ops(Plugins).enable(plugin),
    "plugins.remove": lambda ops, plugin: ops(Plugins).remove(plugin),
    "plugins.rotate_secret": lambda ops, plugin: ops(Plugins).rotate_secret(plugin, Rotation()),
    "plugintokens.create": lambda ops, plugin: ops(PluginTokens).create(plugin, METRICS),
}
"""Those of a plugin that was linked, which only its own machine can do, and approved."""

TOKEN_CHANGES: dict[str, Callable[[Ops, str, str], object]] = {
    "plugintokens.reissue": lambda ops, plugin, token: ops(PluginTokens).reissue(plugin, token),
    "plugintokens.revoke": lambda ops, plugin, token: ops(PluginTokens).revoke(plugin, token),
}
"""Those of a token that was issued to a plugin."""
ALIKE = {"plugins.approve_review", "plugins.rollback_to"}
"""Each has the entry of the operation of which it is the careful form."""


CONTENT = {
    "plugins.install": {"version", "package"},
    "backups.put_back": {"messages", "account_created"},
    "trust.import_revocations": {"serial", "issued_at", "keys", "manifests"},
}
"""What is told of bodies of bytes: never these, and what they turned out to be."""


def assert_told(entry: Entry) -> None:
    """Its details are there, and tell all that the operation was given, by the names of the API."""
    (op,) = [one for kind in SERVICES for one in kind.operations.values() if one.id == entry.operation]
    assert entry.details is not None
    assert not entry.details.cut
    given = op.wire_names - {"body", op.body, "password"} | CONTENT.get(op.id, set())
    unset = {
        one for one in given if op.body_type in (AccountChange, HookChange) and one not in op.path_params
    }
    assert given - unset <= entry.details.asked.keys() <= given


@pytest.mark.parametrize("operation", CHANGES)
def test_every_change_has_its_entry(ops: Ops, operation: str) -> None:
    """With who did it, on what, and nothing that is secret."""
    subject = CHANGES[operation](ops, f"a{uuid4().hex[:12]}")
    entry = ops(Audit).browse(operation=operation, subject=subject, limit=1).items[0]
    assert (entry.operation, entry.subject) == (operation, subject)
    assert entry.actor == "local:tester" or entry.actor.startswith("token:")
    assert_told(entry)
    assert PASSWORD not in wire.dumps(entry).decode()


@pytest.mark.parametrize("operation", JOB_CHANGES)
def test_every_change_of_jobs_has_its_entry(served: Served, ops: Ops, operation: str) -> None:
    """Of one by its id, of many by their kind."""
    kind = f"k{uuid4().hex[:12]}"
    job = enqueue(served.site, NewJob(kind=kind))
    kill(served.site, job)
    subject = kind if operation.endswith("_all") else job
    JOB_CHANGES[operation](ops, subject)
    (entry,) = ops(Audit).browse(operation=operation, subject=subject).items
    assert (entry.operation, entry.subject) == (operation, subject)
    assert_told(entry)


@pytest.mark.parametrize("operation", HOOK_CHANGES)
def test_every_change_of_hooks_has_its_entry(
    served: Served, ops: Ops, tmp_path: Path, operation: str
) -> None:
    """By the name of the hook."""
    plugin = approved(served.site, tmp_path, manifest_text(new_id()))
    name = f"h-{uuid4().hex[:12]}"
    ops(Hooks).add(NewHook(name=name, type=HookType.POST_RECEIVE, plugin=plugin))
    HOOK_CHANGES[operation](ops, name)
    (entry,) = ops(Audit).browse(operation=operation, subject=name).items
    assert (entry.operation, entry.subject) == (operation, name)
    assert_told(entry)


def test_b5_a_replay_has_its_entry(served: Served, ops: Ops, tmp_path: Path) -> None:
    """It changes nothing, but shows somebody's mail to a plugin: by the hook and the account."""
    plugin = approved(served.site, tmp_path, manifest_text(new_id()))
    account = _account(ops, f"r{uuid4().hex[:12]}")
    ops(Hooks).replay(f"{plugin}:pre_receive", Replay(account=account))
    subject = f"{plugin}:pre_receive {account}"
    (entry,) = ops(Audit).browse(operation="hooks.replay", subject=subject).items
    assert entry.operation == "hooks.replay"
    assert_told(entry)


@pytest.mark.parametrize("operation", PLUGIN_CHANGES)
def test_every_change_of_plugins_has_its_entry(
    served: Served, ops: Ops, tmp_path: Path, operation: str
) -> None:
    """By the id of the plugin; its approval is not noted twice."""
    plugin = approved(served.site, tmp_path, http_text(new_id()))
    PLUGIN_CHANGES[operation](ops, plugin)
    entry = ops(Audit).browse(operation=operation, subject=plugin, limit=1).items[0]
    assert (entry.operation, entry.subject) == (operation, plugin)
    assert_told(entry)


@pytest.mark.parametrize("operation", TOKEN_CHANGES)
def test_every_change_of_a_plugins_token_has_its_entry(
    served: Served, ops: Ops, tmp_path: Path, operation: str
) -> None:
    """By the id of the token."""
    plugin = approved(served.site, tmp_path, http_text(new_id()))
    token = ops(PluginTokens).create(plugin, METRICS).token.id
    TOKEN_CHANGES[operation](ops, plugin, token)
    (entry,) = ops(Audit).browse(operation=operation, subject=token).items
    assert (entry.operation, entry.subject) == (operation, token)
    assert_told(entry)


def test_what_is_deleted_for_good_has_its_entry(ops: Ops) -> None:
    """As `messages.purge`; what only went to the trash, where it can be looked for, has none."""
    message = _message(ops, f"a{uuid4().hex[:12]}")
    ops(Messages).delete(message)
    assert ops(Audit).browse(subject=message).items == ()
    ops(Messages).delete(message, now=True)
    (entry,) = ops(Audit).browse(subject=message).items
    assert entry.operation == "messages.purge"


def test_no_change_is_forgotten_here() -> None:
    """A new operation that is no GET must be in one of the tables above."""
    declared = {op.id for kind in SERVICES for op in kind.operations.values() if op.method != "GET"}
    tables = (CHANGES, JOB_CHANGES, HOOK_CHANGES, PLUGIN_CHANGES, TOKEN_CHANGES, ALIKE)
    assert declared - NOT_ADMINISTRATIVE == {"hooks.replay"}.union(*tables)


def test_trap_a3_no_entry_holds_a_key(served: Served) -> None:
    """Of a new key its public id is noted."""
    issued = served.here(Tokens).create(NewToken(name="secret", scopes=(Scope.READ,)))
    secret = issued.key.rpartition("_")[2]
    entries = served.here(Audit).browse(operation="tokens", limit=500).items
    assert any(entry.subject == issued.token.id for entry in entries)
    assert all(secret not in wire.dumps(entry).decode() for entry in entries)


def test_what_a_key_did_is_found_by_its_id(served: Served, ops: Ops) -> None:
    """`token:ID` is who used it, whoever made it."""
    key = served.issue(Scope.ADMIN)
    public_id = key.split("_")[1]
    name = served.there(Domains, key).add(NewDomain(name=f"k{uuid4().hex[:12]}.example")).name
    (entry,) = ops(Audit).browse(actor=f"token:{public_id}").items
    assert (entry.operation, entry.subject) == ("domains.add", name)


def test_a_failed_change_leaves_no_entry(ops: Ops, domain: str) -> None:
    """The entry is in the transaction of the change."""
    before = ops(Audit).browse(subject=domain).items
    with pytest.raises(Exception, match="exists already"):
        ops(Domains).add(NewDomain(name=domain))
    assert ops(Audit).browse(subject=domain).items == before


def test_filters_and_pages(ops: Ops, served: Served, domain: str, ann: Account) -> None:
    """Newest first, each entry once; a noun stands for all of its operations; `since` is a time or an age."""
    for _ in range(2):
        ops(Accounts).disable(ann.address)
        ops(Accounts).enable(ann.address)
    found: list[Entry] = []
    cursor = ""
    while True:
        page = ops(Audit).browse(subject=ann.address, operation="accounts", cursor=cursor, limit=2)
        found += page.items
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    verbs = [entry.operation.partition(".")[2] for entry in found]
    assert verbs == ["enable", "disable", "enable", "disable", "add"]
    assert [int(entry.id) for entry in found] == sorted((int(entry.id) for entry in found), reverse=True)
    assert ops(Audit).browse(subject=ann.address, since=Moment("1h")).items == tuple(found)
    assert ops(Audit).browse(subject=ann.address, since=Moment("2099-01-01T00:00:00Z")).items == ()
    assert ops(Audit).browse(subject=ann.address, operation="account").items == ()
    assert ops(Audit).browse(subject=ann.address, operation="accounts.add").items == (found[-1],)
    assert ops(Audit).browse(subject="%").items == ops(Audit).browse(operation="_ccounts").items == ()


def test_a_subject_is_found_in_any_spelling(ops: Ops, served: Served, domain: str) -> None:
    """Addresses and domains meet in any case, whichever of the two was typed so."""
    address = f"ann@{domain}"
    served.here(Accounts).add(NewAccount(address=address))
    served.here(Accounts).disable(f"ANN@{domain.upper()}")
    for spelling in (address, address.upper(), f"Ann@{domain}"):
        found = ops(Audit).browse(subject=spelling, operation="accounts").items
        assert [one.operation for one in found] == ["accounts.disable", "accounts.add"]
    for spelling in (domain, domain.upper(), f"{domain}."):
        assert [one.operation for one in ops(Audit).browse(subject=spelling).items] == ["domains.add"]


def test_rule_g4_a_narrow_key_sees_no_audit(served: Served, domain: str) -> None:
    """It belongs to the site, also where the subject is one's own domain."""
    key = served.issue(Scope.ADMIN, reach=ReachKind.DOMAIN, subject=domain)
    with pytest.raises(Exception, match="site reach"):
        served.there(Audit, key).browse(subject=domain)
