"""Hooks: added, set, removed, tried out; locally and over HTTP, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from mairust_core import store
from mairust_core.errors import Conflict, Invalid, NotFound
from mairust_core.model.account import Account
from mairust_core.model.breaker import POISON_MS, BreakerState
from mairust_core.model.hook import Fallback, Filter, HookType, Mode
from mairust_core.model.hook_forms import FilterForm, HookCall, HookChange, NewHook, Origin, Outcome
from mairust_core.model.trial import Replay
from mairust_core.model.verdict import ActionWord
from mairust_core.operations import BytesIn
from mairust_core.services.hooks import Hooks
from mairust_core.services.plugins import Plugins
from mairust_core.services.status import Status
from mairust_core.store import breakers
from tests.contract.services.conftest import Served
from tests.contract.services.words import Ops
from tests.support.hooking import logged
from tests.support.linking import approved, link, manifest_text, new_id

PRE, POST = HookType.PRE_RECEIVE, HookType.POST_RECEIVE


@pytest.fixture
def plugin(served: Served, tmp_path: Path) -> str:
    """An approved plugin with a `pre_receive` hook."""
    return approved(served.site, tmp_path, manifest_text(new_id()))


def new_name() -> str:
    """A name that no other hook has."""
    return f"h-{uuid4().hex[:12]}"


def test_add_show_edit_disable_enable_remove(ops: Ops, plugin: str) -> None:
    """The life of a hook that a person added."""
    name = new_name()
    added = ops(Hooks).add(NewHook(name=name, type=POST, plugin=plugin, filter=FilterForm(size_gt=10)))
    assert (added.timeout_ms, added.priority, added.mode) == (30_000, 100, Mode.ENFORCE)
    assert (added.on_timeout, added.on_error) == (Fallback.TEMPFAIL, Fallback.TEMPFAIL)
    assert (added.origin, added.running, added.filter) == (Origin.ADDED, True, Filter(size_gt=10))
    assert ops(Hooks).show(name) == added

    edited = ops(Hooks).edit(name, HookChange(mode=Mode.SHADOW, timeout_ms=300_000))
    assert (edited.mode, edited.timeout_ms, edited.filter) == (Mode.SHADOW, 300_000, added.filter)
    assert ops(Hooks).edit(name, HookChange(filter=FilterForm())).filter == Filter()
    assert ops(Hooks).edit(name, HookChange()) == ops(Hooks).show(name)

    disabled = ops(Hooks).disable(name)
    assert (disabled.enabled, disabled.running) == (False, False)
    assert ops(Hooks).enable(name).running
    assert ops(Hooks).remove(name).removed
    with pytest.raises(NotFound, match=f"no hook {name}"):
        ops(Hooks).show(name)


def test_on_error_follows_on_timeout_until_it_is_set(ops: Ops, plugin: str) -> None:
    """Contract §4; also when the time-out is set later."""
    name = new_name()
    added = ops(Hooks).add(NewHook(name=name, type=PRE, plugin=plugin, on_timeout=Fallback.ALLOW))
    assert (added.on_timeout, added.on_error) == (Fallback.ALLOW, Fallback.ALLOW)
    edited = ops(Hooks).edit(name, HookChange(on_timeout=Fallback.REJECT))
    assert edited.on_error is Fallback.REJECT
    edited = ops(Hooks).edit(name, HookChange(on_error=Fallback.TEMPFAIL))
    assert (edited.on_timeout, edited.on_error) == (Fallback.REJECT, Fallback.TEMPFAIL)
    assert ops(Hooks).edit(name, HookChange(on_timeout=Fallback.ALLOW)).on_error is Fallback.TEMPFAIL


def test_a_hook_needs_a_registered_plugin_and_a_name_of_its_own(ops: Ops, plugin: str) -> None:
    """Contract §4; names with a colon belong to the plugin before it."""
    with pytest.raises(NotFound, match="no plugin"):
        ops(Hooks).add(NewHook(name=new_name(), type=PRE, plugin=new_id()))
    with pytest.raises(Conflict, match="already"):
        ops(Hooks).add(NewHook(name=f"{plugin}:pre_receive", type=PRE, plugin=plugin))
    for name in ("", "a b", "../x", f"{new_id()}:pre_receive", "x" * 201, "é"):
        with pytest.raises(Invalid, match="cannot be the name"):
            ops(Hooks).add(NewHook(name=name, type=PRE, plugin=plugin))


def test_of_many_who_add_one_hook_at_once_one_does(served: Served, plugin: str) -> None:
    """The others hear that it is there, not of a constraint."""
    with ThreadPoolExecutor(4) as threads:
        for _ in range(5):
            new = NewHook(name=new_name(), type=PRE, plugin=plugin)
            tried = [threads.submit(served.here(Hooks).add, new) for _ in range(4)]
            errors = [one.exception() for one in tried]
            assert [type(one) for one in errors if one is not None] == [Conflict] * 3


def test_a_hook_of_a_plugin_that_waits_is_not_asked(ops: Ops, served: Served, tmp_path: Path) -> None:
    """Its plugin is registered; it runs once that is approved."""
    id_, name = new_id(), new_name()
    link(served.site, tmp_path, manifest_text(id_))
    assert not ops(Hooks).add(NewHook(name=name, type=PRE, plugin=id_)).running
    assert name not in {one.hook.name for one in served.site.hook_book.enabled()}
    ops(Plugins).approve(id_)
    assert ops(Hooks).show(name).running
    assert name in {one.hook.name for one in served.site.hook_book.enabled()}


@pytest.mark.parametrize(
    ("type_", "timeout_ms"), [(PRE, 5001), (PRE, 0), (POST, 300_001), (HookType.PRE_DELIVERY, 300_000)]
)
def test_a_time_out_has_the_bounds_of_its_type(
    ops: Ops, plugin: str, type_: HookType, timeout_ms: int
) -> None:
    """When it is added, and when it is set."""
    with pytest.raises(Invalid, match="timeout_ms"):
        NewHook(name="x", type=type_, plugin=plugin, timeout_ms=timeout_ms)
    name = new_name()
    ops(Hooks).add(NewHook(name=name, type=type_, plugin=plugin))
    with pytest.raises(Invalid, match="timeout_ms"):
        ops(Hooks).edit(name, HookChange(timeout_ms=timeout_ms))


@pytest.mark.parametrize("expression", ["(?=a)b", r"(a)\1", "a(", "(?<!x)y"])
def test_trap_h5_expressions_match_in_linear_time(ops: Ops, plugin: str, expression: str) -> None:
    """What RE2 does not know is refused when a hook is added, and when it is set."""
    wanted = FilterForm(sender_matches=expression)
    with pytest.raises(Invalid, match="sender_matches"):
        ops(Hooks).add(NewHook(name=new_name(), type=PRE, plugin=plugin, filter=wanted))
    with pytest.raises(Invalid, match="sender_matches"):
        ops(Hooks).edit(f"{plugin}:pre_receive", HookChange(filter=wanted))


def test_rule_j5_what_is_set_survives_an_upgrade(
    ops: Ops, served: Served, plugin: str, tmp_path: Path
) -> None:
    """What is not set follows the plugin."""
    name = f"{plugin}:pre_receive"
    assert ops(Hooks).show(name).origin is Origin.PLUGIN
    ops(Hooks).edit(name, HookChange(mode=Mode.SHADOW, priority=7))
    ops(Hooks).disable(name)
    newer = 'type = "pre_receive"\npriority = 1\ntimeout_ms = 900'
    link(served.site, tmp_path, manifest_text(plugin, newer, version="1.1.0"))
    found = ops(Hooks).show(name)
    assert (found.mode, found.priority, found.timeout_ms) == (Mode.SHADOW, 7, 900)
    assert not found.enabled
    assert found.changed == ("mode", "priority")


def test_rule_j5_a_declared_hook_that_was_removed_stays_away(
    ops: Ops, served: Served, plugin: str, tmp_path: Path
) -> None:
    """Until somebody adds it again, as its plugin declares it."""
    name = f"{plugin}:pre_receive"
    ops(Hooks).edit(name, HookChange(priority=7))
    ops(Hooks).remove(name)
    link(served.site, tmp_path, manifest_text(plugin, version="1.1.0"))
    with pytest.raises(NotFound):
        ops(Hooks).show(name)
    assert name not in {one.hook.name for one in served.site.hook_book.enabled()}
    back = ops(Hooks).add(NewHook(name=name, type=PRE, plugin=plugin))
    assert (back.origin, back.priority, back.running) == (Origin.PLUGIN, 100, True)


def test_a_removed_hook_comes_back_as_it_is_asked_for(ops: Ops, plugin: str) -> None:
    """Who wants a shadow does not get one that refuses mail; what is not given is as the plugin has it."""
    name = f"{plugin}:pre_receive"
    ops(Hooks).edit(name, HookChange(priority=7))
    ops(Hooks).remove(name)
    wanted = FilterForm(size_gt=10)
    back = ops(Hooks).add(
        NewHook(name=name, type=PRE, plugin=plugin, mode=Mode.SHADOW, enabled=False, filter=wanted)
    )
    assert (back.mode, back.filter, back.priority) == (Mode.SHADOW, wanted.filter(), 100)
    assert (back.enabled, back.changed) == (False, ("filter", "mode"))


def test_a_removed_hook_comes_back_by_its_own_type_only(ops: Ops, plugin: str) -> None:
    """The refusal says which that is: `hook edit` and `hook list` do not know it while it is away."""
    name = f"{plugin}:pre_receive"
    ops(Hooks).remove(name)
    with pytest.raises(Conflict, match="declares a pre_receive hook"):
        ops(Hooks).add(NewHook(name=name, type=POST, plugin=plugin))
    assert ops(Hooks).add(NewHook(name=name, type=PRE, plugin=plugin)).running


def test_what_was_set_can_be_taken_back(ops: Ops, plugin: str) -> None:
    """Null, over the API: the setting follows the plugin again, and the others stay."""
    name = f"{plugin}:pre_receive"
    before = ops(Hooks).show(name)
    ops(Hooks).edit(name, HookChange(priority=7, mode=Mode.SHADOW, filter=FilterForm(size_gt=1)))
    found = ops(Hooks).edit(name, HookChange(priority=None, filter=None, on_timeout=Fallback.ALLOW))
    assert (found.priority, found.filter) == (before.priority, before.filter)
    assert found.changed == ("mode", "on_timeout")
    assert ops(Hooks).edit(name, HookChange(mode=None, on_timeout=None)) == before


def test_rule_j5_added_hooks_are_not_the_plugins(
    ops: Ops, served: Served, plugin: str, tmp_path: Path
) -> None:
    """An upgrade that declares none of its hooks any more leaves them."""
    name = new_name()
    ops(Hooks).add(NewHook(name=name, type=PRE, plugin=plugin))
    link(
        served.site, tmp_path, manifest_text(plugin, 'type = "pre_receive"\nname = "other"', version="1.1.0")
    )
    ops(Plugins).approve(plugin)
    assert {one.name for one in ops(Hooks).browse(plugin=plugin).items} == {name, "other"}
    ops(Plugins).remove(plugin)


def test_lists_are_by_name_and_by_plugin(ops: Ops, plugin: str) -> None:
    """Pages continue after a name."""
    names = sorted(new_name() for _ in range(3))
    for name in names:
        ops(Hooks).add(NewHook(name=name, type=PRE, plugin=plugin))
    listed = [one.name for one in ops(Hooks).browse(plugin=plugin, limit=500).items]
    assert listed == sorted([*names, f"{plugin}:pre_receive"])
    first = ops(Hooks).browse(plugin=plugin, limit=2)
    second = ops(Hooks).browse(plugin=plugin, limit=2, cursor=first.next_cursor or "")
    assert [one.name for one in (*first.items, *second.items)] == listed


def call(served: Served, hook: str, outcome: Outcome, ms: float = 1.5) -> HookCall:
    """A call that was made now."""
    return HookCall(
        id=served.site.ids.next(),
        at=datetime.now(UTC).replace(microsecond=0),
        hook=hook,
        plugin=hook.partition(":")[0],
        delivery_id="d1",
        mode=Mode.ENFORCE,
        outcome=outcome,
        action=ActionWord.DELIVER,
        ms=ms,
        detail="",
        trace_id=None,
        message_id=served.site.ids.next(),
        recipient="ann@example.org",
    )


def test_the_log_tells_calls_newest_first(ops: Ops, served: Served, plugin: str) -> None:
    """Those of one hook, in pages, by outcome."""
    name = f"{plugin}:pre_receive"
    outcomes = (Outcome.ANSWERED, Outcome.FAILED, Outcome.TIMED_OUT)
    calls = [call(served, name, outcome) for outcome in outcomes]
    others = [call(served, "other", Outcome.FAILED)]
    with served.site.storage.write() as tx:
        store.hook_calls.record(served.site.storage, tx, [logged(one) for one in others + calls])
    assert ops(Hooks).log(name).items == tuple(reversed(calls))
    first = ops(Hooks).log(name, limit=2)
    assert first.items == (calls[2], calls[1])
    assert ops(Hooks).log(name, cursor=first.next_cursor or "").items == (calls[0],)
    assert ops(Hooks).log(name, outcome=Outcome.FAILED).items == (calls[1],)
    with pytest.raises(Invalid, match="timed_out"):
        ops(Hooks).log(name, outcome="bad")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(NotFound):
        ops(Hooks).log(new_name())


def test_rule_j3_calls_are_kept_as_long_as_traces(served: Served, plugin: str) -> None:
    """Collection deletes older ones, and callbacks after a day."""
    name = f"{plugin}:pre_receive"
    old, new = call(served, name, Outcome.ANSWERED), call(served, name, Outcome.FAILED)
    day_ms = 86_400_000
    with served.site.storage.write() as tx:
        store.hook_calls.record(served.site.storage, tx, [logged(old), logged(new)])
        tx.exec_driver_sql(f"UPDATE hook_log SET at_ms = at_ms - {15 * day_ms} WHERE id = {int(old.id)}")
        store.plugins.use_callback(tx, 1, plugin, f"old-{name}")
        store.plugins.use_callback(tx, 1, plugin, f"new-{name}")
        tx.exec_driver_sql(
            f"UPDATE plugin_callback SET at_ms = at_ms - {2 * day_ms} WHERE delivery_id = 'old-{name}'"
        )
    served.site.collect()
    assert served.here(Hooks).log(name).items == (new,)
    with served.site.storage.write() as tx:
        assert store.plugins.use_callback(tx, 1, plugin, f"old-{name}")
        assert not store.plugins.use_callback(tx, 1, plugin, f"new-{name}")


def open_breaker(served: Served, name: str) -> None:
    """Have a hook's breaker open, and one mail known that makes it fail."""
    storage, mails = served.site.storage, ("00" * 32, "11" * 32)
    with storage.write() as tx:
        breakers.fail(storage, tx, name, mails[0], "it crashed", 1)
        breakers.poison(storage, tx, name)
        breakers.fail(storage, tx, name, mails[1], "it crashed", 1)
        breakers.open_(storage, tx, name)


def failures(served: Served, name: str) -> tuple[int, int]:
    """Rows that remember failures of a hook: its breaker, and mails."""
    with served.site.storage.read() as tx:
        known = breakers.load(served.site.storage, tx)
    return int(name in known.breakers), sum(1 for hook, _ in known.poison if hook == name)


def test_rule_e5_reset_closes_a_breaker_and_forgets_the_mails(ops: Ops, served: Served, plugin: str) -> None:
    """It answers with the hook; where nothing is open it is harmless."""
    name = f"{plugin}:pre_receive"
    open_breaker(served, name)
    assert ops(Hooks).show(name).breaker is BreakerState.OPEN
    assert ops(Hooks).reset(name).breaker is BreakerState.CLOSED
    assert failures(served, name) == (0, 0)
    assert ops(Hooks).reset(name) == ops(Hooks).show(name)
    with pytest.raises(NotFound):
        ops(Hooks).reset(new_name())


@pytest.mark.parametrize("way", ["hook removed", "plugin removed", "other version", "other type"])
def test_no_breaker_outlives_its_hook(
    ops: Ops, served: Served, plugin: str, tmp_path: Path, way: str
) -> None:
    """Nobody could reset it any more, and `status` and `doctor` would tell of it for ever."""
    name = f"{plugin}:pre_receive"
    open_breaker(served, name)
    if way == "hook removed":
        ops(Hooks).remove(name)
    elif way == "plugin removed":
        ops(Plugins).remove(plugin)
    else:
        changed = 'type = "post_receive"' + ("" if way == "other version" else f'\nname = "{name}"')
        link(served.site, tmp_path, manifest_text(plugin, changed, version="1.1.0"))
        ops(Plugins).approve(plugin)
    assert failures(served, name) == (0, 0)


def test_a_failure_after_the_removal_is_told_by_nobody(ops: Ops, served: Served, plugin: str) -> None:
    """A call was under way; a hook of that name begins anew."""
    name = f"{plugin}:pre_receive"
    ops(Hooks).remove(name)
    open_breaker(served, name)
    served.site.collect()
    assert failures(served, name) == (0, 0)
    open_breaker(served, name)
    shown = ops(Status).show().hooks
    assert shown is not None
    assert name not in shown.breakers_open
    assert name not in {one.name for one in ops(Hooks).browse(plugin=plugin).items}
    assert ops(Hooks).add(NewHook(name=name, type=PRE, plugin=plugin)).breaker is BreakerState.CLOSED
    assert ops(Hooks).show(name).breaker is BreakerState.CLOSED


def test_collection_leaves_failures_of_hooks_that_are_there(served: Served, plugin: str) -> None:
    """They are what keeps mail from waiting for a plugin that is down."""
    name = f"{plugin}:pre_receive"
    open_breaker(served, name)
    served.site.collect()
    assert failures(served, name) == (1, 1)


def test_rule_j3_mails_that_made_a_hook_fail_are_forgotten_after_an_hour(served: Served, plugin: str) -> None:
    """It is asked about them again then; collection deletes their rows."""
    name = f"{plugin}:pre_receive"
    open_breaker(served, name)
    assert failures(served, name)[1] == 1
    with served.site.storage.write() as tx:
        tx.exec_driver_sql(f"UPDATE hook_poison SET at_ms = at_ms - {POISON_MS} WHERE hook = '{name}'")
    assert failures(served, name)[1] == 0
    served.site.collect()
    with served.site.storage.read() as tx:
        rows = tx.exec_driver_sql(f"SELECT count(*) FROM hook_poison WHERE hook = '{name}'")
        assert rows.scalar_one() == 0


def test_rule_g5_nothing_runs_a_plugin_that_is_blocked(
    ops: Ops, served: Served, plugin: str, ann: Account
) -> None:
    """Neither `hook test` nor `hook replay`; one that is only disabled can be tried."""
    name = f"{plugin}:pre_receive"
    with served.site.storage.write() as tx:
        tx.exec_driver_sql(f"UPDATE plugin SET state = 'blocked' WHERE id = '{plugin}'")
    with pytest.raises(Conflict, match="blocked"):
        ops(Hooks).test(name, BytesIn(chunks=[b"Subject: x\r\n\r\n"]))
    with pytest.raises(Conflict, match="blocked"):
        ops(Hooks).replay(name, Replay(account=ann.address))
