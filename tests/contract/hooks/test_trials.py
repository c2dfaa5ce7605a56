"""`append --hooks`, and hooks tried out without effect (rule E3, B-6)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from mairust_core.errors import NotFound, Refused, Temporary
from mairust_core.hooks.transport import CallFailed
from mairust_core.model.hook import Fallback, Filter, HookType, Mode
from mairust_core.model.ids import Id
from mairust_core.model.mailbox import QUARANTINE
from mairust_core.model.message import Summary
from mairust_core.model.verdict import Action
from mairust_core.operations import BytesIn
from mairust_core.receive.trial import Trial, try_hooks, try_on_stored
from mairust_core.services.messages import Messages
from tests.contract.hooks.conftest import TESTER, House, mail, stored_id
from tests.support.hooking import registered, runnable

EACH, POST = HookType.PRE_DELIVERY, HookType.POST_RECEIVE


async def _append(house: House, data: bytes | None = None, **more: Any) -> Summary:
    """One message appended, as a command or a thread of the server does."""
    given = BytesIn(chunks=iter([data or mail()]))
    messages = house.site.service(Messages, TESTER)
    return await asyncio.to_thread(messages.append, house.ann, given, **more)


async def test_rule_e3_append_asks_no_hook_unless_it_is_told_to(house: House) -> None:
    """Then it is asked as about mail that comes in, with the author as sender, and the mail has a trace."""
    await house.hook(lambda _: {"action": "deliver", "tags": ["seen"], "move_to": "Other"}, registered())
    plain = await _append(house)
    assert plain.tags == ()
    asked = await _append(house, hooks=True, tag=("mine",), flag=("\\Seen",))
    assert (asked.tags, asked.flags, asked.mailbox) == (("mine", "seen"), ("\\Seen",), "Other")
    [told] = house.plugins.requests("com.example.test")
    assert told["envelope"] == {"mail_from": "eve@elsewhere.example", "rcpt_to": [house.ann]}
    assert [one["hook"] for one in house.trace(str(int(asked.id)))] == ["com.example.test:pre_receive"]


async def test_append_with_hooks_that_refuse(house: House) -> None:
    """Nothing is stored, and the caller is told by whom and why."""
    actions = iter(["reject", "tempfail", "quarantine"])
    await house.hook(lambda _: {"action": next(actions), "message": "because"}, registered("guard"))
    with pytest.raises(Refused, match="guard: because"):
        await _append(house, hooks=True)
    with pytest.raises(Temporary, match="guard: because"):
        await _append(house, hooks=True)
    assert house.box(house.ann) == []
    asked = await _append(house, hooks=True)
    assert asked.mailbox == QUARANTINE


async def test_append_with_hooks_makes_their_jobs(house: House) -> None:
    """A `post_receive` hook sees it as any other mail."""
    await house.hook(lambda _: {"action": "deliver", "tags": ["later"]}, registered("p", POST))
    await _append(house, hooks=True)
    [job] = house.jobs("hook")
    await house.run(job)
    assert [one.tags for one in house.box(house.ann)] == [("later",)]


async def test_append_through_a_running_chain_uses_its_loop(house: House) -> None:
    """As a thread of a server does."""
    await house.hook(lambda _: {"action": "deliver", "tags": ["seen"]}, registered())
    house.site.running_chain = (house.chain, asyncio.get_running_loop())
    try:
        assert (await _append(house, hooks=True)).tags == ("seen",)
    finally:
        house.site.running_chain = None


async def _try(house: House, hooks: Sequence[Any], data: bytes | None = None, *rcpt_to: str) -> Trial:
    return await asyncio.to_thread(
        try_hooks, house.site, hooks, data or mail(), "eve@elsewhere.example", rcpt_to or (house.ann,)
    )


async def test_a_trial_tells_every_step_and_changes_nothing(house: House) -> None:
    """Request and answer as they were, time, effect, and what SMTP would have heard."""
    house.plugins.add("com.example.a", lambda _: {"action": "tag", "tags": ["spam"], "flags": ["\\Deleted"]})
    house.plugins.add("com.example.b", lambda _: {"action": "reject", "code": 554, "message": "No"})
    hooks = [
        registered("a", plugin=runnable("com.example.a")),
        registered("b", EACH, plugin=runnable("com.example.b"), wanted=Filter(recipient_matches="^bob@")),
    ]
    found = await _try(house, hooks, None, house.bob)
    first, second = found.steps
    assert json.loads(first.request)["recipient"] == house.bob
    assert json.loads(first.outcome.body or b"")["tags"] == ["spam"]
    assert first.outcome.said.refused == ("flags",)
    assert second.outcome.said.action is Action.REJECT
    assert (found.action, str(found.reply), found.failed) == (Action.REJECT, "554 5.7.1 No", False)
    assert house.box(house.bob) == []
    passed = await _try(house, hooks, None, house.ann)
    assert (len(passed.steps), passed.reply.code) == (1, 250)


async def test_a_trial_asks_shadows_and_later_hooks_too_and_shadows_do_not_count(house: House) -> None:
    """In their order."""
    house.plugins.add("com.example.test", lambda _: {"action": "reject"})
    hooks = [
        registered("after", POST),
        registered("shadow", mode=Mode.SHADOW),
        registered("never", wanted=Filter(subject_matches="^never$")),
    ]
    found = await _try(house, hooks)
    assert [one.registered.hook.name for one in found.steps] == ["shadow", "after"]
    assert (found.action, found.reply.code) == (Action.DELIVER, 250)


async def test_a_trial_that_fails_says_so_and_opens_no_breaker(house: House) -> None:
    """However often."""

    def broken(_: dict[str, Any]) -> dict[str, Any]:
        raise CallFailed("it crashed")

    house.plugins.add("com.example.test", broken)
    for _ in range(5):
        found = await _try(house, [registered(on_error=Fallback.REJECT)])
        assert found.failed
        assert found.steps[0].outcome.error == "it crashed"
        assert found.reply.code == 550
    with house.site.storage.read() as tx:
        assert house.site.storage.fetch_all(tx, "SELECT count(*) FROM hook_breaker", ()) == [(0,)]


async def test_a_trial_without_recipients(house: House) -> None:
    """Only hooks that do not ask for one match."""
    house.plugins.add("com.example.test", lambda _: {"action": "quarantine"})
    found = await asyncio.to_thread(try_hooks, house.site, [registered()], mail())
    assert (found.action, found.reply.code) == (Action.QUARANTINE, 250)


async def test_a_replay_asks_about_stored_mail_and_leaves_it(house: House) -> None:
    """With the envelope it came in."""
    [reply] = await house.receive()
    house.plugins.add("com.example.test", lambda _: {"action": "quarantine", "tags": ["x"]})
    message_id = Id.parse(stored_id(reply))
    found = await asyncio.to_thread(try_on_stored, house.site, [registered()], message_id, house.ann)
    assert (found.matched, found.action) == (True, Action.QUARANTINE)
    told = json.loads(found.steps[0].request)
    assert told["envelope"] == {"mail_from": "eve@elsewhere.example", "rcpt_to": [house.ann]}
    assert [one.tags for one in house.box(house.ann)] == [()]
    with pytest.raises(NotFound):
        await asyncio.to_thread(try_on_stored, house.site, [registered()], Id(1), house.ann)
