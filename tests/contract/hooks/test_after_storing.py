"""What hooks leave to do: `post_receive` jobs, and copies that wait for delivery (rules E2, F2, F3)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mairust_core import store
from mairust_core.errors import Conflict, Temporary
from mairust_core.hooks.log import Came, Line, Noted
from mairust_core.hooks.transport import CallFailed
from mairust_core.ids import now_ms
from mairust_core.jobs import Later, LeaseLost
from mairust_core.model.envelope import Road
from mairust_core.model.hook import Fallback, Filter, HookType, Mode
from mairust_core.model.hook_forms import NewHook, Outcome
from mairust_core.model.ids import Id
from mairust_core.model.job import Leased
from mairust_core.model.mailbox import QUARANTINE
from mairust_core.model.message_change import MessageChange
from mairust_core.model.plugin import Body, Entry, Manifest, Permissions, Protocol, State
from mairust_core.model.plugin_forms import Source
from mairust_core.receive.afterwards import Afterwards
from mairust_core.receive.answering import apply_callback
from mairust_core.receive.copying import RETRY_AFTER_S
from mairust_core.services.messages import Messages
from mairust_core.store.plugins import Registered as Row
from tests.contract.hooks.conftest import TESTER, House, mail, stored_id
from tests.support.hooking import registered, runnable

EACH, POST = HookType.PRE_DELIVERY, HookType.POST_RECEIVE
ALLOW = Fallback.ALLOW


async def _put_off_bob(house: House, *, until: int = 99) -> list[int]:
    """A hook that tempfails Bob's copy `until` it was asked so often; how often it was asked."""
    asked: list[int] = []

    def plugin(told: dict[str, Any]) -> dict[str, Any]:
        asked.append(told["attempt"])
        return {"action": "deliver" if len(asked) > until else "tempfail", "message": "not yet"}

    await house.hook(plugin, registered("later", EACH, wanted=Filter(recipient_matches="^bob@")))
    return asked


async def test_b5_a_plugin_cannot_hide_what_it_did_behind_many_tags(house: House) -> None:
    """The trace shortens them, and tells of the rest."""
    tags = [f"t{number:02}{'x' * 50}" for number in range(60)]
    done = {"tags": tags, "flags": ["\\Seen"], "remove_tags": ["hello"], "move_to": "Trash"}
    await house.hook(lambda _: {"action": "deliver", **done}, registered("p", POST))
    [reply] = await house.receive()
    await house.run(house.jobs("hook")[0])
    [told] = house.trace(stored_id(reply))
    effect = told["effect"]
    assert (effect["flags"], effect["remove_tags"], effect["move_to"]) == (["\\Seen"], ["hello"], "Trash")
    assert (effect["tags"], told["shortened"]) == (tags[: len(effect["tags"])], {"tags": 60})
    assert told["moved_to"] == "Trash"


async def test_rule_e2_a_tempfailed_copy_becomes_a_delivery_job(house: House) -> None:
    """Made in the transaction of the 250; the copy is safe in Quarantine meanwhile, due in 30 s."""
    await _put_off_bob(house)
    [reply] = await house.receive(house.ann, house.bob)
    assert reply.code == 250
    assert len(house.box(house.ann)) == 1
    assert house.box(house.bob) == []
    [waiting] = house.box(house.bob, QUARANTINE)
    assert waiting.metadata["quarantine"] == "waits for delivery: later: not yet"
    [job] = house.jobs("delivery")
    assert job.payload["message"] == str(int(waiting.id))
    with house.site.storage.read() as tx:
        [[delay_ms]] = house.site.storage.fetch_all(
            tx, "SELECT run_at_ms - created_ms FROM job WHERE id = ?", (job.id,)
        )
    assert delay_ms == 30_000


async def test_rule_e2_it_is_delivered_once_the_hook_lets_it(house: House) -> None:
    """The same message, its id kept, in INBOX; its effects and its own `post_receive` hooks with it."""
    asked = await _put_off_bob(house, until=1)
    await house.hook(
        lambda _: {"action": "deliver"}, registered("after", POST, plugin=runnable("com.example.p"))
    )
    [reply] = await house.receive(house.ann, house.bob)
    [waiting] = house.box(house.bob, QUARANTINE)
    assert [one.payload["addresses"] for one in house.jobs("hook")] == [[house.ann]]
    [job] = house.jobs("delivery")
    await house.run(job)
    [found] = house.box(house.bob)
    assert (found.id, found.metadata) == (waiting.id, {})
    assert asked == [1, 2]
    assert len({one["delivery_id"] for one in house.plugins.requests("com.example.test")}) == 1
    assert [one.payload["addresses"] for one in house.jobs("hook")] == [[house.ann], [house.bob]]
    assert [one["action"] for one in house.trace(stored_id(reply), "decided")] == ["deliver"]


async def test_rule_e2_after_three_more_tries_it_stays_in_quarantine(house: House) -> None:
    """30 s, 2 min, 10 min: then the job is done and the reason says why."""
    await _put_off_bob(house)
    await house.receive(house.ann, house.bob)
    [job] = house.jobs("delivery")
    for attempt in (1, 2):
        with pytest.raises(Temporary, match="not yet"):
            await house.run(job, attempt)
    await house.run(job, 3)
    [found] = house.box(house.bob, QUARANTINE)
    assert found.metadata["quarantine"] == "later: not yet"
    kinds = {one.name: one.retry_after_s for one in Afterwards(house.site, house.chain).kinds()}
    assert (RETRY_AFTER_S, kinds) == ((30, 120, 600), {"hook": (30, 120, 600), "delivery": (120, 600)})


async def test_rule_e2_a_copy_that_is_rejected_later_stays_in_quarantine(house: House) -> None:
    """Its sender has its 250: nobody can be told any more."""
    asked = 0

    def plugin(_: dict[str, Any]) -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {"action": "tempfail" if asked == 1 else "reject", "message": "no"}

    await house.hook(plugin, registered("guard", EACH, wanted=Filter(recipient_matches="^bob@")))
    await house.receive(house.ann, house.bob)
    [job] = house.jobs("delivery")
    await house.run(job)
    [found] = house.box(house.bob, QUARANTINE)
    assert found.metadata["quarantine"] == "guard: no"


async def test_rule_c4_a_list_that_the_pipe_repeats_leaves_no_second_job(house: House) -> None:
    """A front server brings a mail to Ann, then to Ann and Bob: each has it once, and one job for it."""
    await house.hook(lambda _: {"action": "deliver"}, registered("after", POST))
    data = mail()
    replies = await house.receive(house.ann, data=data, road=Road.DELIVER)
    replies += await house.receive(house.ann, house.bob, data=data, road=Road.DELIVER)
    assert [one.code for one in replies] == [250, 250, 250]
    assert [len(house.box(one)) for one in (house.ann, house.bob)] == [1, 1]
    assert [one.payload["addresses"] for one in house.jobs("hook")] == [[house.ann], [house.bob]]


async def test_a_copy_that_somebody_released_is_left_where_it_is(house: House) -> None:
    """Neither asked about nor moved."""
    asked = await _put_off_bob(house)
    await house.receive(house.ann, house.bob)
    [waiting] = house.box(house.bob, QUARANTINE)
    house.site.service(Messages, TESTER).release(str(int(waiting.id)))
    house.site.service(Messages, TESTER).change(str(int(waiting.id)), MessageChange(mailbox="INBOX"))
    [job] = house.jobs("delivery")
    await house.run(job)
    assert asked == [1]
    assert [one.id for one in house.box(house.bob)] == [waiting.id]


async def test_a_job_that_runs_twice_delivers_once(house: House) -> None:
    """A worker that died after its commit: the second run finds the copy gone from its place."""
    await _put_off_bob(house, until=1)
    await house.receive(house.ann, house.bob)
    [job] = house.jobs("delivery")
    await house.run(job)
    await house.run(job, 2)
    assert len(house.box(house.bob)) == 1
    assert house.box(house.bob, QUARANTINE) == []


async def test_rule_f3_nothing_is_written_under_a_lost_lease(house: House) -> None:
    """Another worker has the job by now: its fencing number is higher."""
    await _put_off_bob(house, until=1)
    await house.receive(house.ann, house.bob)
    [job] = house.jobs("delivery")
    handlers: dict[str, Any] = {
        kind.name: kind.handler for kind in Afterwards(house.site, house.chain).kinds()
    }
    from mairust_core.jobs.lease import Lease

    with pytest.raises(LeaseLost):
        await handlers["delivery"](house.site, job.payload, Lease(job))
    assert house.box(house.bob) == []
    assert len(house.box(house.bob, QUARANTINE)) == 1


async def test_post_receive_is_a_job_made_with_the_copy(house: House) -> None:
    """One for each hook and copy whose filter matches; none for a copy in Quarantine."""
    await house.hook(lambda _: {"action": "deliver"}, registered("p1", POST), registered("p2", POST))
    await house.hook(
        lambda _: {"action": "deliver"}, registered("p3", POST, wanted=Filter(subject_matches="^never$"))
    )
    await house.hook(
        lambda _: {"action": "quarantine"},
        registered(
            "guard", EACH, wanted=Filter(recipient_matches="^carol@"), plugin=runnable("com.example.g")
        ),
    )
    await house.receive(house.ann, house.bob, house.carol)
    found = sorted((one.payload["hook"], one.payload["addresses"][0]) for one in house.jobs("hook"))
    assert found == [(name, who) for name in ("p1", "p2") for who in sorted((house.ann, house.bob))]
    assert house.plugins.requests("com.example.test") == []


async def test_post_receive_effects_are_applied_by_write_scope(house: House) -> None:
    """Tags, flags, metadata, move: in one change, and in the trace."""
    await house.hook(
        lambda _: {
            "action": "deliver", "tags": ["ticket"], "flags": ["\\Flagged"], "move_to": "Support",
            "metadata": {"ticket": 17}, "score": 0.5,
        },
        registered("desk", POST),
    )  # fmt: skip
    [reply] = await house.receive()
    [job] = house.jobs("hook")
    await house.run(job)
    [found] = house.box(house.ann, "Support")
    assert (found.tags, found.flags) == (("ticket",), ("\\Flagged",))
    assert found.metadata == {"plugin:com.example.test:ticket": 17, "plugin:com.example.test:score": 0.5}
    [told] = house.trace(stored_id(reply))
    assert (told["hook"], told["type"], told["moved_to"], told["attempt"]) == (
        "desk", "post_receive", "Support", 1,
    )  # fmt: skip
    [request] = house.plugins.requests("com.example.test")
    assert request["message"]["id"] == stored_id(reply)
    assert request["envelope"] == {"mail_from": "eve@elsewhere.example", "rcpt_to": [house.ann]}
    assert request["connection"]["ip"] == "192.0.2.7"


async def test_rule_f2_a_move_applies_only_where_it_has_not_moved_since(house: House) -> None:
    """Who moved it meanwhile knows better; the rest of the answer counts."""
    await house.hook(
        lambda _: {"action": "deliver", "tags": ["x"], "move_to": "Support"}, registered("desk", POST)
    )
    [reply] = await house.receive()
    messages = house.site.service(Messages, TESTER)
    with house.site.storage.write() as tx:
        owner = store.accounts.get(tx, TESTER, house.ann)
        store.mailboxes.ensure(tx, 1, owner.id, house.site.ids.next(), "Mine")
    for mailbox in ("Mine", "INBOX"):  # also when it is back where it was
        messages.change(stored_id(reply), MessageChange(mailbox=mailbox))
    [job] = house.jobs("hook")
    await house.run(job)
    [found] = house.box(house.ann)
    assert found.tags == ("x",)
    [told] = house.trace(stored_id(reply))
    assert told["left_out"] == ["move_to: it was moved meanwhile"]
    assert "Support" not in house.mailboxes(house.ann)


async def test_post_receive_sees_and_keeps_its_own_metadata(house: House) -> None:
    """Rule F1: its own names only, without their prefix; null takes one away."""
    await house.hook(lambda _: {"action": "deliver", "metadata": {"a": 1, "b": 2}}, registered("one", POST))
    await house.hook(
        lambda _: {"action": "deliver", "metadata": {"a": None, "c": 3}}, registered("two", POST)
    )
    await house.hook(
        lambda _: {"action": "deliver"}, registered("other", POST, plugin=runnable("com.example.other"))
    )
    await house.receive()
    house.plugins.opened["com.example.test"] = house.plugins.open(runnable())
    answers = iter([{"a": 1, "b": 2}, {"a": None, "c": 3}])
    house.plugins.opened.clear()
    house.plugins.add("com.example.test", lambda _: {"action": "deliver", "metadata": next(answers)})
    for job in sorted(house.jobs("hook"), key=lambda job: ("one", "two", "other").index(job.payload["hook"])):
        await house.run(job)
    [found] = house.box(house.ann)
    prefix = "plugin:com.example.test:"
    assert found.metadata == {f"{prefix}b": 2, f"{prefix}c": 3}
    assert house.plugins.requests("com.example.other")[0]["metadata"] == {}
    assert house.plugins.requests("com.example.test")[1]["metadata"] == {"a": 1, "b": 2}


async def test_post_receive_quarantine_is_a_move_with_a_reason(house: House) -> None:
    """Where the plugin may move; otherwise the mail stays, and the trace says that it may not."""
    await house.hook(lambda _: {"action": "quarantine", "message": "late find"}, registered("av", POST))
    await house.receive()
    [job] = house.jobs("hook")
    await house.run(job)
    [found] = house.box(house.ann, QUARANTINE)
    assert found.metadata["quarantine"] == "av: late find"


async def test_a_plugin_without_rights_changes_nothing(house: House) -> None:
    """Its fields are named in the trace."""
    plugin = runnable(permissions=Permissions(read_headers=True))
    await house.hook(
        lambda _: {"action": "reject", "tags": ["x"], "move_to": "Junk"}, registered("p", POST, plugin=plugin)
    )
    [reply] = await house.receive()
    [job] = house.jobs("hook")
    await house.run(job)
    [found] = house.box(house.ann)
    assert (found.tags, found.mailbox) == ((), "INBOX")
    assert house.trace(stored_id(reply))[0]["refused"] == ["tags", "move_to", "action"]


async def test_no_answer_lets_the_job_come_again(house: House) -> None:
    """The failure is in the trace and in the job; the next attempt has the same delivery id."""
    await house.hook(lambda _: b"not json", registered("p", POST))
    [reply] = await house.receive()
    [job] = house.jobs("hook")
    assert job.max_attempts == 4
    for attempt in (1, 2):
        with pytest.raises(Temporary, match="not one JSON document"):
            await house.run(job, attempt)
    requests = house.plugins.requests("com.example.test")
    assert [one["attempt"] for one in requests] == [1, 2]
    assert len({one["delivery_id"] for one in requests}) == 1
    assert [one["error"] for one in house.trace(stored_id(reply))] == [
        "the answer is not one JSON document"
    ] * 2


async def test_a_message_that_is_gone_is_no_failure(house: House) -> None:
    """There is nothing to do any more."""
    await house.hook(lambda _: {"action": "deliver", "tags": ["x"]}, registered("p", POST))
    [reply] = await house.receive()
    house.site.service(Messages, TESTER).delete(stored_id(reply))
    [job] = house.jobs("hook")
    await house.run(job)
    assert house.plugins.requests("com.example.test") == []


async def test_a_hook_that_is_gone_is_told_by_the_trace(house: House) -> None:
    """The mail was promised to it; who looks shall see why nothing came of that."""
    await house.hook(lambda _: {"action": "deliver"}, registered("p", POST))
    [reply] = await house.receive()
    house.book.write()
    await house.changed()
    [job] = house.jobs("hook")
    await house.run(job)
    assert house.plugins.requests("com.example.test") == []
    [told] = house.trace(stored_id(reply), "hook_gone")
    assert (told["hook"], told["account"], told["message"]) == ("p", house.ann, stored_id(reply))


async def test_a_job_finds_a_hook_that_this_process_has_not_seen_yet(house: House) -> None:
    """Another process followed the change, and made the job, before this one looked."""
    one = registered("p", POST)
    await house.hook(lambda _: {"action": "deliver", "tags": ["x"]}, one)
    await house.receive()
    house.book.write()
    await house.changed()
    house.book.write(one)
    with house.site.storage.write() as tx:
        store.generations.advance(tx)
    [job] = house.jobs("hook")
    await house.run(job)
    assert [one.tags for one in house.box(house.ann)] == [("x",)]


async def test_a_job_whose_hook_is_disabled_comes_again(house: House) -> None:
    """It waits for that as long as it takes, and is never done without a call."""
    id_ = f"com.example.{house.domain.partition('.')[0]}"
    manifest = Manifest(id=id_, name="p", version="1.0.0", entry=Entry(protocol=Protocol.HTTP))
    with house.site.storage.write() as tx:
        store.plugins.add(
            tx, TESTER, Row(id=id_, state=State.DISABLED, source=Source.LINK, directory="", manifest=manifest)
        )
        store.hooks.add(tx, TESTER, NewHook(name=f"{id_}-p", type=POST, plugin=id_))
    await house.hook(lambda _: {"action": "deliver"}, registered(f"{id_}-p", POST))
    [reply] = await house.receive()
    house.book.write()
    await house.changed()
    [job] = house.jobs("hook")
    with pytest.raises(Later, match="is not enabled"):
        await house.run(job)
    assert house.plugins.requests("com.example.test") == []
    assert house.trace(stored_id(reply), "hook_gone") == []


async def test_a_shadow_after_storing_changes_nothing(house: House) -> None:
    """Its answer is in the trace."""
    await house.hook(lambda _: {"action": "deliver", "tags": ["x"]}, registered("p", POST, mode=Mode.SHADOW))
    [reply] = await house.receive()
    [job] = house.jobs("hook")
    await house.run(job)
    assert [one.tags for one in house.box(house.ann)] == [()]
    [told] = house.trace(stored_id(reply))
    assert (told["mode"], told["effect"]) == ("shadow", {"tags": ["x"]})


async def test_jobs_of_hooks_run_on_the_loop_and_hold_no_thread(house: House) -> None:
    """Rule E4: twenty wait beside each other, more than there are threads; all are done, none twice."""
    waiting: list[str] = []
    all_there = asyncio.Event()

    async def plugin(told: dict[str, Any]) -> dict[str, Any]:
        waiting.append(told["message"]["id"])
        if len(waiting) == 20:
            all_there.set()
        await asyncio.wait_for(all_there.wait(), 20)
        return {"action": "deliver", "tags": ["done"]}

    await house.hook(plugin, registered("p", POST, timeout_ms=30_000))
    ids = [stored_id((await house.receive())[0]) for _ in range(20)]
    runner = house.site.hook_runner(house.chain, asyncio.get_running_loop())
    runner.start()
    try:
        async with asyncio.timeout(30):
            while house.jobs("hook"):  # noqa: ASYNC110 - another thread settles them
                await asyncio.sleep(0.05)
    finally:
        await asyncio.to_thread(runner.stop, 10)
    assert sorted(waiting) == sorted(ids)
    assert {one.tags for one in house.box(house.ann)} == {("done",)}


async def test_a_runner_that_stops_gives_its_jobs_back(house: House) -> None:
    """A plugin that does not answer does not keep the process; the attempt is not counted."""
    called = asyncio.Event()

    async def plugin(_: dict[str, Any]) -> dict[str, Any]:
        called.set()
        await asyncio.sleep(60)
        raise AssertionError

    await house.hook(plugin, registered("p", POST, timeout_ms=100_000))
    await house.receive()
    runner = house.site.hook_runner(house.chain, asyncio.get_running_loop())
    runner.start()
    await asyncio.wait_for(called.wait(), 20)
    await asyncio.to_thread(runner.stop, 10)
    [job] = house.jobs("hook")
    assert isinstance(job, Leased)
    with house.site.storage.read() as tx:
        rows = house.site.storage.fetch_all(tx, "SELECT state, attempts FROM job WHERE id = ?", (Id(job.id),))
    assert rows == [("ready", 0)]


async def test_every_question_is_a_line_of_the_log(house: House) -> None:
    """Answered, failed, not asked; before and after storing, shadows too."""
    await house.hook(lambda _: {"action": "deliver", "color": 1}, registered("fine", mode=Mode.SHADOW))
    await house.hook(lambda _: b"", registered("broken", plugin=runnable("com.example.b"), on_error=ALLOW))
    await house.hook(
        lambda _: b"", registered("off", plugin=runnable("com.example.c"), on_error=ALLOW, blocked=True)
    )
    await house.hook(lambda _: {"action": "deliver"}, registered("p", POST, plugin=runnable("com.example.p")))
    [reply] = await house.receive()
    [job] = house.jobs("hook")
    await house.run(job)
    assert {one.hook for one in house.calls()} == {"broken", "off"}, "these are written with the mail"
    assert house.lines == []
    await house.chain.poll()
    found = {one.hook: one for one in house.calls()}
    assert {name: one.outcome for name, one in found.items()} == {
        "fine": Outcome.ANSWERED, "broken": Outcome.FAILED, "off": Outcome.SKIPPED, "p": Outcome.ANSWERED,
    }  # fmt: skip
    assert found["fine"].detail == "ignored: color (unknown)"
    assert found["broken"].detail == "the answer is empty"
    assert {one.recipient for one in house.calls()} == {house.ann}
    assert (found["p"].message_id, found["broken"].message_id) == (int(stored_id(reply)), None)
    assert len({one.trace_id for one in house.calls()}) == 1


async def test_rule_f3_a_callback_applies_within_permissions_once(house: House) -> None:
    """In one transaction with whatever says that it was used; a second one undoes itself."""
    plugin = runnable(permissions=Permissions(write_tags=True))
    await house.hook(lambda _: {"action": "deliver"}, registered("p", POST, plugin=plugin))
    [reply] = await house.receive()
    [job] = house.jobs("hook")
    message_id, place = Id.parse(stored_id(reply)), job.payload["place"]
    used: list[str] = []

    def use(_: Any) -> None:
        if used:
            raise Conflict("deleted", id=message_id)
        used.append("once")

    body = b'{"action": "deliver", "tags": ["later"], "move_to": "Junk"}'
    answer = (house.site, ("p", plugin), message_id, tuple(place))
    said, applied = await asyncio.to_thread(apply_callback, *answer, body, use)
    assert (said.refused, applied.moved_to) == (("move_to",), None)
    with pytest.raises(Conflict):
        await asyncio.to_thread(apply_callback, *answer, body.replace(b"later", b"again"), use)
    may_move = (house.site, ("p", runnable()), message_id, tuple(place))
    with pytest.raises(Conflict):
        await asyncio.to_thread(apply_callback, *may_move, body.replace(b"Junk", b"Evil"), use)
    assert "Evil" not in house.mailboxes(house.ann)
    with pytest.raises(CallFailed):
        await asyncio.to_thread(apply_callback, *answer, b"{}", use)
    assert [one.tags for one in house.box(house.ann)] == [("later",)]
    [told] = house.trace(stored_id(reply), "callback")
    assert (told["plugin"], told["effect"]) == ("com.example.test", {"tags": ["later"]})
    assert house.jobs("hook") == [job]


async def test_what_is_asked_after_storing_takes_no_room_from_mail_that_comes_in(house: House) -> None:
    """A large mail lies with a slow plugin; the next large one is asked about and refused as ever."""
    entered, gate = asyncio.Event(), asyncio.Event()
    rights = Permissions(read_headers=True, read_body=Body.FULL)

    async def slow(_: dict[str, Any]) -> dict[str, Any]:
        entered.set()
        await gate.wait()
        return {"action": "deliver"}

    later = registered("slow", HookType.POST_RECEIVE, plugin=runnable("com.example.slow", rights))
    await house.hook(slow, later)
    large = mail(body="\x01" * (12 << 20))  # takes all the room there is for one
    await house.receive(data=large)
    [job] = house.jobs("hook")
    running = asyncio.create_task(house.run(job))
    await entered.wait()
    spam = registered(plugin=runnable(permissions=rights), on_error=Fallback.ALLOW)
    await house.hook(lambda _: {"action": "reject"}, spam)
    assert [reply.code for reply in await house.receive(data=large)] == [550]
    gate.set()
    await running


async def test_hooks_are_followed_though_their_log_cannot_be_written(house: House) -> None:
    """Whatever it is that cannot be."""

    class Broken:
        def record(self, noted: Noted) -> None:
            """Fail as no store does."""
            raise UnicodeError("odd")

    await house.chain.close()
    house.road.close()
    house.site.hook_log = Broken()
    await house.open()
    await house.hook(lambda _: {"action": "reject"}, registered())
    assert [reply.code for reply in await house.receive()] == [550]
    house.book.write()
    await house.changed()
    assert [reply.code for reply in await house.receive()] == [250]


def test_any_text_can_be_the_detail_of_a_call(house: House) -> None:
    """NUL and lone surrogates are what databases do not take."""
    name = f"odd.{house.domain}"
    line = Line(
        now_ms(), name, "com.example.test", "d", Mode.ENFORCE, Came.ANSWERED, "deliver", 1.0, "a\0b\ud800",
        None, None, "ann\0\ud800@b.example",
    )  # fmt: skip
    house.record(Noted(lines=[line]))
    with house.site.storage.read() as tx:
        [found] = store.hook_calls.page(tx, TESTER, name, None, "", 10)
    assert found.recipient == "ann\ufffd?@b.example"
    assert found.detail == "a\ufffdb?"
