"""Packages: installed, reviewed, approved, upgraded, rolled back, removed; both ways, on both databases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from mairust_core.errors import Conflict, Forbidden, NotFound
from mairust_core.ids import now_ms
from mairust_core.model.plugin import Body, Runnable
from mairust_core.model.plugin_forms import PluginState, RightKind, Source
from mairust_core.model.trust import SignedAs
from mairust_core.plugins.manifest import on_paper, read_manifest
from mairust_core.plugins.package import keys
from mairust_core.plugins.registry import secret_name
from mairust_core.services.audit import Audit
from mairust_core.services.config import Config
from mairust_core.services.hooks import Hooks
from mairust_core.services.plugins import PACKAGE, Plugins
from mairust_core.store import packages, plugins
from tests.contract.services.conftest import Served
from tests.contract.services.words import Ops
from tests.support import kept as kept_by_site
from tests.support.linking import TESTER, http_text, link, manifest_text, new_id
from tests.support.packaging import Marketplace, Signing, body, install, key_id, made, upgraded

FULL = 'read_headers = true\nread_body = "full"'
MODEST = "read_headers = true"


@pytest.fixture(scope="module")
def market(served: Served) -> Marketplace:
    """A marketplace that the site trusts."""
    found = Marketplace()
    found.trusted_on(served.site)
    return found


@pytest.fixture
def certified(market: Marketplace) -> Signing:
    """A key that it certified, and a developer."""
    key = keys.generate()
    return Signing(key=key, certificate=market.certify(key), developer=keys.generate())


def runs(served: Served, id_: str) -> dict[str, Runnable]:
    """The hooks of a plugin that are asked now, and what answers them."""
    return {one.hook.name: one.plugin for one in served.site.hook_book.enabled() if one.hook.plugin == id_}


def approved(served: Served, signing: Signing | None, **more: str) -> str:
    """A plugin that was installed and approved; its id."""
    id_ = install(served.site, made(manifest_text(new_id(), **more), signing)).id
    served.here(Plugins).approve(id_)
    return id_


def test_installed_reviewed_approved_and_unpacked(
    ops: Ops, served: Served, certified: Signing, market: Marketplace
) -> None:
    """The life of a package: pending with a review, then running from files that this node unpacks."""
    id_ = new_id()
    data = made(manifest_text(id_), certified)
    done = ops(Plugins).install(body(data))
    assert (done.id, done.version, done.state, done.secret) == (id_, "1.0.0", PluginState.PENDING, None)
    mark, developer = done.signatures
    assert (mark.signed_as, mark.key_id) == (SignedAs.MARKETPLACE, key_id(certified.key))
    assert (mark.root, mark.root_name) == (market.id, f"Example {market.id}")
    assert mark.not_after is not None
    assert (developer.signed_as, developer.key_id) == (SignedAs.DEVELOPER, key_id(certified.developer))
    assert done.review is not None
    told = {right.name: right for right in done.review.rights}
    assert told["root"].value == f"Example {market.id} ({market.id})"
    assert (told["root"].kind, told["root"].more) == (RightKind.TRUST, False)
    assert runs(served, id_) == {}
    assert ops(Plugins).show(id_).pending == done.review

    assert ops(Plugins).approve_review(id_, done.review.id).state is PluginState.ENABLED
    plugin = ops(Plugins).show(id_)
    assert (plugin.source, plugin.directory, plugin.signatures) == (Source.PACKAGE, None, done.signatures)
    (runnable,) = runs(served, id_).values()
    assert runnable.package == plugin.package
    assert served.site.unpacked.have([runnable]) == {}
    assert runnable.directory is not None
    assert (runnable.directory / "plugin.sh").stat().st_mode & 0o777 == 0o555
    again = ops(Plugins).install(body(data))
    assert (again.state, again.review, again.version) == (PluginState.ENABLED, None, "1.0.0")


def test_rule_g1_what_is_modest_and_signed_runs_at_once(ops: Ops, served: Served, certified: Signing) -> None:
    """Headers, after storing, nothing in the network: nobody is asked, and the audit says so."""
    text = manifest_text(new_id(), "post_receive", permissions=MODEST)
    done = ops(Plugins).install(body(made(text, certified)))
    assert (done.state, done.review) == (PluginState.ENABLED, None)
    assert list(runs(served, done.id)) == [f"{done.id}:post_receive"]
    plugin = ops(Plugins).show(done.id)
    assert (plugin.approved_by, plugin.pending) == ("automatic", None)
    entries = ops(Audit).browse(subject=done.id).items
    assert {one.operation for one in entries} == {"plugins.install", "plugins.auto_approve"}


def test_rule_g1_any_power_needs_approval(served: Served, certified: Signing) -> None:
    """One of them is enough; so is a missing signature."""
    text = manifest_text(new_id(), "post_receive", permissions=MODEST)
    socket = served.site.settings.plugins.socket_dir / "other.sock"
    powers = [
        text.replace("post_receive", "pre_receive"),
        text.replace(MODEST, FULL),
        text.replace(MODEST, f"{MODEST}\nwrite_tags = true"),
        text + "[limits]\ncpu_ms = 501\n",
        text.replace('"stdin"\ncommand = ["./plugin.sh"]', f'"unix"\nendpoint = "unix:{socket}"'),
        text + '[limits]\nnetwork = "local-only"\nnetwork_allow = ["127.0.0.1:9"]\n',
    ]
    for number, power in enumerate(powers):
        done = install(served.site, made(power.replace("com.", f"p{number}."), certified))
        assert done.state is PluginState.PENDING, power
    assert install(served.site, made(text)).state is PluginState.PENDING


def test_an_upgrade_that_asks_for_no_more_runs_at_once(
    ops: Ops, served: Served, certified: Signing, market: Marketplace
) -> None:
    """Also under another key of the same root; what ran before is kept, what was set of hooks stays."""
    id_ = approved(served, certified)
    before = ops(Plugins).show(id_)
    other = keys.generate()
    signing = replace(certified, key=other, certificate=market.certify(other))
    done = ops(Plugins).install(body(made(manifest_text(id_, version="1.1.0"), signing)), upgrade=True)
    assert (done.state, done.version) == (PluginState.ENABLED, "1.1.0")
    after = ops(Plugins).show(id_)
    assert (after.version, after.previous_version, after.approved_at) == (
        "1.1.0", "1.0.0", before.approved_at,
    )  # fmt: skip
    assert after.package != before.package
    assert {one.package for one in runs(served, id_).values()} == {after.package}


@pytest.mark.parametrize("reason", ["more", "root", "nobody", "developer changed", "developer vanished"])
def test_rule_g5_an_upgrade_that_needs_a_decision_waits(
    ops: Ops, served: Served, certified: Signing, reason: str
) -> None:
    """While the version before runs, with the rights it has. The review marks why."""
    id_ = approved(served, certified)
    other = Marketplace()
    other.trusted_on(served.site)
    signing = {
        "root": replace(certified, key=other.root, certificate=None),
        "nobody": Signing(developer=certified.developer),
        "developer changed": replace(certified, developer=keys.generate()),
        "developer vanished": replace(certified, developer=None),
    }.get(reason, certified)
    more = {"permissions": FULL} if reason == "more" else {}
    done = ops(Plugins).install(body(made(manifest_text(id_, version="2.0.0", **more), signing)))
    assert (done.state, done.version) == (PluginState.PENDING, "2.0.0")
    assert done.review is not None
    marked = {right.name for right in done.review.rights if right.more}
    assert marked == {
        "more": {"read_body"}, "root": {"root"}, "nobody": {"root"}, "developer changed": {"developer"},
        "developer vanished": {"developer"},
    }[reason]  # fmt: skip
    plugin = ops(Plugins).show(id_)
    assert (plugin.version, plugin.state, plugin.pending) == ("1.0.0", PluginState.ENABLED, done.review)
    assert {(one.version, one.permissions.read_body) for one in runs(served, id_).values()} == {
        ("1.0.0", Body.NONE)
    }
    ops(Plugins).approve_review(id_, done.review.id)
    assert {one.version for one in runs(served, id_).values()} == {"2.0.0"}
    assert ops(Plugins).show(id_).previous_version == "1.0.0"


def test_the_running_package_once_more_is_not_told_as_the_one_that_waits(
    ops: Ops, served: Served, certified: Signing
) -> None:
    """Its own version, state and signers are the answer; what waits goes on waiting as it was reviewed."""
    id_ = approved(served, certified)
    newer = manifest_text(id_, version="2.0.0", permissions=FULL)
    waiting = install(served.site, made(newer, replace(certified, developer=None))).review
    assert waiting is not None
    again = ops(Plugins).install(body(made(manifest_text(id_), certified)), upgrade=True)
    assert (again.state, again.version, again.review) == (PluginState.ENABLED, "1.0.0", None)
    assert [one.signed_as for one in again.signatures] == [SignedAs.MARKETPLACE, SignedAs.DEVELOPER]
    assert ops(Plugins).show(id_).pending == waiting


def test_a_link_over_a_signed_package_waits(served: Served, certified: Signing, tmp_path: Path) -> None:
    """Whoever can write into a directory is not whoever signed."""
    id_ = approved(served, certified)
    linked = link(served.site, tmp_path, manifest_text(id_))
    assert linked.state is PluginState.PENDING
    assert {one.package for one in runs(served, id_).values()} != {None}
    served.here(Plugins).approve(id_)
    plugin = served.here(Plugins).show(id_)
    assert (plugin.source, plugin.directory, plugin.package) == (Source.LINK, str(tmp_path), None)
    assert plugin.previous_version == "1.0.0"


def test_nothing_is_approved_that_was_not_reviewed(ops: Ops, served: Served, certified: Signing) -> None:
    """Not even the same plugin.toml with another file, or signed by somebody else."""
    id_ = new_id()
    reviewed = install(served.site, made(manifest_text(id_), certified)).review
    assert reviewed is not None
    for other in (made(manifest_text(id_), replace(certified, developer=None)), made(manifest_text(id_))):
        install(served.site, other)
        with pytest.raises(Conflict, match="something else than was reviewed"):
            ops(Plugins).approve_review(id_, reviewed.id)


def test_the_same_package_signed_by_another_changes_nothing_that_runs(
    served: Served, certified: Signing
) -> None:
    """Whoever signs what runs once more does not become the one whom later versions are compared with."""
    id_ = approved(served, certified)
    other = Marketplace()
    other.trusted_on(served.site)
    with pytest.raises(Conflict, match="signatures of others"):
        install(served.site, made(manifest_text(id_), replace(certified, key=other.root, certificate=None)))
    assert served.here(Plugins).show(id_).signatures[0].key_id == key_id(certified.key)
    newer = made(manifest_text(id_, version="1.1.0"), Signing(key=other.root))
    assert install(served.site, newer).state is PluginState.PENDING


def test_rule_g5_an_upload_does_not_change_who_stood_for_what_a_rollback_leads_to(
    ops: Ops, served: Served, certified: Signing, market: Marketplace
) -> None:
    """Or another root would stand for it."""
    id_ = approved(served, certified)
    install(served.site, made(manifest_text(id_, version="1.1.0"), certified))
    other = Marketplace()
    other.trusted_on(served.site)
    again = made(manifest_text(id_), replace(certified, key=other.root, certificate=None))
    with pytest.raises(Conflict, match="signatures of others"):
        ops(Plugins).install(body(again), allow_downgrade=True)
    assert key_id(certified.developer) in {one.key_id for one in ops(Plugins).rollback(id_).signatures}


def test_a_package_is_renewed_by_the_same_hands(
    ops: Ops, served: Served, certified: Signing, market: Marketplace
) -> None:
    """A longer licence, another key of the same root: taken and told; a shorter one changes nothing."""
    id_ = new_id()
    licences = [market.license(id_, until=days) for days in (1, 365, 30)]
    install(served.site, made(manifest_text(id_), replace(certified, licence=licences[0])))
    ops(Plugins).approve(id_)
    assert (first := ops(Plugins).show(id_).licence) is not None
    key = keys.generate()
    anew = replace(certified, licence=licences[1], key=key, certificate=market.certify(key))
    done = ops(Plugins).install(body(made(manifest_text(id_), anew)))
    assert (done.state, done.renewed) == (PluginState.ENABLED, True)
    plugin = ops(Plugins).show(id_)
    assert (plugin.licence or first).not_after > first.not_after  # type: ignore[operator]
    assert plugin.signatures[0].key_id == key_id(key)
    assert ops(Audit).browse(subject=id_, operation="plugins.renew").items
    shorter = ops(Plugins).install(body(made(manifest_text(id_), replace(anew, licence=licences[2]))))
    assert (shorter.renewed, ops(Plugins).show(id_).licence) == (False, plugin.licence)


def test_a_rollback_leaves_a_missing_secret_to_the_approval_that_shows_it(
    served: Served, certified: Signing
) -> None:
    """What nobody sees is of use to nobody."""
    id_ = new_id()
    for version in ("1.0.0", "1.1.0"):
        install(served.site, made(http_text(id_).replace("1.0.0", version), certified))
        served.here(Plugins).approve(id_)
    with served.site.storage.write() as tx:
        served.site.secrets.delete(tx, secret_name(id_), tenant_id=TESTER.tenant_id)
    served.here(Plugins).rollback(id_)
    assert served.here(Plugins).approve(id_).secret


def test_back_and_forth(ops: Ops, served: Served) -> None:
    """A rollback leads to what ran before, with the rights it had; asked twice it does not lead forth."""
    id_ = upgraded(served.here(Plugins))
    install(served.site, made(manifest_text(id_, version="2.0.0", permissions=FULL)))
    plugin = ops(Plugins).rollback(id_)
    assert (plugin.version, plugin.previous_version, plugin.pending) == ("1.0.0", "1.1.0", None)
    assert {one.version for one in runs(served, id_).values()} == {"1.0.0"}
    with pytest.raises(Conflict, match=r"--to 1\.1\.0"):
        ops(Plugins).rollback(id_)
    assert ops(Plugins).rollback_to(id_, "1.0.0") == ops(Plugins).show(id_)
    with pytest.raises(Conflict, match=r"not 9\.9\.9"):
        ops(Plugins).rollback_to(id_, "9.9.9")
    assert ops(Plugins).rollback_to(id_, "1.1.0").version == "1.1.0"
    alone = approved(served, None)
    with pytest.raises(Conflict, match="ran before"):
        ops(Plugins).rollback(alone)
    with pytest.raises(NotFound):
        ops(Plugins).rollback(new_id())


def test_a_rollback_that_gives_more_rights_is_reviewed_as_an_upgrade_is(ops: Ops, served: Served) -> None:
    """Whoever took rights away since reads what comes back, and names just that."""
    id_ = approved(served, None, permissions=FULL)
    less = made(manifest_text(id_, version="1.1.0", permissions=MODEST))
    assert install(served.site, less).state is PluginState.ENABLED
    asked = ops(Plugins).review_rollback(id_)
    assert [(one.name, one.value, one.was) for one in asked.rights if one.more] == [
        ("read_body", "full", "none")
    ]
    assert ops(Plugins).review_rollback(id_, to="1.0.0") == asked
    for to in ("", "1.0.0", served_digest(served, id_)):
        with pytest.raises(Conflict, match="asks for more than is in force"):
            ops(Plugins).rollback_to(id_, to) if to else ops(Plugins).rollback(id_)
    assert {one.permissions.read_body for one in runs(served, id_).values()} == {Body.NONE}
    with pytest.raises(Conflict, match="not 0000"):
        ops(Plugins).rollback_to(id_, "0000")
    done = ops(Plugins).rollback_to(id_, asked.id)
    assert (done.version, done.permissions.read_body) == ("1.0.0", Body.FULL)
    again = ops(Plugins).rollback_to(id_, asked.id)
    assert (again.version, again.previous_version) == ("1.0.0", "1.1.0")
    there = ops(Plugins).review_rollback(id_, to="1.0.0")
    assert (there.id, there.version, there.rights) == ("none", "1.0.0", ())
    forth = ops(Plugins).review_rollback(id_, to="1.1.0")
    assert not any(one.more for one in forth.rights)
    assert ops(Plugins).rollback_to(id_, "1.1.0").version == "1.1.0"


def served_digest(served: Served, id_: str) -> str:
    """The digest of the package that a rollback leads to."""
    with served.site.storage.read() as tx:
        return plugins.get(tx, TESTER, id_).previous_package or ""


def test_an_older_version_only_on_request(ops: Ops, served: Served, tmp_path: Path) -> None:
    """So for another build of the same version."""
    id_ = approved(served, None, version="1.1.0")
    older = made(manifest_text(id_, version="1.0.9"))
    same = made(manifest_text(id_, version="1.1.0", permissions=MODEST))
    with pytest.raises(Conflict, match=r"version 1\.1\.0, and this package is 1\.0\.9"):
        ops(Plugins).install(body(older))
    with pytest.raises(Conflict, match="another one"):
        ops(Plugins).install(body(same))
    assert ops(Plugins).install(body(same), allow_downgrade=True).state is PluginState.ENABLED
    assert ops(Plugins).install(body(older), allow_downgrade=True).state is PluginState.PENDING
    with pytest.raises(NotFound, match="to upgrade"):
        ops(Plugins).install(body(made(manifest_text(new_id()))), upgrade=True)


def test_removing_leaves_nothing_for_long(ops: Ops, served: Served) -> None:
    """With purge at once, otherwise as soon as an hour is over."""
    purged, plain = (upgraded(served.here(Plugins)) for _ in range(2))
    ops(Plugins).remove(purged, purge=True)
    ops(Plugins).remove(plain)
    assert (kept(served, purged), kept(served, plain)) == (0, 2)
    held = approved(served, None)
    with served.site.storage.write() as tx:
        assert packages.collect(served.site.storage, tx, now_ms() - 3_600_000, 10_000) == 0
    collect(served)
    assert (kept(served, plain), kept(served, held)) == (0, 1)
    with served.site.storage.read() as tx:
        archives = set(packages.kept_bytes(tx, TESTER))
        assert archives == kept_by_site.archives(tx)


def collect(served: Served) -> None:
    """Collect packages as if an hour had passed."""
    with served.site.storage.write() as tx:
        while packages.collect(served.site.storage, tx, now_ms() + 1, 10_000):
            pass


def kept(served: Served, id_: str) -> int:
    """How many packages of a plugin are kept."""
    with served.site.storage.read() as tx:
        return kept_by_site.count(tx, id_)


def test_settings_of_hooks_survive_upgrade_and_rollback(served: Served, certified: Signing) -> None:
    """Rule J5."""
    id_ = approved(served, certified)
    served.here(Hooks).disable(f"{id_}:pre_receive")
    install(served.site, made(manifest_text(id_, version="1.1.0"), certified))
    assert not served.here(Hooks).show(f"{id_}:pre_receive").enabled
    served.here(Plugins).rollback(id_)
    assert not served.here(Hooks).show(f"{id_}:pre_receive").enabled


def test_a_secret_is_kept_over_an_upgrade(ops: Ops, served: Served, certified: Signing) -> None:
    """It is issued at the first approval and shown that once."""
    id_ = new_id()
    ops(Plugins).install(body(made(http_text(id_), certified)))
    secret = ops(Plugins).approve(id_).secret
    assert secret is not None
    newer = http_text(id_).replace("1.0.0", "1.1.0")
    done = ops(Plugins).install(body(made(newer, certified)))
    assert (done.state, done.secret) == (PluginState.ENABLED, None)


def test_a_licence_is_shown(ops: Ops, served: Served, certified: Signing, market: Marketplace) -> None:
    """Who it is for, until when, on whose word."""
    id_ = new_id()
    data = made(manifest_text(id_), replace(certified, licence=market.license(id_)))
    ops(Plugins).install(body(data))
    licence = ops(Plugins).show(id_).licence
    assert licence is not None
    assert (licence.holder, licence.root) == ("A Customer", market.id)


def test_a_repeated_request_installs_once(served: Served, tmp_path: Path) -> None:
    """By its Idempotency-Key; with another package under it nothing is done."""
    first, second = (made(manifest_text(new_id())) for _ in range(2))

    def post(data: bytes) -> httpx.Response:
        head = {"Authorization": f"Bearer {served.admin_key}", "Idempotency-Key": tmp_path.name}
        return httpx.post(
            f"{served.http.url}/api/v1/plugins", content=data, headers={**head, "Content-Type": PACKAGE}
        )

    answers = [post(first), post(first), post(second)]
    assert [one.status_code for one in answers] == [201, 201, 409]
    assert answers[0].json() == answers[1].json()
    entries = served.here(Audit).browse(subject=answers[0].json()["id"]).items
    assert [one.operation for one in entries] == ["plugins.install_unsigned"]


def test_a_plugin_whose_root_is_trusted_no_longer_goes_on(ops: Ops, served: Served) -> None:
    """It is neither approved nor enabled nor gone back to any more."""
    from mairust_core.services.trust import Trust

    market = Marketplace()
    market.trusted_on(served.site)
    id_ = approved(served, Signing(key=market.root))
    waiting = install(served.site, made(manifest_text(new_id()), Signing(key=market.root))).id
    ops(Trust).remove(market.id)
    assert len(runs(served, id_)) == 1
    ops(Plugins).disable(id_)
    for call in (lambda: ops(Plugins).enable(id_), lambda: ops(Plugins).approve(waiting)):
        with pytest.raises(Forbidden, match="trusted here no longer"):
            call()
    market.trusted_on(served.site)
    assert ops(Plugins).enable(id_).state is PluginState.ENABLED


def test_the_configuration_is_exported_with_hooks_and_plugins(
    ops: Ops, served: Served, certified: Signing, tmp_path: Path
) -> None:
    """Contract §1: each plugin.toml as it came in its package, and what a linked one says."""
    text = manifest_text(new_id()) + "# a comment of its author\n"
    packed = install(served.site, made(text, certified)).id
    linked = link(served.site, tmp_path, manifest_text(new_id())).id
    waiting = install(served.site, made(manifest_text(new_id()), certified)).id
    for id_ in (packed, linked):
        served.here(Plugins).approve(id_)
    found = ops(Config).export()
    plugins = {one.id: one for one in found.plugins}
    assert plugins[packed].toml == text
    assert plugins[packed].package == ops(Plugins).show(packed).package
    assert read_manifest(plugins[linked].toml.encode(), on_paper()).id == linked
    assert waiting not in plugins
    assert {f"{packed}:pre_receive", f"{linked}:pre_receive"} <= {hook.name for hook in found.hooks}
    assert found.settings["plugins"]["allow_unsigned"] is True
