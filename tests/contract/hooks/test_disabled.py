"""Jobs of hooks that are disabled meanwhile wait; none is lost, and none is given up for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from mairust_core import store
from mairust_core.jobs import Later
from mairust_core.jobs.retries import JITTER
from mairust_core.jobs.runner import Runner
from mairust_core.model.hook import HookType
from mairust_core.model.job import Leased
from mairust_core.model.plugin import Entry, Manifest, Protocol, State
from mairust_core.model.plugin_forms import Source
from mairust_core.receive.afterwards import DISABLED_S, NOTICED_S
from mairust_core.services.hooks import Hooks
from mairust_core.services.jobs import Jobs
from mairust_core.store.plugins import Registered
from tests.contract.hooks.conftest import TESTER, House
from tests.support.hooking import registered, runnable

POST = HookType.POST_RECEIVE


@pytest.fixture
def plugin(house: House) -> Iterator[str]:
    """An enabled plugin with one hook, `ID:post_receive`, in the tables and not in the chain."""
    id_ = f"com.example.{house.domain.partition('.')[0]}"
    hook = registered(f"{id_}:post_receive", POST, plugin=runnable(id_)).hook
    manifest = Manifest(
        id=id_, name=id_, version="1.0.0", entry=Entry(protocol=Protocol.INPROCESS), hooks=(hook,)
    )
    with house.site.storage.write() as tx:
        new = Registered(id=id_, state=State.ENABLED, source=Source.LINK, directory="/", manifest=manifest)
        store.plugins.add(tx, TESTER, new)
        store.hooks.declare(tx, TESTER, id_, [hook])
    yield id_
    with house.site.storage.write() as tx:
        store.plugins.remove(tx, TESTER, id_)


def set_state(house: House, id_: str, state: State) -> None:
    """Enable or disable a plugin."""
    with house.site.storage.write() as tx:
        found = store.plugins.get(tx, TESTER, id_, locked=True)
        store.plugins.replace(tx, TESTER, replace(found, state=state))


async def a_job(house: House, plugin: str) -> Leased:
    """The job of a mail for the plugin's hook, which is gone from the chain when it runs."""
    one = registered(f"{plugin}:post_receive", POST, plugin=runnable(plugin))
    await house.hook(lambda _: {"action": "deliver", "tags": ["seen"]}, one)
    await house.receive()
    house.book.write()
    await house.changed()
    [job] = house.jobs("hook")
    return job


async def test_a_job_waits_while_its_plugin_is_disabled(house: House, plugin: str) -> None:
    """And is done when that is enabled again, with the mail it was made for."""
    job = await a_job(house, plugin)
    set_state(house, plugin, State.DISABLED)
    with pytest.raises(Later, match=f"plugin {plugin} is not enabled") as wait:
        await house.run(job)
    assert wait.value.delay_s == DISABLED_S
    set_state(house, plugin, State.ENABLED)
    house.book.write(registered(f"{plugin}:post_receive", POST, plugin=runnable(plugin)))
    await house.changed()
    await house.run(job)
    assert house.box(house.ann)[0].tags == ("seen",)


async def test_a_job_waits_while_its_hook_is_disabled(house: House, plugin: str) -> None:
    """Likewise."""
    job = await a_job(house, plugin)
    house.site.service(Hooks, TESTER).disable(f"{plugin}:post_receive")
    with pytest.raises(Later, match=f"hook {plugin}:post_receive is not enabled"):
        await house.run(job)


async def test_a_job_for_a_hook_that_others_know_already_waits_a_moment(house: House, plugin: str) -> None:
    """It was made by a process that had noticed the hook sooner than this one."""
    job = await a_job(house, plugin)
    with pytest.raises(Later) as wait:
        await house.run(job)
    assert wait.value.delay_s == NOTICED_S


async def test_a_hook_that_is_gone_is_not_asked_any_more(house: House, plugin: str) -> None:
    """The job is done: nobody is left who wants it."""
    job = await a_job(house, plugin)
    house.site.service(Hooks, TESTER).remove(f"{plugin}:post_receive")
    await house.run(job)
    assert house.box(house.ann)[0].tags == ()


async def test_waiting_costs_no_attempt(house: House, plugin: str) -> None:
    """The runner puts it off, says why, and has as many attempts left as before."""
    job = await a_job(house, plugin)
    set_state(house, plugin, State.DISABLED)
    runner: Runner = house.site.hook_runner(house.chain, asyncio.get_running_loop())
    runner.start()
    try:
        async with asyncio.timeout(30):
            while (found := house.site.service(Jobs, TESTER).show(str(int(job.id)))).last_error is None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        await asyncio.to_thread(runner.stop, 10)
    assert (found.state.value, found.attempts) == ("ready", 0)
    assert found.last_error == f"waits, the plugin {plugin} is not enabled"
    waits_s = (found.run_at - found.created_at).total_seconds()
    assert waits_s >= DISABLED_S * (1 - JITTER)
