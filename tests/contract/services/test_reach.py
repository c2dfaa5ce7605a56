"""Rule G4 and trap A2: every operation, asked by every kind of key, for its own and for others' objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import pytest

from mairust_core.errors import Forbidden, NotFound
from mairust_core.model.account import AccountChange, NewAccount, NewPassword
from mairust_core.model.alias import NewAlias
from mairust_core.model.backup import BackedUp, NewBackup, Verification, Wanted
from mairust_core.model.copies import AskedCopies, NewFolders
from mairust_core.model.domain import NewDomain
from mairust_core.model.hook import HookType
from mairust_core.model.hook_forms import HookChange, NewHook
from mairust_core.model.job import JobSelection, NewJob
from mairust_core.model.mailbox import MailboxRename, NewMailbox
from mairust_core.model.message_change import MessageChange
from mairust_core.model.plugin_forms import Installed
from mairust_core.model.plugin_life import NewPluginToken, Rotation, TokenScope
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.model.search import Rebuild
from mairust_core.model.token import NewToken
from mairust_core.model.trial import Replay
from mairust_core.operations import BytesIn, ItemsIn
from mairust_core.operations.cursors import Listing
from mairust_core.services.accesses import Accesses
from mairust_core.services.accounts import Accounts
from mairust_core.services.aliases import Aliases
from mairust_core.services.audit import Audit
from mairust_core.services.backups import Backups
from mairust_core.services.collection import Collection
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
from tests.contract.services.reaches import TABLE
from tests.support.jobs import enqueue
from tests.support.linking import approved, http_text, link, manifest_text, new_id
from tests.support.packaging import Marketplace, body, made, upgraded
from tests.support.packs import pack_for_nobody

REACHES = (ReachKind.SITE, ReachKind.DOMAIN, ReachKind.ACCOUNT)
SCOPES = (Scope.READ, Scope.WRITE, Scope.ADMIN)

MAIL = (
    b"Subject: matrix\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n"
    b"--b\r\nContent-Type: image/png\r\n\r\nx\r\n--b--\r\n"
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A domain with an account, for one call: what the call asks for beside them is made for it."""

    served: Served
    domain: str
    account: str

    @cached_property
    def alias(self) -> str:
        """A new alias of the account."""
        new = NewAlias(address=_new(self), to=(self.account,))
        return self.served.here(Aliases).add(new).address

    @cached_property
    def message(self) -> str:
        """A new message of the account."""
        return str(self.served.here(Messages).append(self.account, BytesIn(chunks=[MAIL])).id)

    @cached_property
    def token(self) -> str:
        """A new key to the domain."""
        key = self.served.issue(Scope.READ, reach=ReachKind.DOMAIN, subject=self.domain)
        return key.split("_")[1]

    def furnish(self) -> None:
        """Make one of each."""
        assert all((self.alias, self.message, self.token))


Ask = Callable[[Served, str, Place], Any]


def _new(place: Place) -> str:
    return f"{uuid4().hex[:10]}@{place.domain}"


def _box() -> str:
    return f"Box{uuid4().hex[:10]}"


def _made_box(served: Served, place: Place) -> str:
    return served.here(Mailboxes).create(place.account, NewMailbox(name=_box())).name


def _victim(served: Served, place: Place) -> str:
    return served.here(Accounts).add(NewAccount(address=_new(place))).address


def _job(served: Served) -> str:
    return enqueue(served.site, NewJob(kind="matrix"))


def _empty_domain(served: Served, key: str, place: Place) -> Any:
    name = served.here(Domains).add(NewDomain(name=f"e{uuid4().hex[:10]}.example")).name
    return served.there(Domains, key).remove(name)


def _begun(served: Served) -> str:
    """A backup that somebody else has begun; one for all that ask until somebody ends it.

    On a site with the domains of all these tests it takes a second.
    """
    backups = served.here(Backups)
    held = (str(int(one.id)) for one in backups.browse().items if one.pinned and not one.finished_at)
    return next(held, None) or str(int(backups.begin(NewBackup()).id))


def _plugin(served: Served) -> str:
    """An approved plugin, which nobody needs to answer."""
    with TemporaryDirectory() as directory:
        return approved(served.site, Path(directory), manifest_text(new_id(), *FILTERED))


def _reached(served: Served) -> str:
    """An approved plugin that shares a secret."""
    with TemporaryDirectory() as directory:
        return approved(served.site, Path(directory), http_text(new_id(), 9000, *FILTERED))


METRICS = NewPluginToken(scopes=(TokenScope.METRICS,))


def _issued(served: Served) -> tuple[str, str]:
    """A plugin, and a token that was issued to it."""
    plugin = _plugin(served)
    return plugin, served.here(PluginTokens).create(plugin, METRICS).token.id


def _waiting(served: Served) -> Installed:
    with TemporaryDirectory() as directory:
        return link(served.site, Path(directory), manifest_text(new_id()))


def _review(served: Served, key: str) -> Any:
    installed = _waiting(served)
    assert installed.review is not None
    return served.there(Plugins, key).approve_review(installed.id, installed.review.id)


def _hook(served: Served) -> str:
    return f"{_plugin(served)}:post_receive"


FILTERED = ('type = "post_receive"\nfilter = {subject_matches = "never in any mail"}',)
"""A hook that no mail of these tests is for: nothing is asked."""


def _looked_at(served: Served) -> Verification:
    """What was found in a repository that a backup was once made into."""
    made = next((one.snapshot for one in served.here(Backups).browse().items if one.repository == "r"), "")
    if not made:
        made = uuid4().hex
        done = BackedUp(repository="r", snapshot=made, messages=0, objects_new=0, bytes_new=0)
        served.here(Backups).finish(_begun(served), done)
    return Verification(snapshots=(made,), percent=0, damaged=0)


NOTHING = BackedUp(repository="", snapshot="", messages=0, objects_new=0, bytes_new=0)


def _revoked(served: Served) -> BytesIn:
    """A list of a root that is trusted."""
    market = Marketplace()
    market.trusted_on(served.site)
    return market.revoke(1)


ASK: dict[str, Ask] = {
    "domains.add": lambda s, k, _: s.there(Domains, k).add(NewDomain(name=f"n{uuid4().hex[:10]}.example")),
    "domains.browse": lambda s, k, _: s.there(Domains, k).browse(),
    "domains.show": lambda s, k, p: s.there(Domains, k).show(p.domain),
    "domains.remove": _empty_domain,
    "accounts.add": lambda s, k, p: s.there(Accounts, k).add(NewAccount(address=_new(p))),
    "accounts.browse": lambda s, k, _: s.there(Accounts, k).browse(),
    "accounts.mailboxes": lambda s, k, p: s.there(Accounts, k).mailboxes(p.account),
    "accounts.enable": lambda s, k, p: s.there(Accounts, k).enable(p.account),
    "accounts.disable": lambda s, k, p: s.there(Accounts, k).disable(_victim(s, p)),
    "accounts.show": lambda s, k, p: s.there(Accounts, k).show(p.account),
    "accounts.remove": lambda s, k, p: s.there(Accounts, k).remove(_victim(s, p)),
    "aliases.add": lambda s, k, p: s.there(Aliases, k).add(NewAlias(address=_new(p), to=(p.account,))),
    "aliases.browse": lambda s, k, _: s.there(Aliases, k).browse(),
    "aliases.show": lambda s, k, p: s.there(Aliases, k).show(p.alias),
    "aliases.remove": lambda s, k, p: s.there(Aliases, k).remove(p.alias),
    "accounts.edit": lambda s, k, p: s.there(Accounts, k).edit(p.account, AccountChange(quota_bytes=None)),
    "accounts.passwd": lambda s, k, p: s.there(Accounts, k).passwd(
        p.account, NewPassword(password="12345678")
    ),
    "mailboxes.create": lambda s, k, p: s.there(Mailboxes, k).create(p.account, NewMailbox(name=_box())),
    "mailboxes.rename": lambda s, k, p: s.there(Mailboxes, k).rename(
        p.account, MailboxRename(name=_made_box(s, p), to=_box())
    ),
    "mailboxes.delete": lambda s, k, p: s.there(Mailboxes, k).delete(p.account, name=_made_box(s, p)),
    "messages.append": lambda s, k, p: s.there(Messages, k).append(p.account, BytesIn(chunks=[MAIL])),
    "messages.browse": lambda s, k, p: s.there(Messages, k).browse(p.account),
    "messages.show": lambda s, k, p: s.there(Messages, k).show(p.message),
    "messages.raw": lambda s, k, p: b"".join(s.there(Messages, k).raw(p.message).chunks),
    "imports.prepare": lambda s, k, p: s.there(Imports, k).prepare(p.account, NewFolders(mailboxes=("In",))),
    "imports.known": lambda s, k, p: s.there(Imports, k).known(
        p.account, AskedCopies(mailbox="In", sha256=())
    ),
    "imports.batch": lambda s, k, p: list(s.there(Imports, k).batch(p.account, ItemsIn(items=[])).items),
    "exports.folders": lambda s, k, p: s.there(Exports, k).folders(p.account),
    "exports.messages": lambda s, k, p: [
        b"".join(item.content.chunks) for item in s.there(Exports, k).messages(p.account).items
    ],
    "messages.change": lambda s, k, p: s.there(Messages, k).change(p.message, MessageChange(add_tags=("t",))),
    "messages.delete": lambda s, k, p: s.there(Messages, k).delete(p.message),
    "messages.undelete": lambda s, k, p: s.there(Messages, k).undelete(p.message),
    "messages.release": lambda s, k, p: s.there(Messages, k).release(p.message),
    "messages.text": lambda s, k, p: b"".join(s.there(Messages, k).text(p.message).chunks),
    "messages.html": lambda s, k, p: b"".join(s.there(Messages, k).html(p.message).chunks),
    "messages.attachment": lambda s, k, p: b"".join(s.there(Messages, k).attachment(p.message, 1).chunks),
    "messages.part": lambda s, k, p: b"".join(s.there(Messages, k).part(p.message, "1").chunks),
    "search.find": lambda s, k, p: s.there(Search, k).find(q="subject", account=p.account),
    "index.status": lambda s, k, _: s.there(Index, k).status(),
    "index.rebuild": lambda s, k, _: s.there(Index, k).rebuild(Rebuild()),
    "index.drop": lambda s, k, _: s.there(Index, k).drop(),
    "tokens.create": lambda s, k, p: s.there(Tokens, k).create(
        NewToken(name="made", scopes=(Scope.READ,), reach=ReachKind.DOMAIN, subject=p.domain)
    ),
    "tokens.browse": lambda s, k, _: s.there(Tokens, k).browse(),
    "tokens.revoke": lambda s, k, p: s.there(Tokens, k).revoke(p.token),
    "traces.browse": lambda s, k, _: s.there(Traces, k).browse(),
    "traces.show": lambda s, k, p: s.there(Traces, k).show(p.message),
    "audit.browse": lambda s, k, _: s.there(Audit, k).browse(),
    "status.show": lambda s, k, _: s.there(Status, k).show(),
    "doctor.examine": lambda s, k, _: s.there(Doctor, k).examine(),
    "config.show": lambda s, k, _: s.there(Config, k).show(),
    "config.export": lambda s, k, _: s.there(Config, k).export(),
    "schemas.hooks": lambda s, k, _: s.there(Schemas, k).hooks(),
    "secrets.browse": lambda s, k, _: s.there(Secrets, k).browse(),
    "secrets.status": lambda s, k, _: s.there(Secrets, k).status(),
    "secrets.prepare_master": lambda s, k, _: s.there(Secrets, k).prepare_master(),
    "secrets.rotate_master": lambda s, k, _: s.there(Secrets, k).rotate_master(),
    "collection.run": lambda s, k, _: s.there(Collection, k).run(),
    "jobs.browse": lambda s, k, _: s.there(Jobs, k).browse(),
    "jobs.show": lambda s, k, _: s.there(Jobs, k).show(_job(s)),
    "jobs.retry": lambda s, k, _: s.there(Jobs, k).retry(_job(s)),
    "jobs.retry_all": lambda s, k, _: s.there(Jobs, k).retry_all(JobSelection(kind="none")),
    "jobs.discard": lambda s, k, _: s.there(Jobs, k).discard(_job(s)),
    "jobs.discard_all": lambda s, k, _: s.there(Jobs, k).discard_all(JobSelection(kind="none")),
    "jobs.release": lambda s, k, _: s.there(Jobs, k).release(_job(s)),
    "jobs.release_all": lambda s, k, _: s.there(Jobs, k).release_all(JobSelection(kind="none")),
    "plugins.browse": lambda s, k, _: s.there(Plugins, k).browse(),
    "plugins.show": lambda s, k, _: s.there(Plugins, k).show(_plugin(s)),
    "plugins.approve": lambda s, k, _: s.there(Plugins, k).approve(_waiting(s).id),
    "plugins.approve_review": lambda s, k, _: _review(s, k),
    "plugins.enable": lambda s, k, _: s.there(Plugins, k).enable(_plugin(s)),
    "plugins.disable": lambda s, k, _: s.there(Plugins, k).disable(_plugin(s)),
    "plugins.remove": lambda s, k, _: s.there(Plugins, k).remove(_plugin(s)),
    "plugins.rotate_secret": lambda s, k, _: s.there(Plugins, k).rotate_secret(_reached(s), Rotation()),
    "plugins.logs": lambda s, k, _: s.there(Plugins, k).logs(_plugin(s)),
    "plugintokens.create": lambda s, k, _: s.there(PluginTokens, k).create(_plugin(s), METRICS),
    "plugintokens.browse": lambda s, k, _: s.there(PluginTokens, k).browse(_plugin(s)),
    "plugintokens.reissue": lambda s, k, _: s.there(PluginTokens, k).reissue(*_issued(s)),
    "plugintokens.revoke": lambda s, k, _: s.there(PluginTokens, k).revoke(*_issued(s)),
    "accesses.of_plugin": lambda s, k, _: s.there(Accesses, k).of_plugin(_plugin(s)),
    "accesses.of_message": lambda s, k, p: s.there(Accesses, k).of_message(p.message),
    "accesses.of_account": lambda s, k, p: s.there(Accesses, k).of_account(p.account),
    "hooks.add": lambda s, k, _: s.there(Hooks, k).add(
        NewHook(name=f"h{uuid4().hex[:10]}", type=HookType.POST_RECEIVE, plugin=_plugin(s), enabled=False)
    ),
    "hooks.browse": lambda s, k, _: s.there(Hooks, k).browse(),
    "hooks.show": lambda s, k, _: s.there(Hooks, k).show(_hook(s)),
    "hooks.edit": lambda s, k, _: s.there(Hooks, k).edit(_hook(s), HookChange(priority=5)),
    "hooks.enable": lambda s, k, _: s.there(Hooks, k).enable(_hook(s)),
    "hooks.disable": lambda s, k, _: s.there(Hooks, k).disable(_hook(s)),
    "hooks.remove": lambda s, k, _: s.there(Hooks, k).remove(_hook(s)),
    "hooks.reset": lambda s, k, _: s.there(Hooks, k).reset(_hook(s)),
    "hooks.log": lambda s, k, _: s.there(Hooks, k).log(_hook(s)),
    "hooks.test": lambda s, k, _: s.there(Hooks, k).test(_hook(s), BytesIn(chunks=[MAIL])),
    "hooks.replay": lambda s, k, p: s.there(Hooks, k).replay(_hook(s), Replay(account=p.account)),
    "plugins.install": lambda s, k, _: s.there(Plugins, k).install(body(made(manifest_text(new_id())))),
    "plugins.rollback": lambda s, k, _: s.there(Plugins, k).rollback(upgraded(s.here(Plugins))),
    "plugins.review_rollback": lambda s, k, _: s.there(Plugins, k).review_rollback(upgraded(s.here(Plugins))),
    "plugins.rollback_to": lambda s, k, _: s.there(Plugins, k).rollback_to(
        upgraded(s.here(Plugins)), "1.0.0"
    ),
    "trust.add": lambda s, k, _: s.there(Trust, k).add(Marketplace().as_trusted()),
    "trust.browse": lambda s, k, _: s.there(Trust, k).browse(),
    "trust.remove": lambda s, k, _: s.there(Trust, k).remove(Marketplace().trusted_on(s.site).id),
    "trust.import_revocations": lambda s, k, _: s.there(Trust, k).import_revocations(_revoked(s)),
    "trust.confirm_revocations": lambda s, k, _: s.there(Trust, k).confirm_revocations(
        Marketplace().trusted_on(s.site).id
    ),
    "trust.revocations": lambda s, k, _: s.there(Trust, k).revocations(),
    "backups.begin": lambda s, k, _: s.there(Backups, k).begin(NewBackup()),
    "backups.browse": lambda s, k, _: s.there(Backups, k).browse(),
    "backups.contents": lambda s, k, _: b"".join(s.there(Backups, k).contents(_begun(s)).chunks),
    "backups.pack": lambda s, k, _: s.there(Backups, k).pack(_begun(s), Wanted(objects=("0" * 64,))),
    "backups.finish": lambda s, k, _: s.there(Backups, k).finish(_begun(s), NOTHING),
    "backups.verified": lambda s, k, _: s.there(Backups, k).verified(_looked_at(s)),
    "backups.put_back": lambda s, k, p: s.there(Backups, k).put_back(pack_for_nobody(p.account)),
}

FOREIGN_BROWSE: Ask = lambda s, k, p: s.there(Accounts, k).browse(domain=p.domain)  # noqa: E731 - a table row


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    operation: str
    objects: str
    expected: dict[tuple[ReachKind, Scope], str]

    def __str__(self) -> str:
        return f"{self.operation} {self.objects}"


def rows() -> Iterator[Row]:
    """The lines of the table."""
    asked = [(reach, scope) for reach in REACHES for scope in SCOPES]
    for line in TABLE.strip().splitlines()[2:]:
        operation, *marks, objects = line.split()
        yield Row(operation=operation, objects=objects, expected=dict(zip(asked, marks, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Two domains with an account each, and nine keys to the first."""

    own: tuple[str, str]
    foreign: tuple[str, str]
    keys: dict[tuple[ReachKind, Scope], str]


@pytest.fixture(scope="module")
def ground(served: Served) -> Ground:
    """The ground of the matrix."""
    homes = []
    for _ in range(2):
        name = served.here(Domains).add(NewDomain(name=f"r{uuid4().hex[:10]}.example")).name
        homes.append((name, served.here(Accounts).add(NewAccount(address=f"ann@{name}")).address))
        Place(served=served, domain=name, account=homes[-1][1]).furnish()
    subjects = {ReachKind.SITE: None, ReachKind.DOMAIN: homes[0][0], ReachKind.ACCOUNT: homes[0][1]}
    keys = {
        (reach, scope): served.issue(scope, reach=reach, subject=subjects[reach])
        for reach in REACHES
        for scope in SCOPES
    }
    return Ground(own=homes[0], foreign=homes[1], keys=keys)


@pytest.mark.parametrize("row", list(rows()), ids=str)
def test_rule_g4_reach_and_scope(served: Served, ground: Ground, row: Row) -> None:
    """Each kind of key gets what the table says: done, forbidden, or as if it were not there (trap A2)."""
    foreign_browse = row.operation == "accounts.browse" and row.objects == "foreign"
    ask = FOREIGN_BROWSE if foreign_browse else ASK[row.operation]
    found = {}
    for asked, key in ground.keys.items():
        domain, account = ground.own if row.objects == "own" else ground.foreign
        place = Place(served=served, domain=domain, account=account)
        found[asked] = outcome(served, ask, key, place)
    assert found == row.expected


def outcome(served: Served, ask: Ask, key: str, place: Place) -> str:
    """The mark of one call."""
    try:
        ask(served, key, place)
    except Forbidden:
        return "-"
    except NotFound:
        return "0"
    return "+"


def test_the_table_has_every_operation() -> None:
    """A new operation cannot be forgotten here."""
    declared = {op.id for kind in SERVICES for op in kind.operations.values()}
    assert declared == set(ASK) == {row.operation for row in rows()}


def test_trap_a2_lists_hold_nothing_foreign(served: Served, ground: Ground) -> None:
    """What a key may list is its own, page by page, also with a cursor taken from elsewhere."""
    key = ground.keys[ReachKind.DOMAIN, Scope.ADMIN]
    own = ground.own[0]
    for begin in ("", "a", "ann@"):
        cursors = [Listing(f"{one}.browse", {}).seal(begin) for one in ("domains", "accounts", "aliases")]
        domains = served.there(Domains, key).browse(cursor=cursors[0]).items
        assert {one.name for one in domains} <= {own}
        listed = served.there(Accounts, key).browse(cursor=cursors[1]).items
        assert {a.address.rpartition("@")[2] for a in listed} <= {own}
        aliases = served.there(Aliases, key).browse(cursor=cursors[2]).items
        assert {a.address.rpartition("@")[2] for a in aliases} <= {own}
    subjects = {t.subject for t in served.there(Tokens, key).browse(limit=500).items}
    assert subjects <= {own, ground.own[1]}
    alone = ground.keys[ReachKind.ACCOUNT, Scope.READ]
    assert [a.address for a in served.there(Accounts, alone).browse().items] == [ground.own[1]]
    assert {m.account for m in served.there(Messages, alone).browse(ground.own[1]).items} == {ground.own[1]}


def test_trap_a2_a_foreign_object_looks_like_none(served: Served, ground: Ground) -> None:
    """The text for another's object is the one for no object at all."""
    key = ground.keys[ReachKind.DOMAIN, Scope.ADMIN]
    place = Place(served=served, domain=ground.foreign[0], account=ground.foreign[1])
    cases: list[tuple[Callable[[str], object], str, str]] = [
        (served.there(Messages, key).show, place.message, "4711"),
        (served.there(Messages, key).delete, place.message, "4711"),
        (served.there(Messages, key).undelete, place.message, "4711"),
        (lambda id_: served.there(Messages, key).change(id_, MessageChange()), place.message, "4711"),
        (served.there(Aliases, key).show, place.alias, f"no.one@{place.domain}"),
        (served.there(Accounts, key).show, place.account, f"nobody@{place.domain}"),
        (served.there(Domains, key).show, place.domain, "unknown.example"),
        (served.there(Tokens, key).revoke, place.token, "0123456789abcdef"),
    ]
    for call, *names in cases:
        texts = set()
        for name in names:
            with pytest.raises(NotFound) as refused:
                call(name)
            texts.add(str(refused.value).replace(name, "X"))
        assert len(texts) == 1


def test_trap_a2_no_address_in_a_foreign_domain(served: Served, ground: Ground) -> None:
    """A domain's administrator takes no address, nor a catch-all, of another domain."""
    key = ground.keys[ReachKind.DOMAIN, Scope.ADMIN]
    foreign, own_account = ground.foreign[0], ground.own[1]
    with pytest.raises(NotFound, match="no domain"):
        served.there(Aliases, key).add(NewAlias(address=f"*@{foreign}", to=(own_account,)))
    with pytest.raises(NotFound, match="no domain"):
        served.there(Accounts, key).add(NewAccount(address=f"x@{foreign.upper()}"))


def test_trap_a2_an_alias_leads_to_nothing_out_of_reach(served: Served, ground: Ground) -> None:
    """Nor tells whether it is there: a foreign account, no account and no domain of the site answer alike."""
    key = ground.keys[ReachKind.DOMAIN, Scope.ADMIN]
    own, foreign = ground.own[0], ground.foreign[0]
    texts = set()
    for target in (ground.foreign[1], f"nobody@{foreign}", "x@unknown.example"):
        for to in ((target,), (ground.own[1], target)):
            with pytest.raises(NotFound) as refused:
                served.there(Aliases, key).add(NewAlias(address=f"out@{own}", to=to))
            texts.add(str(refused.value).replace(target.rpartition("@")[2], "X"))
    assert len(texts) == 1
    with pytest.raises(NotFound):
        served.there(Aliases, key).show(f"out@{own}")
    made = served.here(Aliases).add(NewAlias(address=f"out@{own}", to=(ground.foreign[1],)))
    assert served.there(Aliases, key).show(made.address) == made
