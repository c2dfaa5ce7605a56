"""R-BAK-1: links, approvals, hooks, calls, wrapped secrets: in backup, restore and rehearsal."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mairust_core import store
from mairust_core.app import Site, opened
from mairust_core.config import Settings, load_settings
from mairust_core.errors import Conflict
from mairust_core.model.hook import HookType, Mode
from mairust_core.model.hook_forms import FilterForm, HookCall, HookChange, NewHook, Outcome, ShownHook
from mairust_core.model.plugin_forms import Plugin, PluginState
from mairust_core.model.trust import TrustKey
from mairust_core.model.verdict import ActionWord
from mairust_core.operations import BytesIn
from mairust_core.restore import Restored, restore_site
from mairust_core.restore.rehearsal import part_differences, rehearse, table_differences
from mairust_core.services.hooks import Hooks
from mairust_core.services.plugins import Plugins
from mairust_core.services.trust import Trust
from mairust_core.transfer.plain_reader import Reader
from mairust_core.transfer.repository import Repository
from tests.contract.backup.conftest import EmptySettings
from tests.support import kept
from tests.support.hooking import logged
from tests.support.linking import approved, http_text, link, manifest_text
from tests.support.packaging import Marketplace, Signing, install, made
from tests.support.sites import ANN, TESTER, back_up

SPAM, TICKETS = "com.example.spam", "com.example.tickets"


def lenient(settings: Settings) -> Settings:
    """The settings of a site that takes unsigned plugins."""
    overrides = {"database.url": settings.database.url, "plugins.allow_unsigned": True}
    return load_settings(data_dir=settings.data_dir, env={}, overrides=overrides)


@contextmanager
def registered(site: Site, directory: Path) -> Iterator[Site]:
    """The site with plugins and hooks in every state."""
    with opened(lenient(site.settings)) as here:
        approved(here, directory / "spam", manifest_text(SPAM, "pre_receive", "post_receive"))
        link(here, directory / "spam", manifest_text(SPAM, "pre_receive", permissions='read_body = "full"'))
        approved(here, directory / "tickets", http_text(TICKETS))
        hooks = here.service(Hooks, TESTER)
        hooks.edit(f"{SPAM}:pre_receive", HookChange(mode=Mode.SHADOW, filter=FilterForm(size_gt=7)))
        hooks.remove(f"{SPAM}:post_receive")
        hooks.add(NewHook(name="mine", type=HookType.PRE_DELIVERY, plugin=TICKETS, enabled=False))
        here.service(Plugins, TESTER).disable(SPAM)
        here.plugin_key.get()
        call = HookCall(
            id=here.ids.next(), at=datetime.now(UTC).replace(microsecond=0), hook="mine", plugin=TICKETS,
            delivery_id="d", mode=Mode.ENFORCE, outcome=Outcome.TIMED_OUT, ms=2000.5,
            action=ActionWord.TEMPFAIL, detail="late", trace_id=None, message_id=None, recipient=None,
        )  # fmt: skip
        with here.storage.write() as tx:
            store.hook_calls.record(here.storage, tx, [logged(call)])
        yield here


def told(site: Site) -> tuple[tuple[Plugin, ...], tuple[ShownHook, ...], tuple[HookCall, ...]]:
    """Everything that is shown of plugins and hooks."""
    hooks = site.service(Hooks, TESTER)
    return (
        site.service(Plugins, TESTER).browse(limit=100).items,
        hooks.browse(limit=100).items,
        hooks.log("mine").items,
    )


def restore(repository: Repository, name: str, settings: Settings, master_key: Path | None) -> Restored:
    """Bring a snapshot back."""
    return restore_site(
        settings, Repository.open(repository.path), name, os_user="tester", master_key=master_key
    )


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_plugins_and_hooks_come_back_as_they_were(
    site: Site, repository: Repository, empty: EmptySettings, tmp_path: Path, target: str
) -> None:
    """What waits, is approved, was set or removed; secrets and the site's key under its master key."""
    with registered(site, tmp_path) as here:
        before = told(here)
        tickets = next(one.plugin for one in here.hook_book.enabled() if one.hook.plugin == TICKETS)
        secrets, key = here.credentials.secrets(tickets), here.plugin_key.get().id
        taken = back_up(here, repository)
    settings = empty(target)
    restore(repository, taken.snapshot, settings, site.settings.secrets.master_key_file)
    with opened(lenient(settings)) as there:
        assert told(there) == before
        assert there.credentials.secrets(tickets) == secrets
        assert there.plugin_key.get().id == key
        assert [one.hook.name for one in there.hook_book.enabled()] == [f"{TICKETS}:post_receive"]
        link(there, tmp_path / "spam", manifest_text(SPAM, "pre_receive", "post_receive"))
        names = {one.name for one in there.service(Hooks, TESTER).browse(plugin=SPAM).items}
        assert names == {f"{SPAM}:pre_receive"}, "what was removed stays away"


def test_rule_i3_without_the_master_key_secrets_are_issued_anew(
    site: Site, repository: Repository, empty: EmptySettings, tmp_path: Path
) -> None:
    """The plugins are there; nothing is signed until they are approved again."""
    with registered(site, tmp_path) as here:
        taken = back_up(here, repository)
    settings = empty()
    restore(repository, taken.snapshot, settings, None)
    with opened(lenient(settings)) as there:
        (tickets,) = (one.plugin for one in there.hook_book.enabled())
        assert there.credentials.secrets(tickets) == []
        done = there.service(Plugins, TESTER).approve(TICKETS)
        assert (done.state, done.secret) == (PluginState.ENABLED, there.credentials.secrets(tickets)[0])


def test_a_rehearsal_compares_plugins_and_hooks(site: Site, repository: Repository, tmp_path: Path) -> None:
    """Row by row; what differs is named."""
    with registered(site, tmp_path) as here:
        taken = back_up(here, repository)
        assert rehearse(Repository.open(repository.path), taken.snapshot, "tester").differences == ()
        reader = Reader(repository.path)
        snapshot = reader.snapshot(taken.snapshot)
        assert list(table_differences(here, reader, snapshot)) == []
        here.service(Hooks, TESTER).edit("mine", HookChange(priority=3))
        here.service(Plugins, TESTER).remove(SPAM)
        found = list(table_differences(here, reader, snapshot))
    assert [one for one in found if "'mine'" in one]
    assert [one for one in found if one.startswith("plugin ") and SPAM in one]


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_packages_approvals_and_trust_come_back(
    site: Site, repository: Repository, empty: EmptySettings, target: str
) -> None:
    """The lost site's package is unpacked from the backup and asked; what was revoked stays revoked."""
    market = Marketplace()
    signing = Signing(key=market.root)
    bulk = {"bulk": random.Random(1).randbytes(600_000)}
    market.trusted_on(site)
    for version in ("1.0.0", "1.1.0"):
        install(site, made(manifest_text(SPAM, version=version), signing, bulk))
        site.service(Plugins, TESTER).approve(SPAM)
    install(site, made(manifest_text(TICKETS), signing))
    site.service(Trust, TESTER).import_revocations(market.revoke(5, ["0" * 16]))
    with site.storage.write() as tx:
        store.packages.keep_parts(site.storage, tx, TESTER, "unfinished", [(0, b"x")])
    before, keys = shown(site), site.service(Trust, TESTER).browse().items
    taken = back_up(site, repository)
    rehearsed = rehearse(Repository.open(repository.path), taken.snapshot, "tester")
    assert (rehearsed.differences, restored_keys(rehearsed.trusted)) == ((), keys)
    settings = empty(target)
    done = restore(repository, taken.snapshot, settings, site.settings.secrets.master_key_file)
    assert restored_keys(done.trusted) == keys
    with opened(settings) as there:
        assert shown(there) == before
        assert there.service(Trust, TESTER).browse().items == done.trusted
        (running,) = there.hook_book.enabled()
        assert there.unpacked.have([running.plugin]) == {}
        assert running.plugin.directory is not None
        assert (running.plugin.directory / "bulk").read_bytes() == bulk["bulk"]
        mail = BytesIn(chunks=[b"Subject: hello\r\n\r\nhello\r\n"])
        tried = there.service(Hooks, TESTER).test(SPAM, mail, mail_from="a@b.example", rcpt_to=(ANN,))
        assert tried.steps[0].answer["tags"] == ["seen"]
        with pytest.raises(Conflict, match="serial 4, and 5"):
            there.service(Trust, TESTER).import_revocations(market.revoke(4))
        assert there.service(Plugins, TESTER).rollback(SPAM).version == "1.0.0"
        assert there.service(Plugins, TESTER).approve(TICKETS).state is PluginState.ENABLED
        with there.storage.read() as tx:
            assert set(store.packages.kept_bytes(tx, TESTER)) == kept.archives(tx)


def restored_keys(found: tuple[TrustKey, ...]) -> tuple[TrustKey, ...]:
    """Root keys as they were; each says that it was restored."""
    assert all(one.restored_at is not None for one in found)
    return tuple(replace(one, restored_at=None) for one in found)


def test_a_rehearsal_compares_packages_and_trust(site: Site, repository: Repository) -> None:
    """Every value, but what a restore writes; of an older backup those that it has."""
    market = Marketplace()
    market.trusted_on(site)
    install(site, made(manifest_text(SPAM), Signing(key=market.root)))
    site.service(Trust, TESTER).import_revocations(market.revoke(5, ["0" * 16]))
    taken = back_up(site, repository)
    reader = Reader(repository.path)
    snapshot = reader.snapshot(taken.snapshot)
    assert [*table_differences(site, reader, snapshot), *part_differences(site, reader, snapshot)] == []
    for sql, named in (
        ("UPDATE trust_key SET serial = 4", "trust_key"),
        ("UPDATE trust_revocation SET value = '1'", "trust_revocation"),
        ("UPDATE plugin_package SET root = NULL", "plugin_package"),
        ("UPDATE plugin_package_part SET number = 7", "plugin_package_part"),
    ):
        with site.storage.write() as tx:
            site.storage.execute_many(tx, sql, [()])
        told = [*table_differences(site, reader, snapshot), *part_differences(site, reader, snapshot)]
        assert named in {one.partition(" ")[0] for one in told}


def shown(site: Site) -> tuple[Plugin, ...]:
    """The plugins as they are shown, but for what holds them on a machine."""
    return site.service(Plugins, TESTER).browse(limit=100).items


def test_a_package_is_backed_up_once(site: Site, repository: Repository) -> None:
    """What did not change is not written again, and one more package writes itself only."""
    bulk = random.Random(1).randbytes(2_000_000)
    with opened(lenient(site.settings)) as here:
        install(here, made(manifest_text(SPAM), files={"bulk": bulk}))
        first = back_up(here, repository)
        install(here, made(manifest_text(TICKETS), files={"bulk": bulk[:600_000]}))
        second = back_up(here, repository)
    assert first.bytes_new > 2_000_000
    assert 600_000 < second.bytes_new < 800_000
