"""Whom to trust with plugins, and what they take back; both ways, on both databases (rule G5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from mairust_core.errors import Conflict, Forbidden, Invalid, Locked, NotFound, TooLarge
from mairust_core.model.hook import Fallback
from mairust_core.model.hook_forms import HookChange
from mairust_core.model.plugin_forms import PluginState, Terms
from mairust_core.model.trust import NewTrustKey, RevocationKind, RevocationsTaken
from mairust_core.operations import BytesIn
from mairust_core.plugins.package import keys
from mairust_core.plugins.revoking import AT_ONCE
from mairust_core.services.audit import Audit
from mairust_core.services.hooks import Hooks
from mairust_core.services.plugins import Plugins
from mairust_core.services.trust import Trust
from mairust_core.store import trust
from mairust_core.store.tables import trust_revocation
from tests.contract.services.conftest import Served
from tests.contract.services.words import Ops
from tests.support.linking import TESTER, link, manifest_text, new_id
from tests.support.packaging import Marketplace, Signing, body, install, key_id, made
from tests.support.waiting import OneMore


@pytest.fixture
def market(served: Served) -> Marketplace:
    """A marketplace of this test's own, which the site trusts."""
    found = Marketplace()
    found.trusted_on(served.site)
    return found


@pytest.fixture
def certified(market: Marketplace) -> Signing:
    """A key that it certified."""
    key = keys.generate()
    return Signing(key=key, certificate=market.certify(key))


def approved(served: Served, signing: Signing | None) -> str:
    """An approved plugin of a package signed so; its id."""
    id_ = install(served.site, made(manifest_text(new_id()), signing)).id
    served.here(Plugins).approve(id_)
    return id_


def blocked(served: Served, id_: str) -> bool:
    """Whether the hooks of a plugin count as their `on_error` says, rather than being asked."""
    (one,) = (one for one in served.site.hook_book.enabled() if one.hook.plugin == id_)
    return one.blocked


def test_a_root_is_trusted_renamed_and_trusted_no_longer(ops: Ops) -> None:
    """By its id or its name; two keys cannot have the same name."""
    market, other = Marketplace(), Marketplace()
    added = ops(Trust).add(market.as_trusted())
    assert (added.id, added.serial) == (market.id, None)
    assert bytes.fromhex(added.public_key) == keys.public_of(market.root)
    assert added in ops(Trust).browse(limit=500).items
    with pytest.raises(Conflict, match="called"):
        ops(Trust).add(replace(other.as_trusted(), name=added.name))
    again = ops(Trust).add(replace(market.as_trusted(), name=f"renamed {market.id}"))
    assert (again.id, again.added_at) == (added.id, added.added_at)
    assert ops(Trust).remove(again.name).name == market.id
    assert market.id not in {one.id for one in ops(Trust).browse(limit=500).items}
    with pytest.raises(NotFound):
        ops(Trust).remove(market.id)


@pytest.mark.parametrize(
    "text", ["", "hello", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_what_is_no_public_key_is_not_trusted(ops: Ops, text: str) -> None:
    """Least of all a private one."""
    with pytest.raises(Invalid):
        ops(Trust).add(NewTrustKey(name="x", public_key=text))


@pytest.mark.parametrize("what", ["package", "key", "developer"])
def test_rule_g5_a_revocation_blocks_at_once(
    ops: Ops, served: Served, market: Marketplace, certified: Signing, what: str
) -> None:
    """The plugin's hooks count as their `on_error` from then on; audited; no other plugin is touched."""
    signing = replace(certified, developer=keys.generate())
    id_, other = approved(served, signing), approved(served, Signing(key=market.root))
    digest = ops(Plugins).show(id_).package
    assert digest is not None
    ops(Hooks).edit(f"{id_}:pre_receive", HookChange(on_error=Fallback.REJECT))
    taken = {
        "package": market.revoke(1, manifests=[digest]),
        "key": market.revoke(1, [key_id(certified.key)]),
        "developer": market.revoke(1, [key_id(signing.developer)]),
    }[what]
    done = ops(Trust).import_revocations(taken)
    assert (done.root, done.serial, done.blocked) == (market.id, 1, (id_,))
    assert ops(Plugins).show(id_).state is PluginState.BLOCKED
    assert (blocked(served, id_), blocked(served, other)) == (True, False)
    assert ops(Audit).browse(subject=id_, operation="plugins.block").items
    (revoked,) = (one for one in ops(Trust).revocations(limit=500).items if one.root == market.id)
    assert revoked.kind is (RevocationKind.MANIFEST if what == "package" else RevocationKind.KEY)
    for call in (ops(Plugins).enable, ops(Plugins).approve):
        with pytest.raises(Conflict, match="is blocked"):
            call(id_)
    assert ops(Plugins).disable(id_).state is PluginState.DISABLED
    assert id_ not in {one.hook.plugin for one in served.site.hook_book.enabled()}
    with pytest.raises(Forbidden, match="was revoked"):
        ops(Plugins).enable(id_)


def test_rule_d2_a_list_writes_what_it_adds_and_approvals_read_what_they_need(
    ops: Ops, served: Served, market: Marketplace
) -> None:
    """Lists only grow: what is taken back already is not written again, and nobody loads all of it."""
    values = [f"{number:016x}" for number in range(1100)]
    assert ops(Trust).import_revocations(market.revoke(1, values[:-1])).keys == 1099
    with served.site.storage.write() as tx:
        mine = trust_revocation.c.root == market.id
        tx.execute(trust_revocation.update().where(mine).values(taken_ms=5))
    assert ops(Trust).import_revocations(market.revoke(2, values[1:])).released == (values[0],)
    with served.site.storage.read() as tx:
        rows = tx.execute(trust_revocation.select().where(mine)).all()
        asked = trust.trusted(tx, TESTER, [values[0], values[7], values[-1]])
    assert {row.value for row in rows if row.taken_ms != 5} == {values[-1]}
    assert len(rows) == 1099
    assert asked.revoked[market.id] == {values[7], values[-1]}
    with served.site.storage.write() as tx:  # other tests look at a page of all lists
        tx.execute(trust_revocation.delete().where(mine))


def test_an_import_that_was_killed_goes_on_from_what_it_took_back(
    ops: Ops, served: Served, market: Marketplace
) -> None:
    """Until the list comes again its serial is not in force, while what it adds may be already."""
    ops(Trust).import_revocations(market.revoke(1, ["1" * 16]))
    taken = served.site.read_revocations(market.revoke(2, ["1" * 16, "2" * 16]))
    served.site.revoking.announce(TESTER, taken)
    (root,) = (one for one in ops(Trust).browse(limit=500).items if one.id == market.id)
    assert root.serial == 1
    assert ops(Trust).import_revocations(market.revoke(2, ["1" * 16, "2" * 16])).keys == 2
    ops(Trust).import_revocations(market.revoke(2, ["1" * 16, "2" * 16]))


def test_rule_d2_a_list_that_names_much_less_releases_it_after_it_is_in_force(
    ops: Ops, served: Served, market: Marketplace
) -> None:
    """Killed in between, the rest stays taken back until a list comes again, be it the same; no other one."""
    values = [f"{number:016x}" for number in range(AT_ONCE + 2)]
    ops(Trust).import_revocations(market.revoke(1, values))
    revoking, taken = served.site.revoking, served.site.read_revocations(market.revoke(2, values[:1]))
    announced = revoking.announce(TESTER, taken)
    with served.site.storage.write() as tx:
        assert revoking.take(tx, TESTER, taken, announced).released == tuple(values[1:])
    assert still_revoked(served, market) == set(values)
    with pytest.raises(Conflict, match="Another list"):
        ops(Trust).import_revocations(market.revoke(2, values))
    assert ops(Trust).import_revocations(market.revoke(2, values[:1])).released == tuple(values[1:])
    assert still_revoked(served, market) == {values[0]}


def test_what_a_newer_list_names_again_is_not_released_by_the_one_before(
    ops: Ops, served: Served, market: Marketplace
) -> None:
    """It came in between, when the database had let go of the lock."""
    values = [f"{number:016x}" for number in range(AT_ONCE + 2)]
    ops(Trust).import_revocations(market.revoke(1, values))
    revoking, shorter = served.site.revoking, served.site.read_revocations(market.revoke(2))
    announced = revoking.announce(TESTER, shorter)
    with served.site.storage.write() as tx:
        revoking.take(tx, TESTER, shorter, announced)
    ops(Trust).import_revocations(market.revoke(3, values))
    with pytest.raises(Locked):
        revoking.release(TESTER, shorter, announced)
    assert still_revoked(served, market) == set(values)
    ops(Trust).import_revocations(market.revoke(4))  # others look at the site's first page
    assert still_revoked(served, market) == set()


def still_revoked(served: Served, market: Marketplace) -> set[str]:
    """What a marketplace took back."""
    with served.site.storage.read() as tx:
        return {one.partition(":")[2] for one in trust.taken_back(tx, TESTER, market.id)}


def test_of_two_lists_at_once_one_waits(ops: Ops, served: Served, market: Marketplace) -> None:
    """It is told so at once; one that was announced before another came into force is not put over it."""
    site = served.site
    second = site.read_revocations(market.revoke(2, ["2" * 16]))
    announced = site.revoking.announce(TESTER, second)
    with site.revoking.alone(), pytest.raises(Locked, match="is doing that already"):
        ops(Trust).import_revocations(market.revoke(1, ["1" * 16]))
    ops(Trust).import_revocations(market.revoke(1, ["1" * 16]))
    with site.storage.write() as tx, pytest.raises(Locked):
        site.revoking.take(tx, TESTER, second, announced)
    assert still_revoked(served, market) == {"1" * 16}
    with pytest.raises(Conflict, match="Another list"):
        site.revoking.announce(TESTER, site.read_revocations(market.revoke(1, ["2" * 16])))


def test_a_blocked_plugin_comes_back_by_a_version_that_is_not_revoked(
    ops: Ops, served: Served, market: Marketplace, certified: Signing
) -> None:
    """It waits for approval in any case; until then it stays blocked. What is revoked does not come in."""
    id_ = approved(served, certified)
    ops(Trust).import_revocations(market.revoke(1, [key_id(certified.key)]))
    with pytest.raises(Forbidden, match="key that was revoked"):
        ops(Plugins).install(body(made(manifest_text(id_, version="1.0.1"), certified)))
    done = ops(Plugins).install(body(made(manifest_text(id_), Signing(key=market.root))))
    assert done.state is PluginState.PENDING
    assert (ops(Plugins).show(id_).state, blocked(served, id_)) == (PluginState.BLOCKED, True)
    assert ops(Plugins).approve(id_).state is PluginState.ENABLED
    assert not blocked(served, id_)


def test_an_older_list_is_refused(ops: Ops, market: Marketplace) -> None:
    """The same again is done; a newer one takes its place; also after the root went and came back."""
    ops(Trust).import_revocations(market.revoke(7, ["0" * 16]))
    assert ops(Trust).import_revocations(market.revoke(7, ["0" * 16])).keys == 1
    with pytest.raises(Conflict, match="serial 6, and 7 is in force"):
        ops(Trust).import_revocations(market.revoke(6))
    ops(Trust).import_revocations(market.revoke(8))
    assert market.id not in {one.root for one in ops(Trust).revocations(limit=500).items}
    ops(Trust).remove(market.id)
    ops(Trust).add(market.as_trusted())
    with pytest.raises(Conflict, match="serial 7, and 8 is in force"):
        ops(Trust).import_revocations(market.revoke(7))


def test_of_a_list_its_date_is_kept_and_that_there_is_no_newer_one(ops: Ops, market: Marketplace) -> None:
    """By its id or its name; a root without any list has none."""
    ops(Trust).import_revocations(market.revoke(3, days=-40))
    (key,) = (one for one in ops(Trust).browse(limit=500).items if one.id == market.id)
    assert key.issued_at is not None
    assert (datetime.now(UTC) - key.issued_at).days == 40
    assert (key.confirmed_at, key.restored_at) == (None, None)
    confirmed = ops(Trust).confirm_revocations(key.name)
    assert confirmed.confirmed_at is not None
    assert replace(confirmed, confirmed_at=None) == key
    with pytest.raises(NotFound):
        ops(Trust).confirm_revocations("f" * 16)
    for serial, still in ((3, confirmed.confirmed_at), (4, None)):
        ops(Trust).import_revocations(market.revoke(serial, days=-39))
        (key,) = (one for one in ops(Trust).browse(limit=500).items if one.id == market.id)
        assert (key.serial, key.confirmed_at) == (serial, still), "it was said of list 3"


def test_rule_g5_no_other_list_of_the_same_serial_releases_a_key(ops: Ops, market: Marketplace) -> None:
    """Two people who extend the same list make one each; what a newer one leaves out is told."""
    first, second = "1" * 16, "2" * 16
    ops(Trust).import_revocations(market.revoke(2, [first]))
    with pytest.raises(Conflict, match="Another list of revocations"):
        ops(Trust).import_revocations(market.revoke(2, [second]))
    done = ops(Trust).import_revocations(market.revoke(3, [second]))
    assert done.released == (first,)
    assert ops(Audit).browse(subject=market.id, operation="trust.release").items


def test_rule_g5_what_is_switched_off_and_revoked_stays_off(
    ops: Ops, served: Served, market: Marketplace
) -> None:
    """Mail does not wait for it; nothing runs it, and a version that comes waits for approval."""
    signing = Signing(key=market.root)
    id_ = approved(served, signing)
    ops(Plugins).disable(id_)
    done = ops(Trust).import_revocations(market.revoke(1, manifests=[ops(Plugins).show(id_).package or ""]))
    assert (done.blocked, ops(Plugins).show(id_).state) == ((), PluginState.DISABLED)
    assert done.already_disabled == (id_,)
    assert ops(Audit).browse(subject=id_, operation="plugins.revoke").items
    with pytest.raises(Forbidden, match="was revoked"):
        ops(Plugins).enable(id_)
    with pytest.raises(Conflict, match="is blocked"):
        served.site.runnable(TESTER, id_)
    newer = install(served.site, made(manifest_text(id_, version="1.1.0"), signing))
    assert newer.state is PluginState.PENDING
    assert ops(Plugins).approve(id_).state is PluginState.DISABLED


@pytest.mark.parametrize("known", [False, True])
def test_rule_g5_what_is_revoked_while_it_comes_in_does_not_run(
    ops: Ops, served: Served, market: Marketplace, certified: Signing, known: bool
) -> None:
    """New or an upgrade: trust is looked at in the transaction that has it run."""
    installer, terms = served.site.installer, Terms()
    runs = approved(served, certified)
    new = manifest_text(new_id(), "post_receive", permissions="read_headers = true")
    text = manifest_text(runs, version="1.1.0") if known else new
    with installer.arrived(TESTER, body(made(text, certified)), terms) as came:
        installer.keep(TESTER, came)
        ops(Trust).import_revocations(market.revoke(1, [key_id(certified.key)]))
        with pytest.raises(Forbidden, match="key that was revoked"), served.site.storage.write() as tx:
            installer.install(tx, TESTER, came, terms)
    assert ops(Plugins).show(runs).version == "1.0.0"


def test_no_root_is_taken_for_another_by_its_name(ops: Ops, market: Marketplace) -> None:
    """A name that looks like an id is none."""
    with pytest.raises(Invalid, match="looks like the id"):
        ops(Trust).add(NewTrustKey(name=market.id, public_key=Marketplace().public))


def test_a_list_counts_for_its_own_root_alone(ops: Ops, served: Served, market: Marketplace) -> None:
    """And for what nobody signed; a root that is not trusted says nothing."""
    id_, unsigned = approved(served, Signing(key=market.root)), approved(served, None)
    digests = [ops(Plugins).show(one).package or "" for one in (id_, unsigned)]
    other = Marketplace()
    with pytest.raises(Invalid, match="not trusted here"):
        ops(Trust).import_revocations(other.revoke(1, manifests=digests))
    other.trusted_on(served.site)
    assert ops(Trust).import_revocations(other.revoke(1, [market.id], digests)).blocked == (unsigned,)
    assert not blocked(served, id_)
    for one in (id_, unsigned):
        ops(Plugins).disable(one)
    done = ops(Trust).import_revocations(other.revoke(2, [market.id], digests))
    assert (done.blocked, done.already_disabled) == ((), (unsigned,))


def test_what_waits_is_dropped_when_it_is_revoked(ops: Ops, served: Served, market: Marketplace) -> None:
    """What runs goes on; a plugin of which nothing else is there is blocked."""
    signing = Signing(key=market.root)
    runs, waits = approved(served, signing), new_id()
    more = 'read_body = "full"'
    newer = install(served.site, made(manifest_text(runs, version="2.0.0", permissions=more), signing))
    install(served.site, made(manifest_text(waits), signing))
    digests = [digest_of(served, one) for one in (runs, waits)]
    done = ops(Trust).import_revocations(market.revoke(1, manifests=digests))
    assert (newer.state, done.blocked) == (PluginState.PENDING, (waits,))
    plugin = ops(Plugins).show(runs)
    assert (plugin.state, plugin.version, plugin.pending) == (PluginState.ENABLED, "1.0.0", None)
    assert ops(Audit).browse(subject=runs, operation="plugins.drop_pending").items
    assert ops(Plugins).show(waits).state is PluginState.BLOCKED
    assert ops(Plugins).remove(waits).removed


def digest_of(served: Served, id_: str) -> str:
    """The package of a plugin that waits."""
    from mairust_core import store

    with served.site.storage.read() as tx:
        return store.plugins.get(tx, TESTER, id_).pending_package or ""


def test_a_rollback_to_what_was_revoked_is_refused(ops: Ops, served: Served, market: Marketplace) -> None:
    """Though it is kept."""
    signing = Signing(key=market.root)
    id_ = approved(served, signing)
    first = ops(Plugins).show(id_).package or ""
    install(served.site, made(manifest_text(id_, version="1.1.0"), signing))
    assert ops(Trust).import_revocations(market.revoke(1, manifests=[first])).blocked == ()
    with pytest.raises(Forbidden, match="was revoked"):
        ops(Plugins).rollback(id_)
    assert ops(Plugins).show(id_).version == "1.1.0"


def test_a_blocked_plugin_goes_back_to_what_is_not_revoked(
    ops: Ops, served: Served, market: Marketplace
) -> None:
    """By a rollback, which is somebody's decision as an approval is."""
    signing = Signing(key=market.root)
    id_ = approved(served, signing)
    install(served.site, made(manifest_text(id_, version="1.1.0"), signing))
    newer = ops(Plugins).show(id_).package or ""
    assert ops(Trust).import_revocations(market.revoke(1, manifests=[newer])).blocked == (id_,)
    plugin = ops(Plugins).rollback(id_)
    assert (plugin.version, plugin.state) == ("1.0.0", PluginState.ENABLED)
    assert not blocked(served, id_)
    for call in (ops(Plugins).rollback, lambda one: ops(Plugins).rollback_to(one, "1.1.0")):
        with pytest.raises(Forbidden, match="was revoked"):
            call(id_)


def test_a_root_that_revoked_itself_is_not_trusted_again(ops: Ops, market: Marketplace) -> None:
    """It says that somebody else may have it."""
    ops(Trust).import_revocations(market.revoke(1, [market.id]))
    ops(Trust).remove(market.id)
    with pytest.raises(Forbidden, match="revoked itself"):
        ops(Trust).add(market.as_trusted())


def test_a_root_that_another_one_revoked_is_trusted_only_if_that_is_said(
    ops: Ops, market: Marketplace
) -> None:
    """It is audited; a root that is trusted no longer says nothing, and renaming needs no word."""
    other = Marketplace()
    ops(Trust).import_revocations(market.revoke(1, [other.id]))
    with pytest.raises(Forbidden, match=f"another root that is trusted here: {market.id}"):
        ops(Trust).add(other.as_trusted())
    ops(Trust).remove(market.id)
    assert ops(Trust).add(other.as_trusted()).id == other.id
    ops(Trust).remove(other.id)
    ops(Trust).add(market.as_trusted())
    wanted = replace(other.as_trusted(), although_revoked=True)
    assert not ops(Audit).browse(subject=other.id, operation="trust.add_although_revoked").items
    assert ops(Trust).add(wanted).id == other.id
    assert len(ops(Audit).browse(subject=other.id, operation="trust.add_although_revoked").items) == 1
    assert ops(Trust).add(replace(other.as_trusted(), name=f"renamed {other.id}")).id == other.id
    ops(Trust).import_revocations(other.revoke(1, [other.id]))
    ops(Trust).remove(other.id)
    with pytest.raises(Forbidden, match="revoked itself"):
        ops(Trust).add(wanted)


@pytest.mark.parametrize("served", ["postgresql"], indirect=True)
def test_rule_g5_who_installs_and_who_takes_back_wait_for_each_other(
    served: Served, market: Marketplace, certified: Signing
) -> None:
    """On two connections: the list comes after what was being installed, and blocks it."""
    site = served.site
    text = manifest_text(new_id(), "post_receive", permissions="read_headers = true")
    taking = partial(served.here(Trust).import_revocations, market.revoke(1, [key_id(certified.key)]))
    with site.installer.arrived(TESTER, body(made(text, certified)), Terms()) as came, OneMore() as other:
        site.installer.keep(TESTER, came)
        with site.storage.write() as tx:
            done = site.installer.install(tx, TESTER, came, Terms())
            other.begin(taking)
            assert other.waits(site.storage.url)
        assert done.state is PluginState.ENABLED
        taken = other.end()
    assert isinstance(taken, RevocationsTaken)
    assert (taken.blocked, served.here(Plugins).show(done.id).state) == ((done.id,), PluginState.BLOCKED)


@pytest.mark.parametrize("served", ["postgresql"], indirect=True)
def test_rule_g5_a_root_that_is_being_removed_installs_nothing(
    served: Served, market: Marketplace, certified: Signing
) -> None:
    """The other way round: who installs waits for who takes trust away, and is refused."""
    site = served.site
    installing = partial(install, site, made(manifest_text(new_id()), certified))
    with OneMore() as other:
        with site.storage.write() as tx:
            trust.hold(site.storage, tx)
            other.begin(installing)
            assert other.waits(site.storage.url)
            trust.remove(tx, TESTER, market.id)
        with pytest.raises(Forbidden, match="is trusted here no longer"):
            other.end()


@pytest.mark.parametrize("served", ["postgresql"], indirect=True)
@pytest.mark.parametrize("what", ["link", "remove"])
def test_rule_g5_who_links_or_removes_waits_for_who_takes_back(
    served: Served, market: Marketplace, tmp_path: Path, what: str
) -> None:
    """A list writes whole plugins: what it read of them a moment before must be all there is."""
    id_ = install(served.site, made(manifest_text(new_id()), Signing(key=market.root))).id
    text = manifest_text(id_)
    doing: dict[str, Callable[[], object]] = {
        "link": partial(link, served.site, tmp_path, text),
        "remove": partial(served.here(Plugins).remove, id_),
    }
    with OneMore() as other:
        with served.site.storage.write() as tx:
            trust.hold(served.site.storage, tx)
            other.begin(doing[what])
            assert other.waits(served.site.storage.url)
        other.end()


@pytest.mark.parametrize("damage", ["text", "changed", "large", "other document"])
def test_what_is_no_list_changes_nothing(ops: Ops, market: Marketplace, damage: str) -> None:
    """Neither one that somebody changed, nor one that would fill the memory."""
    good = b"".join(market.revoke(1, ["0" * 16]).chunks)
    bad = {
        "text": b"hello",
        "changed": good.replace(b'"serial": 1', b'"serial": 2'),
        "large": good + b" " * (4 << 20),
        "other document": market.certify(keys.generate()),
    }[damage]
    assert bad != good
    with pytest.raises((Invalid, TooLarge)):
        ops(Trust).import_revocations(BytesIn(chunks=(bad,), size_bytes=len(bad)))
    assert market.id not in {one.root for one in ops(Trust).revocations(limit=500).items}


def test_revocations_come_in_pages(ops: Ops, market: Marketplace) -> None:
    """Each once, in the order of root, kind and value."""
    ids = [f"{n:016x}" for n in range(5)]
    ops(Trust).import_revocations(market.revoke(1, ids, ["a" * 64]))
    found, cursor = [], ""
    while True:
        page = ops(Trust).revocations(cursor=cursor, limit=2)
        found += [one.value for one in page.items if one.root == market.id]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert found == [*ids, "a" * 64]
