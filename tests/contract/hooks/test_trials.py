"""`append --hooks`, and hooks tried out without effect (rule E3, B-6)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from mairust_core import store
from mairust_core.errors import Refused, Temporary
from mairust_core.hooks.book import Registered
from mairust_core.hooks.transport import Answer, Call, CallFailed, Transport, Used
from mairust_core.model.forms import Page
from mairust_core.model.hook import Fallback, Filter, HookType, Mode
from mairust_core.model.mailbox import QUARANTINE
from mairust_core.model.message import Summary
from mairust_core.model.message_change import MessageFilter
from mairust_core.model.plugin import Protocol, Runnable
from mairust_core.model.trial import Replayed, TrialEnvelope
from mairust_core.model.verdict import Action
from mairust_core.operations import BytesIn
from mairust_core.receive.trial import Trial, try_hooks
from mairust_core.receive.trying import SiteTrial
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


class _Talking:
    """A transport to a process that says something besides, and gives no answer."""

    async def call(self, call: Call) -> Answer:
        """What is none."""
        used = Used(cpu_us=7, memory_bytes=8)
        return Answer(body=b"garbage", log="Traceback: no such list", notes={"sandbox": "full"}, used=used)

    async def close(self) -> None:
        """Nothing."""


async def test_what_is_no_answer_is_told_with_all_that_came_beside_it(house: House) -> None:
    """To who tries the hook, and of mail in the trace, the plugin's log, and the sums."""
    house.site.ways_to_plugins.by_protocol[Protocol.INPROCESS] = lambda: lambda _: _Talking()
    one = registered(on_error=Fallback.ALLOW)
    tried = await asyncio.to_thread(
        SiteTrial(house.site).test,
        [(one.hook, one.plugin)],
        BytesIn(chunks=iter([mail()])),
        TrialEnvelope(rcpt_to=(house.ann,)),
    )
    [step] = tried.steps
    assert (step.answer, step.error) == ("garbage", "the answer is not one JSON document")
    assert (step.log, step.notes) == ("Traceback: no such list", {"sandbox": "full"})
    await house.hook(lambda _: {}, one)
    [reply] = await house.receive()
    [told] = house.trace(stored_id(reply))
    assert (told["error"], told["log"], told["sandbox"]) == (step.error, step.log, "full")


async def test_a_trial_tells_hooks_that_there_was_no_time_for(house: House) -> None:
    """Nothing was sent to them; the other steps are told all the same."""
    settings = house.site.settings
    house.site.settings = replace(settings, hooks=replace(settings.hooks, budget_ms=0))
    house.plugins.add("com.example.test", lambda _: {"action": "deliver"})
    one = registered(on_timeout=Fallback.ALLOW)
    try:
        found = await asyncio.to_thread(
            SiteTrial(house.site).test,
            [(one.hook, one.plugin)],
            BytesIn(chunks=iter([mail()])),
            TrialEnvelope(rcpt_to=(house.ann,)),
        )
    finally:
        house.site.settings = settings
    assert [(step.payload, step.error) for step in found.steps] == [(None, "no time was left for it")]


async def test_a_trial_without_recipients(house: House) -> None:
    """Only hooks that do not ask for one match."""
    house.plugins.add("com.example.test", lambda _: {"action": "quarantine"})
    found = await asyncio.to_thread(try_hooks, house.site, [registered()], mail())
    assert (found.action, found.reply.code) == (Action.QUARANTINE, 250)


async def _replay(house: House, one: Registered, *, page_s: float = 60, limit: int = 50) -> Page[Replayed]:
    """What a hook says of Ann's mail, newest first."""
    with house.site.storage.read() as tx:
        owner = store.accounts.get(tx, TESTER, house.ann)
        asked = store.listing.Wanted(account_id=owner.id, mailbox_id=None, filter=MessageFilter())
        found = store.listing.page(tx, TESTER, asked, "", limit)
    trial = SiteTrial(house.site, page_s)
    return await asyncio.to_thread(trial.replay, one.hook, one.plugin, owner.id, found)


async def test_a_replay_asks_about_stored_mail_and_leaves_it(house: House) -> None:
    """With the envelope it came in; what was deleted meanwhile is passed over."""
    [reply] = await house.receive()
    house.plugins.add("com.example.test", lambda _: {"action": "quarantine", "tags": ["x"]})
    [found] = (await _replay(house, registered())).items
    assert (str(int(found.id)), found.matched, found.action) == (stored_id(reply), True, "quarantine")
    [told] = house.plugins.requests("com.example.test")
    assert told["envelope"] == {"mail_from": "eve@elsewhere.example", "rcpt_to": [house.ann]}
    assert [one.tags for one in house.box(house.ann)] == [()]


async def test_b5_the_trace_tells_what_a_replay_showed_to_whom(house: House) -> None:
    """Only of messages that the hook's filter matches."""
    [reply] = await house.receive(data=mail("seen"))
    [other] = await house.receive(data=mail("other"))
    house.plugins.add("com.example.test", lambda _: {"action": "quarantine"})
    await _replay(house, registered("h", wanted=Filter(subject_matches="^seen$")))
    [told] = house.trace(stored_id(reply), "replayed")
    assert (told["hook"], told["plugin"], told["account"]) == ("h", "com.example.test", house.ann)
    assert (told["action"], told["saw"]) == (
        "quarantine", ["headers", "body:preview", "attachments:metadata"],
    )  # fmt: skip
    assert house.trace(stored_id(other), "replayed") == []


async def test_a_replay_asks_hooks_after_storing_what_the_server_would(house: House) -> None:
    """The message's id, its tags, the plugin's own metadata, and a callback whose token is worth nothing."""
    one = registered("p", POST)
    answers = iter([{"action": "deliver", "tags": ["blue"], "metadata": {"ticket": 17}}] + [
        {"action": "deliver"}
    ] * 2)  # fmt: skip
    await house.hook(lambda _: next(answers), one)
    house.site.listening = {"http": ("127.0.0.1", 8025)}
    [reply] = await house.receive()
    [job] = house.jobs("hook")
    await house.run(job)
    await house.run(job)  # with what the first run left
    await _replay(house, one)
    _, asked, tried = house.plugins.requests("com.example.test")
    callback, masked = asked.pop("callback"), tried.pop("callback")
    assert asked["delivery_id"] != tried["delivery_id"]  # it must not be taken for one answered before
    assert {**asked, "delivery_id": ""} == {**tried, "delivery_id": ""}
    assert (asked["tags"], asked["metadata"]) == (["blue"], {"ticket": 17})
    assert asked["message"]["id"] == stored_id(reply)
    assert callback["url"].startswith("http://127.0.0.1:8025/api/v1/plugin/callback/")
    assert masked["url"].endswith(tried["delivery_id"])
    assert masked["token"] == "***"


async def test_a_trial_of_a_mail_from_a_file_masks_the_token_of_its_callback(house: House) -> None:
    """A plugin that is only tried may change nothing later either; the mail's id is that of no message."""
    house.site.listening = {"http": ("127.0.0.1", 8025)}
    house.plugins.add("com.example.test", lambda _: {"action": "tag", "tags": ["a"]})
    found = await _try(house, [registered("first", EACH), registered("p", POST)])
    told = json.loads(found.steps[1].request)
    assert (told["message"]["id"], told["tags"], told["callback"]["token"]) == ("0", ["a"], "***")


async def test_a_hook_after_storing_is_not_tried_on_what_would_not_be_delivered(house: House) -> None:
    """As on the road: neither on what is refused, nor on what goes to Quarantine."""
    house.plugins.add("com.example.test", lambda _: {"action": "quarantine"})
    found = await _try(house, [registered("first"), registered("p", POST)])
    assert [one.registered.hook.name for one in found.steps] == ["first"]


async def test_a_replay_keeps_its_processes_and_ends_a_page_in_time(house: House) -> None:
    """One transport for a page; its cursor goes on after the last message that was asked about."""
    ids = [stored_id((await house.receive())[0]) for _ in range(3)]
    house.plugins.add("com.example.test", lambda _: {"action": "deliver"})
    opened: list[str] = []

    def open_(plugin: Runnable) -> Transport:
        opened.append(plugin.id)
        return house.plugins.open(plugin)

    house.site.ways_to_plugins.by_protocol[Protocol.INPROCESS] = lambda: open_
    whole = await _replay(house, registered())
    assert [str(int(one.id)) for one in whole.items] == ids[::-1]
    assert (whole.next_cursor, opened) == (None, ["com.example.test"])
    first = await _replay(house, registered(), page_s=0)
    assert [one.id for one in first.items] == [whole.items[0].id]
    with house.site.storage.read() as tx:
        owner = store.accounts.get(tx, TESTER, house.ann)
        asked = store.listing.Wanted(account_id=owner.id, mailbox_id=None, filter=MessageFilter())
        rest = store.listing.page(tx, TESTER, asked, first.next_cursor or "", 50)
    assert [str(int(one.id)) for one in rest.items] == ids[1::-1]


async def test_trap_d6_a_replay_tells_a_damaged_message_and_goes_on(house: House) -> None:
    """By its id; the others are asked about."""
    for _ in range(2):
        await house.receive()
    newest, other = house.box(house.ann)
    with house.site.storage.write() as tx:
        first, second = (store.messages.get(tx, TESTER, one.id)[1] for one in (newest, other))
        moved = "UPDATE blob SET location = ? WHERE location = ?"
        house.site.storage.execute_many(tx, moved, [(str(second.locator), str(first.locator))])
    house.plugins.add("com.example.test", lambda _: {"action": "deliver"})
    damaged, fine = (await _replay(house, registered())).items
    assert (damaged.id, damaged.matched, fine.matched, fine.error) == (newest.id, False, True, "")
    assert damaged.error
