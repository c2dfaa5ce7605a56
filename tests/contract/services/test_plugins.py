"""Plugins: linked, reviewed, approved, enabled, removed; locally and over HTTP, on both databases."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from sqlalchemy import event

from mairust_core import store
from mairust_core.app import opened
from mairust_core.config import Settings, load_settings
from mairust_core.errors import Conflict, Forbidden, Invalid, NotFound
from mairust_core.model.hook import HookType
from mairust_core.model.isolation import Isolation, Layer, MissingLayer
from mairust_core.model.plugin import Body, Layers, Runnable, State
from mairust_core.model.plugin_forms import NOTHING, PluginState
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.plugins.registry import Registry, secret_name
from mairust_core.plugins.showing import shown
from mairust_core.services.audit import Audit
from mairust_core.services.hooks import Hooks
from mairust_core.services.plugins import Plugins
from mairust_core.store.tables import secret
from tests.contract.services.conftest import Served
from tests.contract.services.words import Ops
from tests.support.linking import TESTER, approved, http_text, link, manifest_text, new_id, write
from tests.support.packaging import install, made


def runs(served: Served, id_: str) -> dict[str, Runnable]:
    """The hooks of a plugin that are asked now, and what answers them."""
    return {one.hook.name: one.plugin for one in served.site.hook_book.enabled() if one.hook.plugin == id_}


def test_linked_reviewed_approved_disabled_removed(ops: Ops, served: Served, tmp_path: Path) -> None:
    """The life of a plugin; its hooks are asked while it is enabled, and only then."""
    id_ = new_id()
    linked = link(served.site, tmp_path, manifest_text(id_, "pre_receive", "post_receive"))
    assert (linked.id, linked.version, linked.state) == (id_, "1.0.0", PluginState.PENDING)
    plugin = ops(Plugins).show(id_)
    assert (plugin.state, plugin.hooks, plugin.directory) == (PluginState.PENDING, (), str(tmp_path))
    assert plugin.pending == linked.review
    assert runs(served, id_) == {}

    done = ops(Plugins).approve(id_)
    names = (f"{id_}:post_receive", f"{id_}:pre_receive")
    assert (done.state, done.hooks, done.secret) == (PluginState.ENABLED, names, None)
    plugin = ops(Plugins).show(id_)
    assert (plugin.state, plugin.pending, plugin.hooks) == (PluginState.ENABLED, None, names)
    assert plugin.approved_by is not None
    assert sorted(runs(served, id_)) == list(names)
    assert runs(served, id_)[names[0]].permissions == plugin.permissions

    assert ops(Plugins).disable(id_).state is PluginState.DISABLED
    assert ops(Plugins).disable(id_).state is PluginState.DISABLED
    assert runs(served, id_) == {}
    assert ops(Plugins).enable(id_).state is PluginState.ENABLED
    assert sorted(runs(served, id_)) == list(names)

    assert ops(Plugins).remove(id_).removed
    assert (tmp_path / "plugin.toml").exists()
    assert runs(served, id_) == {}
    for service, name in ((ops(Plugins), id_), (ops(Hooks), names[0])):
        with pytest.raises(NotFound):
            service.show(name)


def test_rule_g2_a_secret_is_shown_once_and_kept_sealed(ops: Ops, served: Served, tmp_path: Path) -> None:
    """R-SIG-2: for http plugins; local processes have none. Nothing else that is shown holds it (trap A3)."""
    id_ = new_id()
    link(served.site, tmp_path, http_text(id_))
    done = ops(Plugins).approve(id_)
    assert done.secret is not None
    assert done.secret.startswith("mps_")
    assert done.secret not in repr(done)
    assert ops(Plugins).approve(id_).secret is None
    assert done.secret not in repr(ops(Plugins).show(id_))
    with served.site.storage.read() as tx:
        assert served.site.secrets.get(tx, secret_name(id_)) == done.secret.encode()
        rows = tx.execute(secret.select().where(secret.c.name == secret_name(id_))).all()
    assert done.secret.encode() not in b"".join(map(bytes, (rows[0].ciphertext, rows[0].wrapped_key)))
    ops(Plugins).remove(id_)
    with served.site.storage.read() as tx, pytest.raises(NotFound):
        served.site.secrets.get(tx, secret_name(id_))


def test_a_secret_that_is_lost_is_issued_anew(ops: Ops, served: Served, tmp_path: Path) -> None:
    """As after a restore without the master key."""
    id_ = new_id()
    link(served.site, tmp_path, http_text(id_))
    first = ops(Plugins).approve(id_).secret
    with served.site.storage.write() as tx:
        assert served.site.secrets.delete(tx, secret_name(id_))
    again = ops(Plugins).approve(id_).secret
    assert again not in (None, first)


def test_what_asks_for_no_more_runs_at_once(ops: Ops, served: Served, tmp_path: Path) -> None:
    """A newer version with the same rights, and one with less."""
    id_ = approved(served.site, tmp_path, manifest_text(new_id(), "pre_receive", "post_receive"))
    before = ops(Plugins).show(id_).generation
    linked = link(
        served.site, tmp_path, manifest_text(id_, version="1.1.0", permissions="read_headers = true")
    )
    assert (linked.state, linked.review) == (PluginState.ENABLED, None)
    plugin = ops(Plugins).show(id_)
    assert (plugin.version, plugin.permissions.write_tags) == ("1.1.0", False)
    assert plugin.generation > before
    assert list(runs(served, id_)) == [f"{id_}:pre_receive"]


def test_what_asks_for_more_waits_while_the_old_runs(ops: Ops, served: Served, tmp_path: Path) -> None:
    """Contract §5, R-PERM-3: neither its rights nor its hooks are there before somebody approves."""
    id_ = approved(served.site, tmp_path, manifest_text(new_id()))
    wanted = manifest_text(
        id_, "pre_receive", "post_receive", version="2.0.0", permissions='read_body = "full"'
    )
    linked = link(served.site, tmp_path / "two", wanted)
    assert linked.state is PluginState.PENDING
    assert linked.review is not None
    assert {right.name for right in linked.review.rights if right.more} == {
        "read_body",
        f"{id_}:post_receive",
    }

    plugin = ops(Plugins).show(id_)
    assert (plugin.state, plugin.version, plugin.directory) == (PluginState.ENABLED, "1.0.0", str(tmp_path))
    (running,) = runs(served, id_).values()
    assert (running.version, running.permissions.read_body) == ("1.0.0", Body.NONE)

    assert ops(Plugins).approve_review(id_, linked.review.id).version == "2.0.0"
    plugin = ops(Plugins).show(id_)
    assert (plugin.version, plugin.directory, plugin.pending) == ("2.0.0", str(tmp_path / "two"), None)
    assert {one.permissions.read_body for one in runs(served, id_).values()} == {Body.FULL}
    assert len(runs(served, id_)) == 2


def test_rule_h3_a_process_that_would_stay_waits(ops: Ops, served: Served, tmp_path: Path) -> None:
    """R-PERM-3: what keeps nothing of a mail becomes what does, and for more mails, when somebody says so."""
    once = 'protocol = "stdin"\ncommand = ["./plugin.sh"]'
    id_ = approved(served.site, tmp_path, manifest_text(new_id(), entry=once))
    for calls in (1_000, 1_000_000):
        stays = f'{once}\nmode = "worker"\nmax_calls = {calls}'
        linked = link(served.site, tmp_path / str(calls), manifest_text(id_, entry=stays))
        assert linked.state is PluginState.PENDING
        assert linked.review is not None
        more = [right for right in linked.review.rights if right.more]
        assert [(right.name, right.value) for right in more] == [("max_calls", str(calls))]
        ops(Plugins).approve_review(id_, linked.review.id)


def test_nothing_is_approved_that_was_not_reviewed(ops: Ops, served: Served, tmp_path: Path) -> None:
    """Between review and approval the directory was linked again, asking for more."""
    id_ = new_id()
    reviewed = link(served.site, tmp_path, manifest_text(id_)).review
    assert reviewed is not None
    link(served.site, tmp_path, manifest_text(id_, permissions='read_body = "full"'))
    with pytest.raises(Conflict, match="something else than was reviewed"):
        ops(Plugins).approve_review(id_, reviewed.id)
    assert ops(Plugins).show(id_).state is PluginState.PENDING
    newer = ops(Plugins).show(id_).pending
    assert newer is not None
    assert ops(Plugins).approve_review(id_, newer.id).state is PluginState.ENABLED


def test_what_is_linked_after_a_look_at_a_plugin_that_waited_for_nothing_is_not_approved(
    ops: Ops, served: Served, tmp_path: Path
) -> None:
    """Whoever saw nothing to decide on has decided on nothing."""
    id_ = approved(served.site, tmp_path, manifest_text(new_id()))
    assert ops(Plugins).approve_review(id_, NOTHING).state is PluginState.ENABLED
    link(served.site, tmp_path, manifest_text(id_, permissions='read_body = "full"'))
    with pytest.raises(Conflict, match="something else than was reviewed"):
        ops(Plugins).approve_review(id_, NOTHING)
    assert ops(Plugins).show(id_).permissions.read_body is Body.NONE


def test_of_many_who_link_one_plugin_at_once_one_does(served: Served, tmp_path: Path) -> None:
    """The others find it there, or hear that it is: neither is an error of ours."""
    for _ in range(3):
        directory = write(tmp_path / "p", manifest_text(new_id()))
        with ThreadPoolExecutor(4) as threads:
            tried = [threads.submit(served.here(Plugins).link, directory) for _ in range(4)]
        errors = [one.exception() for one in tried]
        assert None in errors
        assert all(error is None or isinstance(error, Conflict) for error in errors)


def test_a_directory_whose_name_is_no_unicode_is_refused(served: Served, tmp_path: Path) -> None:
    """It could not be kept; the error names the directory, and nothing is registered."""
    id_ = new_id()
    directory = write(tmp_path / os.fsdecode(b"dir\xff\xfe"), manifest_text(id_))
    with pytest.raises(Invalid, match=r"^directory: it is not Unicode"):
        served.here(Plugins).link(directory)
    with pytest.raises(NotFound):
        served.here(Plugins).show(id_)


def test_a_disabled_plugin_stays_so_when_more_is_approved(ops: Ops, served: Served, tmp_path: Path) -> None:
    """Approving says what it may, enabling whether it does."""
    id_ = approved(served.site, tmp_path, manifest_text(new_id()))
    ops(Plugins).disable(id_)
    link(served.site, tmp_path, manifest_text(id_, permissions='read_body = "full"'))
    assert ops(Plugins).approve(id_).state is PluginState.DISABLED


def test_what_was_never_approved_is_not_enabled(ops: Ops, served: Served, tmp_path: Path) -> None:
    """There is no way around the review."""
    id_ = new_id()
    link(served.site, tmp_path, manifest_text(id_))
    for call in (ops(Plugins).enable, ops(Plugins).disable):
        with pytest.raises(Conflict, match="not approved yet"):
            call(id_)
    assert runs(served, id_) == {}


def test_a_blocked_plugin_stays_blocked(ops: Ops, served: Served, tmp_path: Path) -> None:
    """Rule G5: until it is removed or disabled, so that mail goes on without it."""
    id_ = approved(served.site, tmp_path, manifest_text(new_id()))
    with served.site.storage.write() as tx:
        found = store.plugins.get(tx, TESTER, id_)
        store.plugins.replace(tx, TESTER, replace(found, state=State.BLOCKED))
        store.generations.advance(tx)
    for call in (ops(Plugins).approve, ops(Plugins).enable):
        with pytest.raises(Conflict, match="is blocked"):
            call(id_)
    with pytest.raises(Conflict, match="is blocked"):
        link(served.site, tmp_path, manifest_text(id_))
    (blocked,) = (one for one in served.site.hook_book.enabled() if one.hook.plugin == id_)
    assert blocked.blocked
    assert ops(Plugins).disable(id_).state is PluginState.DISABLED
    assert id_ not in {one.hook.plugin for one in served.site.hook_book.enabled()}
    assert ops(Plugins).remove(id_).removed


def test_a_hook_of_somebody_elses_name_is_no_way_in(ops: Ops, served: Served, tmp_path: Path) -> None:
    """The whole approval fails, and nothing of it stays."""
    name = f"shared-{new_id().rpartition('.')[2]}"
    hook = f'type = "pre_receive"\nname = "{name}"'
    first = approved(served.site, tmp_path / "1", manifest_text(new_id(), hook))
    second = new_id()
    link(served.site, tmp_path / "2", manifest_text(second, "post_receive", hook))
    with pytest.raises(Conflict, match="already"):
        ops(Plugins).approve(second)
    assert ops(Plugins).show(second).state is PluginState.PENDING
    assert ops(Hooks).show(name).plugin == first
    with pytest.raises(NotFound):
        ops(Hooks).show(f"{second}:post_receive")


def test_unsigned_plugins_need_the_sites_leave(served: Served, tmp_path: Path) -> None:
    """Rule G4: configuration alone says whether they are taken; without, none is approved."""
    id_ = new_id()
    link(served.site, tmp_path, manifest_text(id_))
    settings = served.site.settings
    strict = load_strict(served)
    with opened(strict) as site:
        plugins = site.service(Plugins, TESTER)
        for call in (lambda: plugins.link(tmp_path), lambda: plugins.approve(id_)):
            with pytest.raises(Forbidden, match="allow_unsigned"):
                call()
    assert settings.plugins.allow_unsigned
    served.here(Plugins).approve(id_)
    with opened(strict) as site:
        plugins = site.service(Plugins, TESTER)
        plugins.disable(id_)
        with pytest.raises(Forbidden):
            plugins.enable(id_)


def load_strict(served: Served) -> Settings:
    """The settings of the site, but for the leave."""
    found = served.site.settings
    overrides = {"database.url": found.database.url, "plugins.allow_unsigned": False}
    return load_settings(data_dir=found.data_dir, env={}, overrides=overrides)


def test_rule_h1_a_local_plugin_is_not_enabled_where_nothing_holds_it(served: Served, tmp_path: Path) -> None:
    """Neither approved nor enabled, until the configuration says so; one over http needs no sandbox."""
    weak = Isolation(
        grade=Layers.LIMITS,
        present=(Layer.RLIMITS,),
        missing=(MissingLayer(layer=Layer.NAMESPACES, why="bwrap is not installed"),),
    )
    site = served.site
    strict = Registry(site.settings.plugins, site.secrets, site.check_filter, lambda: weak)
    trusting = replace(site.settings.plugins, sandbox="off")
    local, remote = new_id(), new_id()
    link(site, tmp_path / "local", manifest_text(local))
    link(site, tmp_path / "remote", http_text(remote))
    for change in (strict.approve, strict.enable):
        with (
            site.storage.write() as tx,
            pytest.raises(Forbidden, match="namespaces: bwrap is not installed"),
        ):
            change(tx, TESTER, local)
        served.here(Plugins).approve(local)
        served.here(Plugins).disable(local)
    with site.storage.write() as tx:
        assert strict.approve(tx, TESTER, remote).state is PluginState.ENABLED
        off = Registry(trusting, site.secrets, site.check_filter, lambda: weak)
        off.enable(tx, TESTER, local)
        [seen] = shown(tx, TESTER, [store.plugins.get(tx, TESTER, local)], lambda: weak)
    assert seen.state is PluginState.ENABLED
    assert seen.sandbox is not None
    assert (seen.sandbox.enough, seen.sandbox.missing) == (False, weak.missing)


def test_rule_h1_linking_again_needs_what_approving_needs(served: Served, tmp_path: Path) -> None:
    """What is enabled and asks for no more runs at once: not where nothing would hold it any longer."""
    site, id_ = served.site, new_id()
    weak = Isolation(grade=Layers.LIMITS, present=(Layer.RLIMITS,))
    asked: list[str] = []

    def look() -> Isolation:
        asked.append(id_)
        return weak

    strict = Registry(site.settings.plugins, site.secrets, site.check_filter, look)
    approved(site, tmp_path, manifest_text(id_))
    changed = site.read_plugin(write(tmp_path, manifest_text(id_, version="1.0.1")))
    with site.storage.write() as tx, pytest.raises(Forbidden, match=f"{id_} is a local process"):
        strict.link(tx, TESTER, changed, tmp_path)
    assert served.here(Plugins).show(id_).version == "1.0.0"
    served.here(Plugins).disable(id_)
    with site.storage.write() as tx:
        assert strict.link(tx, TESTER, changed, tmp_path).state is PluginState.DISABLED
        asked.clear()
        strict.look(tx, TESTER, id_)
        assert asked == [id_], "so that no transaction that writes has to wait for it (rule D2)"


def test_the_status_of_a_local_plugin_names_the_layers_of_this_machine(
    ops: Ops, served: Served, tmp_path: Path
) -> None:
    """Those that hold it and those that are missing; none of one that runs elsewhere."""
    local, remote = new_id(), new_id()
    link(served.site, tmp_path / "local", manifest_text(local))
    link(served.site, tmp_path / "remote", http_text(remote))
    held = ops(Plugins).show(local).sandbox
    assert held is not None
    isolation = served.site.isolation()
    assert (held.layers, held.missing) == (isolation.present, isolation.missing)
    assert ops(Plugins).show(remote).sandbox is None


def test_a_wrong_manifest_registers_nothing(served: Served, tmp_path: Path) -> None:
    """Nor does a filter that could take long."""
    id_ = new_id()
    with pytest.raises(Invalid, match=f"{tmp_path}/plugin.toml:10: there is no permissions.red"):
        link(served.site, tmp_path, manifest_text(id_, permissions="red = true"))
    with pytest.raises(Invalid, match="subject_matches"):
        link(
            served.site,
            tmp_path,
            manifest_text(id_, 'type = "pre_receive"\nfilter = {subject_matches = "(?=x)"}'),
        )
    with pytest.raises(NotFound):
        served.here(Plugins).show(id_)


def test_a_directory_is_linked_on_its_own_machine_only(served: Served, tmp_path: Path) -> None:
    """No operation: a client cannot name a path of the server's."""
    assert "link" not in Plugins.operations
    with pytest.raises(AttributeError):
        served.there(Plugins).link(write(tmp_path, manifest_text(new_id())))


def test_changes_are_audited(ops: Ops, served: Served, tmp_path: Path) -> None:
    """Who linked, approved, disabled and removed what."""
    id_ = new_id()
    link(served.site, tmp_path, manifest_text(id_))
    ops(Plugins).approve(id_)
    ops(Plugins).disable(id_)
    ops(Plugins).remove(id_)
    told = [entry.operation for entry in ops(Audit).browse(limit=50).items if entry.subject == id_]
    assert told == ["plugins.remove", "plugins.disable", "plugins.approve", "plugins.link"]


@pytest.fixture
def statements(served: Served) -> Iterator[list[str]]:
    """What is asked of the database in this process."""
    asked: list[str] = []
    engine = served.site.storage.engine

    def note(_c: object, _u: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield asked
    event.remove(engine, "before_cursor_execute", note)


def test_a_page_is_nine_statements(served: Served, tmp_path: Path, statements: list[str]) -> None:
    """However many: plugins, hooks, metrics, packages, roots, what they revoked, usage, health, processes."""
    for number in range(3):
        approved(served.site, tmp_path / str(number), manifest_text(new_id()))
        install(served.site, made(manifest_text(new_id())))
    del statements[:]
    found = served.here(Plugins).browse(limit=100).items
    assert len(found) >= 3
    assert len([one for one in statements if one.lstrip().upper().startswith("SELECT")]) == 9
    ids = [one.id for one in found]
    assert ids == sorted(ids)
    page = served.here(Plugins).browse(limit=1)
    assert page.next_cursor is not None


def test_reading_the_book_is_one_statement(served: Served, tmp_path: Path, statements: list[str]) -> None:
    """It is read by every process whenever anything is administered."""
    id_ = approved(served.site, tmp_path, manifest_text(new_id(), "pre_receive", "post_receive"))
    del statements[:]
    hooks = [one for one in served.site.hook_book.enabled() if one.hook.plugin == id_]
    assert {one.hook.type for one in hooks} == {HookType.PRE_RECEIVE, HookType.POST_RECEIVE}
    assert {str(one.plugin.directory) for one in hooks} == {str(tmp_path)}
    assert len([one for one in statements if one.lstrip().upper().startswith("SELECT")]) == 1


@pytest.mark.parametrize("kind", [ReachKind.DOMAIN, ReachKind.ACCOUNT])
def test_rule_g4_plugins_and_hooks_belong_to_the_site(
    served: Served, domain: str, ann: object, kind: ReachKind
) -> None:
    """An administrator of a domain sees none of them."""
    subject = domain if kind is ReachKind.DOMAIN else f"ann@{domain}"
    key = served.issue(Scope.ADMIN, reach=kind, subject=subject)
    for browse in (served.there(Plugins, key).browse, served.there(Hooks, key).browse):
        with pytest.raises(Forbidden):
            browse()


def test_what_rest_shows_is_what_json_shows(served: Served, tmp_path: Path) -> None:
    """The names of the contract: id, version, state, permissions."""
    id_ = approved(served.site, tmp_path, manifest_text(new_id()))
    headers = {"authorization": f"Bearer {served.admin_key}"}
    with httpx.Client(base_url=served.http.url + "/api/v1", headers=headers, trust_env=False) as client:
        shown = client.get(f"/plugins/{id_}").json()
        assert client.post(f"/plugins/{id_}/approve").json()["state"] == "enabled"
        assert client.post(f"/plugins/{id_}/disable").json()["state"] == "disabled"
        assert client.delete(f"/plugins/{id_}").json() == {
            "id": id_,
            "name": id_,
            "removed": True,
        }
    assert (shown["id"], shown["state"], shown["permissions"]["read_body"]) == (id_, "enabled", "none")
    assert json.dumps(shown)
