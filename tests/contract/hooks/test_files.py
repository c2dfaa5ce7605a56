"""Plugins are got ready beside what changes: no change waits for files that take long to be had (rule D3)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from typing import Any

from mairust_core import store
from mairust_core.hooks.chain import HookChain
from mairust_core.model.plugin import Runnable
from mairust_core.model.verdict import Action
from tests.contract.hooks.conftest import House
from tests.support.hooking import asked, registered, runnable

QUICK, SLOW = registered("quick", plugin=runnable("com.example.quick")), registered("slow")
TWENTY_S = 20


async def reject(_: dict[str, Any]) -> dict[str, Any]:
    """Let no mail in."""
    return {"action": "reject"}


async def test_rule_d3_no_change_waits_for_a_package_that_is_unpacked(house: House) -> None:
    """Hooks come and go meanwhile; the calls of that one plugin wait until it is ready."""
    there = threading.Event()

    def files(plugins: Iterable[Runnable]) -> dict[str, str]:
        if SLOW.plugin.id in {one.id for one in plugins}:
            assert there.wait(TWENTY_S), "a change waited for it"
        return {}

    site = house.site
    chain = HookChain(site.storage, house.book, site.open_transport, site.credentials, house, 20_000, files)

    async def follow(*hooks: Any) -> None:
        house.book.write(*hooks)
        with site.storage.write() as tx:
            store.generations.advance(tx)
        await chain.poll()

    for one in (QUICK, SLOW):
        house.plugins.add(one.plugin.id, reject)
    try:
        await follow(QUICK)
        await follow(QUICK, SLOW)
        assert {name for name in ("quick", "slow") if chain.find(name)} == {"quick", "slow"}
        await follow(SLOW)
        assert chain.find("quick") is None
        asking = asyncio.create_task(chain.ask(asked(b"Subject: x\r\n\r\nx\r\n")))
        assert not (await asyncio.wait({asking}, timeout=0.3))[0]
        there.set()
        assert {one.action for one in (await asking).verdicts.values()} == {Action.REJECT}
    finally:
        there.set()
        await chain.close()
