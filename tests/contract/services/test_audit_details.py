"""What exactly was changed: every entry says what was asked, and what was there before."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import func, select

from mairust_core import store, wire
from mairust_core.errors import NotFound
from mairust_core.model.account import Account, AccountChange, NewAccount, NewPassword
from mairust_core.model.alias import NewAlias
from mairust_core.model.copies import NewFolders
from mairust_core.model.domain import NewDomain
from mairust_core.model.forms import UNSET
from mairust_core.model.hook import HookType
from mairust_core.model.hook_forms import FilterForm, HookChange, NewHook
from mairust_core.model.mailbox import INBOX, QUARANTINE, MailboxRename, NewMailbox
from mairust_core.model.message_change import MessageChange
from mairust_core.model.principal import Principal, ReachKind, Scope
from mairust_core.model.token import NewToken
from mairust_core.operations import BytesIn
from mairust_core.services.accounts import Accounts
from mairust_core.services.aliases import Aliases
from mairust_core.services.audit import Audit
from mairust_core.services.domains import Domains
from mairust_core.services.hooks import Hooks
from mairust_core.services.importing import Imports
from mairust_core.services.mailboxes import Mailboxes
from mairust_core.services.messages import Messages
from mairust_core.services.plugins import Plugins
from mairust_core.services.tokens import Tokens
from mairust_core.services.trust import Trust
from mairust_core.store.tables import audit
from tests.contract.services.conftest import Served
from tests.contract.services.words import Ops
from tests.support.linking import approved, link, manifest_text, new_id
from tests.support.packaging import Marketplace, Signing, body, made

PASSWORD = "correct horse battery staple"


def told(ops: Ops, operation: str, subject: str) -> dict[str, Any]:
    """The details of the newest entry of an operation, as JSON says them."""
    entry = ops(Audit).browse(operation=operation, subject=subject, limit=1).items[0]
    assert entry.details is not None
    found = wire.encode(entry.details)
    assert found.pop("cut") is False
    return dict(found)


def test_a_quota_says_from_what_to_what(ops: Ops, ann: Account) -> None:
    """By the names of the API; what was not asked for is not there."""
    one = ann.address
    ops(Accounts).edit(one, AccountChange(quota_bytes=5_000))
    assert told(ops, "accounts.edit", one) == {
        "asked": {"address": one, "quota_bytes": 5_000}, "before": {"quota_bytes": None},
    }  # fmt: skip
    ops(Accounts).edit(one, AccountChange(quota_bytes=None, admin=True))
    assert told(ops, "accounts.edit", one) == {
        "asked": {"address": one, "quota_bytes": None, "admin": True},
        "before": {"quota_bytes": 5_000, "admin": False},
    }
    ops(Accounts).edit(one, AccountChange(quota_bytes=UNSET))
    assert told(ops, "accounts.edit", one) == {"asked": {"address": one}, "before": {}}


def ops_all(ops: Ops, address: str) -> Any:
    """An account as it is, as JSON."""
    return wire.encode(ops(Accounts).show(address))


def test_no_password_is_kept_nor_that_there_is_one(served: Served, ops: Ops, domain: str) -> None:
    """Neither of a new account nor of a change; not in any row."""
    one = f"bob@{domain}"
    ops(Accounts).add(NewAccount(address=one, password=PASSWORD, quota_bytes=7))
    ops(Accounts).passwd(one, NewPassword(password=PASSWORD[::-1]))
    added = {"address": one, "admin": False, "quota_bytes": 7}
    assert told(ops, "accounts.add", one) == {"asked": added, "before": {}}
    assert told(ops, "accounts.passwd", one) == {"asked": {"address": one}, "before": {}}
    with served.site.storage.read() as tx:
        rows = [str(row) for row in tx.execute(select(audit))]
    assert not any(PASSWORD in row or PASSWORD[::-1] in row for row in rows)


def test_enabling_says_what_it_was(ops: Ops, ann: Account) -> None:
    """Also when it was so already."""
    one = ann.address
    for verb, was in (("disable", True), ("disable", False), ("enable", False)):
        getattr(ops(Accounts), verb)(one)
        found = {"asked": {"address": one}, "before": {"enabled": was}}
        assert told(ops, f"accounts.{verb}", one) == found


def test_what_was_removed_is_known(ops: Ops, domain: str, ann: Account) -> None:
    """An account, an alias and a key as they were; no hash among it."""
    alias = ops(Aliases).add(NewAlias(address=f"info@{domain}", to=(ann.address,)))
    assert told(ops, "aliases.add", alias.address)["asked"]["to"] == [ann.address]
    ops(Aliases).remove(alias.address)
    found = told(ops, "aliases.remove", alias.address)
    assert found == {"asked": {"address": alias.address}, "before": wire.encode(alias)}
    token = ops(Tokens).create(NewToken(name="phone", scopes=(Scope.READ,)))
    ops(Tokens).revoke(token.id)
    assert told(ops, "tokens.revoke", token.id)["before"] == wire.encode(token.token)
    before = ops_all(ops, ann.address)
    ops(Accounts).remove(ann.address)
    assert told(ops, "accounts.remove", ann.address)["before"] == before


def test_a_key_says_what_it_may(ops: Ops, domain: str) -> None:
    """Name, scopes and reach; its secret is in the answer alone."""
    new = NewToken(name="robot", scopes=(Scope.READ, Scope.ADMIN), reach=ReachKind.DOMAIN, subject=domain)
    issued = ops(Tokens).create(new)
    found = told(ops, "tokens.create", issued.id)
    assert found == {"asked": wire.encode(new), "before": {}}
    assert found["asked"]["scopes"] == ["read", "admin"]
    assert issued.key.rpartition("_")[2] not in json.dumps(found)


def test_the_first_key_says_what_it_may(served: Served) -> None:
    """It was made with the site, by no request."""
    (entry,) = served.here(Audit).browse(subject=served.admin_key.split("_")[1]).items
    assert entry.details is not None
    assert entry.details.asked["scopes"] == [scope.value for scope in Scope]


def test_a_hook_says_what_was_set_and_what_was_in_force(served: Served, ops: Ops, tmp_path: Path) -> None:
    """Null takes back what was set; a filter is a whole."""
    plugin = approved(served.site, tmp_path, manifest_text(new_id()))
    name = f"h-{uuid4().hex[:12]}"
    ops(Hooks).add(NewHook(name=name, type=HookType.POST_RECEIVE, plugin=plugin, priority=3))
    assert told(ops, "hooks.add", name)["asked"]["plugin"] == plugin
    ops(Hooks).edit(name, HookChange(priority=None, filter=FilterForm(size_gt=9)))
    found = told(ops, "hooks.edit", name)
    assert found["asked"]["priority"] is None
    assert found["asked"]["filter"]["size_gt"] == 9
    assert found["before"]["priority"] == 3
    assert found["before"]["filter"]["size_gt"] is None
    assert found["before"].keys() == {"priority", "filter"}
    ops(Hooks).disable(name)
    assert told(ops, "hooks.disable", name)["before"] == {"enabled": True}


def test_a_mailbox_says_its_new_name(ops: Ops, ann: Account) -> None:
    """The subject has the old one."""
    ops(Mailboxes).create(ann.address, NewMailbox(name="Work"))
    ops(Mailboxes).rename(ann.address, MailboxRename(name="Work", to="Play"))
    found = told(ops, "mailboxes.rename", f"{ann.address} Work")
    assert found == {"asked": {"address": ann.address, "name": "Work", "to": "Play"}, "before": {}}


def test_a_message_says_where_it_was_and_nothing_that_is_in_it(
    served: Served, ops: Ops, ann: Account
) -> None:
    """Whose it was, too: once it is gone nobody else knows."""
    with served.site.storage.write() as tx:
        store.mailboxes.ensure(tx, 1, ann.id, served.site.ids.next(), QUARANTINE)
    data = b"Subject: between us\r\n\r\nHello.\r\n"
    one = str(int(ops(Messages).append(ann.address, BytesIn(chunks=[data]), mailbox=QUARANTINE).id))
    ops(Messages).release(one)
    found = told(ops, "messages.release", one)
    assert found == {"asked": {"id": one}, "before": {"account": ann.address, "mailbox": QUARANTINE}}
    ops(Messages).delete(one, now=True)
    found = told(ops, "messages.purge", one)
    assert found["asked"] == {"id": one, "now": True}
    assert found["before"] == {"account": ann.address, "mailbox": INBOX}


def test_rule_e2_whoever_moves_mail_out_of_quarantine_is_named(
    served: Served, ops: Ops, ann: Account
) -> None:
    """As by `release`; other changes of it, and of mail that lies elsewhere, are not told."""
    with served.site.storage.write() as tx:
        store.mailboxes.ensure(tx, 1, ann.id, served.site.ids.next(), QUARANTINE)
    held, other = (
        str(int(ops(Messages).append(ann.address, BytesIn(chunks=[b"\r\n"]), mailbox=name).id))
        for name in (QUARANTINE, INBOX)
    )
    ops(Messages).change(held, MessageChange(add_tags=("x",), mailbox=QUARANTINE))
    ops(Messages).change(other, MessageChange(mailbox=QUARANTINE))
    assert told_of(ops, held) == told_of(ops, other) == []
    ops(Messages).change(held, MessageChange(mailbox=INBOX))
    found = told(ops, "messages.change", held)
    assert (found["asked"]["mailbox"], found["before"]) == (INBOX, {"mailbox": QUARANTINE})
    ops(Messages).change(held, MessageChange(add_tags=("y",)))
    assert len(told_of(ops, held)) == 1


def told_of(ops: Ops, subject: str) -> list[str]:
    """The operations in the audit on a subject."""
    return [entry.operation for entry in ops(Audit).browse(subject=subject).items]


def test_a_package_says_which_it_was(ops: Ops) -> None:
    """By its version and digest; its bytes are not told, what was left out is, as it holds."""
    market = Marketplace()
    ops(Trust).add(market.as_trusted())
    id_ = new_id()
    ops(Plugins).install(body(made(manifest_text(id_), Signing(key=market.root))))
    asked = told(ops, "plugins.install", id_)["asked"]
    shown = ops(Plugins).show(id_)
    assert asked == {
        "upgrade": False, "allow_downgrade": False, "version": shown.version, "package": shown.package,
    }  # fmt: skip
    ops(Plugins).approve(id_)
    assert told(ops, "plugins.approve", id_)["before"]["state"] == shown.state == "pending"


def test_a_directory_says_what_it_took_the_place_of(served: Served, ops: Ops, tmp_path: Path) -> None:
    """A plugin that is linked again: which version was there, and how it stood."""
    id_ = approved(served.site, tmp_path, manifest_text(new_id()))
    was = ops(Plugins).show(id_)
    asked = {"directory": str(tmp_path), "version": "1.0.0"}
    assert told(ops, "plugins.link", id_) == {"asked": asked, "before": {}}
    link(served.site, tmp_path, manifest_text(id_, version="1.1.0"))
    assert told(ops, "plugins.link", id_) == {
        "asked": {**asked, "version": "1.1.0"},
        "before": {"version": "1.0.0", "state": was.state, "pending": None},
    }


def test_a_list_of_revocations_says_which_it_was(ops: Ops) -> None:
    """By its serial."""
    market = Marketplace()
    ops(Trust).add(market.as_trusted())
    taken = ops(Trust).import_revocations(market.revoke(1))
    found = told(ops, "trust.import_revocations", taken.root)["asked"]
    assert (found["serial"], found["keys"], found["manifests"]) == (1, taken.keys, taken.manifests)


def test_what_is_too_long_is_cut_where_one_sees_it(served: Served, ops: Ops, ann: Account) -> None:
    """No row is longer than 4 KiB; the entry says that it was cut."""
    names = tuple(f"Ordner/Straße {number}" for number in range(400))
    ops(Imports).prepare(ann.address, NewFolders(mailboxes=names))
    (entry,) = ops(Audit).browse(operation="imports.prepare", subject=ann.address).items
    assert entry.details is not None
    assert entry.details.cut
    assert entry.details.asked["address"] == ann.address
    assert entry.details.asked["mailboxes"].startswith('["Ordner/Straße 0",')
    assert entry.details.asked["mailboxes"].endswith("…")
    with served.site.storage.read() as tx:
        longest = tx.execute(select(func.max(func.length(audit.c.details)))).scalar_one()
    assert longest <= 4096


def test_entries_of_older_versions_say_nothing(served: Served, ops: Ops) -> None:
    """Their details are null, and they are listed like all others."""
    subject, entry_id = f"old{uuid4().hex[:12]}", served.site.ids.next()
    with served.site.storage.write() as tx:
        store.audits.record(tx, entry_id, Principal.local("tester"), "accounts.edit", subject)
    (entry,) = ops(Audit).browse(subject=subject).items
    assert (entry.subject, entry.details) == (subject, None)


def test_entries_of_changes_at_once_link_up(served: Served, ann: Account) -> None:
    """Each has its own request, and what the one before it left: the row is held when it is looked at."""
    accounts, quotas = served.here(Accounts), list(range(1, 41))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda quota: accounts.edit(ann.address, AccountChange(quota_bytes=quota)), quotas))
    entries = served.here(Audit).browse(operation="accounts.edit", subject=ann.address, limit=500).items
    found = [one.details for one in entries if one.details is not None]
    after = {one.before["quota_bytes"]: one.asked["quota_bytes"] for one in found}
    assert sorted(after.values()) == quotas
    chain: list[int | None] = [None]
    while chain[-1] in after:
        chain.append(after[chain[-1]])
    assert len(chain) == len(quotas) + 1
    assert chain[-1] == served.here(Accounts).show(ann.address).quota_bytes


def gone_once(remove: Callable[[str], object], subjects: Sequence[str]) -> None:
    """Each is removed by one of many callers at once; the others are told that it is not there."""

    def removed(subject: str) -> bool:
        try:
            remove(subject)
        except NotFound:
            return False
        return True

    wanted = [one for one in subjects for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(removed, wanted))
    assert [one for one, was in zip(wanted, found, strict=True) if was] == list(subjects)


def test_what_many_remove_at_once_is_removed_once(served: Served, domain: str) -> None:
    """Who comes second finds nothing: no entry says that it took away what was gone."""
    names = [f"{number}.{domain}" for number in range(12)]
    for name in names:
        served.here(Domains).add(NewDomain(name=name))
        served.here(Accounts).add(NewAccount(address=f"ann@{name}"))
        served.here(Aliases).add(NewAlias(address=f"info@{name}", to=(f"ann@{name}",)))
    gone_once(served.here(Aliases).remove, [f"info@{name}" for name in names])
    gone_once(served.here(Accounts).remove, [f"ann@{name}" for name in names])
    served.site.collect()
    gone_once(served.here(Domains).remove, names)


def test_a_key_that_many_revoke_at_once_was_in_force_once(served: Served) -> None:
    """Revoking again is harmless, and its entry says that the key was revoked already."""
    tokens = served.here(Tokens)
    for _ in range(12):
        id_ = tokens.create(NewToken(name="phone", scopes=(Scope.READ,))).id
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(tokens.revoke, [id_] * 4))
        entries = served.here(Audit).browse(operation="tokens.revoke", subject=id_).items
        before = [one.details.before["revoked"] for one in entries if one.details is not None]
        assert sorted(before) == [False, True, True, True]
