"""Hooks on the road: what becomes of a mail and its copies, on both databases (rules E1, E2, E3)."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from mairust_core.errors import StorageDown
from mairust_core.hooks.book import Registered
from mairust_core.hooks.transport import CallFailed
from mairust_core.mime import SNIPPET, describe
from mairust_core.model.account import AccountChange
from mairust_core.model.blob import Bytes
from mairust_core.model.delivery import Delivery
from mairust_core.model.envelope import Road
from mairust_core.model.hook import Fallback, Filter, HookType, Mode
from mairust_core.model.mailbox import QUARANTINE
from mairust_core.model.plugin import Attachments, Body, Permissions
from mairust_core.services.accounts import Accounts
from mairust_core.store.facts import content_row, kept_facts
from tests.contract.hooks.conftest import TESTER, House, mail, stored_id
from tests.support.hooking import registered, runnable

PRE, EACH = HookType.PRE_RECEIVE, HookType.PRE_DELIVERY


async def test_mail_that_no_hook_wants_is_delivered_as_ever(house: House) -> None:
    """Nobody is asked, nothing is noted."""
    await house.hook(
        lambda _: {"action": "reject"}, registered(wanted=Filter(subject_matches="^nothing like it$"))
    )
    [reply] = await house.receive()
    assert house.plugins.requests("com.example.test") == []
    assert [one.mailbox for one in house.box(house.ann)] == ["INBOX"]
    assert house.trace(stored_id(reply)) == []


ASKS_FOR_FACTS = Filter(subject_matches="hello", has_attachments=False)


@pytest.mark.parametrize(
    ("wanted", "body", "left", "read"),
    [
        (None, Body.PREVIEW, False, False),
        (Filter(), Body.PREVIEW, True, True),
        (Filter(), Body.NONE, True, False),
        (ASKS_FOR_FACTS, Body.PREVIEW, False, True),
    ],
    ids=["no hook", "shown", "headers only", "filtered"],
)
async def test_rule_c4_mail_is_described_whoever_does_it(
    house: House, wanted: Filter | None, body: Body, left: bool, read: bool
) -> None:
    """Before the hooks, for a filter of one, or when it is committed: what is stored of it is the same."""
    plugin = runnable(permissions=Permissions(read_headers=True, read_body=body))
    hooks = [] if wanted is None else [registered(wanted=wanted, plugin=plugin)]
    await house.hook(lambda _: {"action": "deliver"}, *hooks)
    data = mail(headers=["To: Ann <ann@example.org>", "References: <a@b.example>"])
    [reply] = await house.receive(data=data)
    assert reply.code == 250
    [sent] = house.committer.deliveries
    assert (sent.facts_left, sent.kept is None, sent.snippet is not None) == (left, left, read)
    whole = Delivery(
        tenant_id=1,
        content=Bytes.of(data),
        kept=kept_facts(describe(data, extent=SNIPPET)),
        copies=(),
        received_ms=0,
    )
    assert house.content(data) == content_row(whole)


async def test_rule_c4_a_message_id_that_no_index_takes_stops_nothing(house: House) -> None:
    """990 letters of four octets each are more than PostgreSQL takes; the mail is stored without an id."""
    odd = "".join(chr(0x10000 + 37 * number) for number in range(990))
    data = f"From: a@b.example\r\nMessage-ID: <{odd}@x>\r\n\r\nHi.\r\n".encode()
    replies = [*await house.receive(data=data), *await house.receive()]
    assert [one.code for one in replies] == [250, 250]
    assert house.road.ready() is None


async def test_a_blank_preview_is_read_again(house: House) -> None:
    """A plugin's looks further than a list's: text that begins late, and HTML that says it at once."""
    await house.hook(lambda _: {"action": "deliver"}, registered())
    parts = ("plain\r\n\r\n" + "\r\n" * 1500 + "late", "html\r\n\r\n<p>at once</p>")
    body = "".join(f"--b\r\nContent-Type: text/{one}\r\n" for one in parts) + "--b--\r\n"
    data = mail(body=body, headers=["Content-Type: multipart/alternative; boundary=b"])
    await house.receive(data=data)
    kept = kept_facts(describe(data, extent=SNIPPET))
    whole = Delivery(tenant_id=1, content=Bytes.of(data), kept=kept, copies=(), received_ms=0)
    assert house.content(data) == content_row(whole)


async def test_only_a_mail_that_comes_alone_is_announced_to_the_committer(house: House) -> None:
    """Beside others it would be woken for nothing, as hooks take their time."""
    gate = asyncio.Event()

    async def answer(_: dict[str, Any]) -> dict[str, Any]:
        await gate.wait()
        return {"action": "deliver"}

    await house.hook(answer, registered())
    both = [asyncio.create_task(house.receive(house.ann)) for _ in range(2)]
    await asyncio.sleep(0.05)
    gate.set()
    assert [reply.code for replies in await asyncio.gather(*both) for reply in replies] == [250, 250]
    assert house.committer.expected == 1
    await house.receive(house.ann)
    assert house.committer.expected == 2


async def test_a_rejected_mail_is_refused_with_the_plugins_reply(house: House) -> None:
    """Nothing is stored; the trace tells who refused it and why."""
    await house.hook(
        lambda _: {"action": "reject", "code": "554 5.7.7", "message": "We do not take that"},
        registered("guard"),
    )
    data = mail()
    [reply] = await house.receive(data=data)
    assert str(reply) == "554 5.7.7 We do not take that"
    assert house.box(house.ann) == []
    [told] = house.trace(data.split(b"Message-ID: ")[1].split(b"\r")[0].decode())
    assert (told["hook"], told["action"], told["reply"]) == ("guard", "reject", str(reply))
    assert told["saw"] == ["headers", "body:preview", "attachments:metadata"]


async def test_a_tempfailed_mail_stays_with_its_sender(house: House) -> None:
    """R-HOOK-5: the default reply."""
    await house.hook(lambda _: {"action": "tempfail"}, registered())
    [reply] = await house.receive()
    assert (reply.code, reply.enhanced) == (451, "4.7.1")
    assert house.box(house.ann) == []


async def test_trap_h3_quarantine_stores_with_the_reason(house: House) -> None:
    """A 250 and a copy in Quarantine, never nothing."""
    await house.hook(lambda _: {"action": "quarantine", "message": "looks odd"}, registered("guard"))
    [reply] = await house.receive()
    assert house.box(house.ann) == []
    [found] = house.box(house.ann, QUARANTINE)
    assert str(int(found.id)) == stored_id(reply)
    assert found.metadata == {"quarantine": "guard: looks odd"}


async def test_effects_are_on_the_copy_from_the_first_moment(house: House) -> None:
    """Tags, flags, mailbox, metadata, score: written in the transaction of the 250."""
    await house.hook(
        lambda _: {
            "action": "tag", "tags": ["spam"], "flags": ["\\Seen", "$Junk"], "move_to": "Junk",
            "metadata": {"rule": "x"}, "score": 7.5, "annotations": {"why": "words"},
        },
        registered(),
    )  # fmt: skip
    [reply] = await house.receive()
    [found] = house.box(house.ann, "Junk")
    prefix = "plugin:com.example.test:"
    assert found.tags == ("spam",)
    assert set(found.flags) == {"\\Seen", "$Junk"}
    assert found.metadata == {
        f"{prefix}rule": "x", f"{prefix}score": 7.5, f"{prefix}annotations": {"why": "words"},
    }  # fmt: skip
    [told] = house.trace(stored_id(reply))
    assert told["effect"]["move_to"] == "Junk"
    assert (told["score"], told["annotations"]) == (7.5, {"why": "words"})
    assert told["ms"] >= 0


async def test_what_a_plugin_may_not_write_is_ignored_and_told(house: House) -> None:
    """R-PERM-2."""
    plugin = runnable(permissions=Permissions(read_headers=True))
    await house.hook(
        lambda _: {"action": "deliver", "tags": ["x"], "move_to": "Junk"}, registered(plugin=plugin)
    )
    [reply] = await house.receive()
    [found] = house.box(house.ann)
    assert (found.mailbox, found.tags) == ("INBOX", ())
    assert house.trace(stored_id(reply))[0]["refused"] == ["tags", "move_to"]


async def test_hooks_run_in_order_and_each_sees_the_tags_so_far(house: House) -> None:
    """R-HOOK-3 and R-HOOK-4: tags add up."""
    for name, priority in (("last", 200), ("first", 1), ("middle", 100)):
        plugin = runnable(f"com.example.{name}")
        await house.hook(
            lambda told: {"action": "deliver", "tags": [told["plugin"].rpartition(".")[2]]},
            registered(name, plugin=plugin, priority=priority),
        )
    await house.receive()
    [found] = house.box(house.ann)
    assert found.tags == ("first", "middle", "last")
    assert house.plugins.requests("com.example.last")[0]["tags"] == ["first", "middle"]


async def test_reject_stops_the_chain(house: House) -> None:
    """R-HOOK-4: who comes later is not asked."""
    await house.hook(lambda _: {"action": "reject"}, registered("a", plugin=runnable("com.example.a")))
    await house.hook(lambda _: {"action": "deliver"}, registered("b", plugin=runnable("com.example.b")))
    [reply] = await house.receive()
    assert reply.code == 550
    assert house.plugins.requests("com.example.b") == []


async def test_trap_h7_a_later_deliver_does_not_undo_a_quarantine(house: House) -> None:
    """The strongest wins."""
    await house.hook(lambda _: {"action": "quarantine"}, registered("a", plugin=runnable("com.example.a")))
    await house.hook(lambda _: {"action": "deliver"}, registered("b", plugin=runnable("com.example.b")))
    await house.receive()
    assert len(house.plugins.requests("com.example.b")) == 1
    assert len(house.box(house.ann, QUARANTINE)) == 1


async def test_rule_e1_a_hook_sees_and_decides_for_the_recipients_it_matches(house: House) -> None:
    """Its payload names them alone; the others hear nothing of it."""
    await house.hook(
        lambda _: {"action": "quarantine", "tags": ["x"]},
        registered(wanted=Filter(recipient_matches="^(bob|carol)@")),
    )
    await house.receive(house.ann, house.bob, house.carol)
    [told] = house.plugins.requests("com.example.test")
    assert told["envelope"] == {"mail_from": "eve@elsewhere.example", "rcpt_to": [house.bob, house.carol]}
    assert [one.tags for one in house.box(house.ann)] == [()]
    assert [one.tags for one in house.box(house.bob, QUARANTINE)] == [("x",)]


async def test_rule_e2_one_rejected_beside_one_delivered(house: House) -> None:
    """250; the rejected copy goes to that account's Quarantine with the reason."""
    await house.hook(
        lambda _: {"action": "reject", "message": "not for Bob"},
        registered("guard", EACH, wanted=Filter(recipient_matches="^bob@")),
    )
    [reply] = await house.receive(house.ann, house.bob)
    assert reply.code == 250
    assert len(house.box(house.ann)) == 1
    [found] = house.box(house.bob, QUARANTINE)
    assert found.metadata["quarantine"] == "guard: not for Bob"
    assert house.box(house.bob) == []


async def test_rule_e2_none_deliverable_and_one_tempfailed(house: House) -> None:
    """4xx, nothing stored."""
    await house.hook(
        lambda told: {"action": "reject" if told["recipient"] == house.ann else "tempfail"},
        registered(type_=EACH),
    )
    [reply] = await house.receive(house.ann, house.bob)
    assert reply.code == 451
    assert house.box(house.ann) == house.box(house.bob) == []
    assert house.jobs("delivery") == []


async def test_trap_s5_an_account_that_fills_up_after_rcpt_is_left_out_behind_no_250(house: House) -> None:
    """One reply for both: each has the mail, or nobody; repeated when it was refused, each has it once."""
    accounts = house.site.service(Accounts, TESTER)

    def fill(_: dict[str, Any]) -> dict[str, Any]:
        accounts.edit(house.bob, AccountChange(quota_bytes=1))
        return {"action": "deliver"}

    await house.hook(fill, registered())
    data = mail()
    [reply] = await house.receive(house.ann, house.bob, data=data)
    there = [len(house.box(one)) for one in (house.ann, house.bob)]
    assert (reply.code // 100, there) in ((2, [1, 1]), (4, [0, 0]))
    house.book.write()
    await house.changed()
    accounts.edit(house.bob, AccountChange(quota_bytes=1 << 20))
    if reply.code != 250:
        [reply] = await house.receive(house.ann, house.bob, data=data)
    assert reply.code == 250
    assert [len(house.box(one)) for one in (house.ann, house.bob)] == [1, 1]


async def test_rule_e2_over_lmtp_each_recipient_hears_for_itself(house: House) -> None:
    """RFC 2033: one reply each."""
    await house.hook(
        lambda told: {"action": "tempfail" if told["recipient"] == house.bob else "deliver"},
        registered(type_=EACH),
    )
    replies = await house.receive(house.ann, house.bob, house.carol, road=Road.LMTP)
    assert [one.code for one in replies] == [250, 451, 250]
    assert house.jobs("delivery") == []


async def test_pre_delivery_asks_for_each_recipient_beside_the_others(house: House) -> None:
    """Rule E4: the second is asked while the first waits; pre_receive came before."""
    order: list[str] = []
    waiting = asyncio.Event()

    async def plugin(told: dict[str, Any]) -> dict[str, Any]:
        order.append(f"{told['hook']} {told['recipient'].partition('@')[0]}")
        if told["hook"] == "pre_delivery":
            if len(order) < 3:
                await waiting.wait()
            waiting.set()
        return {"action": "deliver"}

    await house.hook(plugin, registered("each", EACH), registered("all"))
    await house.receive(house.ann, house.bob)
    assert order == ["pre_receive ann", "pre_delivery ann", "pre_delivery bob"]
    ids = {told["delivery_id"] for told in house.plugins.requests("com.example.test")}
    assert len(ids) == 3


async def test_rule_e4_the_budget_bounds_all_hooks_of_a_mail(house: House) -> None:
    """What is left answers `on_timeout` without being asked."""
    house.chain._budget_ms = 60  # as `hooks.budget_ms` would have it

    async def slow(_: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(30)
        raise AssertionError

    await house.hook(slow, registered("a", plugin=runnable("com.example.a"), on_timeout=Fallback.ALLOW))
    await house.hook(
        lambda _: {"action": "deliver"},
        registered("b", plugin=runnable("com.example.b"), on_timeout=Fallback.REJECT),
    )
    data = mail()
    [reply] = await house.receive(data=data)
    assert reply.code == 550
    assert house.plugins.requests("com.example.b") == []
    first, second = house.trace(data.split(b"Message-ID: ")[1].split(b"\r")[0].decode())
    assert "no answer" in first["error"]
    assert second["error"] == "no time was left for it"


@pytest.mark.parametrize(
    ("fallback", "code"), [(Fallback.ALLOW, 250), (Fallback.REJECT, 550), (Fallback.TEMPFAIL, 451)]
)
async def test_trap_h1_no_answer_follows_on_error(house: House, fallback: Fallback, code: int) -> None:
    """Nothing falls open by accident, nothing becomes permanent by accident."""

    def broken(_: dict[str, Any]) -> dict[str, Any]:
        raise CallFailed("the pipe closed")

    await house.hook(broken, registered(on_error=fallback, on_timeout=Fallback.REJECT))
    [reply] = await house.receive()
    assert reply.code == code


async def test_a_time_out_follows_on_timeout(house: House) -> None:
    """R-HOOK-1 and R-HOOK-2; the limit is the smaller of the hook's and the plugin's."""

    async def slow(_: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(30)
        raise AssertionError

    plugin = runnable(wall_time_ms=20)
    await house.hook(
        slow, registered(plugin=plugin, timeout_ms=5000, on_timeout=Fallback.ALLOW, on_error=Fallback.REJECT)
    )
    [reply] = await house.receive()
    assert house.plugins.opened["com.example.test"].calls[0].timeout_ms == 20
    [told] = house.trace(stored_id(reply))
    assert told["error"] == "no answer within 20 ms"


async def test_a_blocked_plugin_is_not_asked(house: House) -> None:
    """Rule G5: its hooks answer with their `on_error`."""
    await house.hook(lambda _: {"action": "deliver"}, registered(blocked=True, on_error=Fallback.REJECT))
    [reply] = await house.receive()
    assert reply.code == 550
    assert house.plugins.requests("com.example.test") == []


async def test_a_shadow_is_asked_after_the_reply_and_changes_nothing(house: House) -> None:
    """Its answer is noted, and that it differs."""
    called, replied = asyncio.Event(), asyncio.Event()

    async def plugin(_: dict[str, Any]) -> dict[str, Any]:
        called.set()
        await asyncio.wait_for(replied.wait(), 10)
        return {"action": "reject", "tags": ["spam"]}

    await house.hook(plugin, registered("shadow", mode=Mode.SHADOW))
    task = asyncio.create_task(house.receive())
    await asyncio.wait_for(called.wait(), 10)
    [found] = house.box(house.ann)  # it is stored, and the plugin has not answered yet
    assert found.tags == ()
    replied.set()
    [reply] = await task
    [told] = house.trace(stored_id(reply))
    assert (told["mode"], told["action"], told["differs"]) == ("shadow", "reject", True)
    assert told["effect"] == {"tags": ["spam"]}


async def test_rule_e3_the_pipe_is_asked_and_an_import_is_not(house: House) -> None:
    """Hooks run for `deliver`; what is imported came long ago."""
    await house.hook(lambda _: {"action": "deliver", "tags": ["seen"]}, registered())
    await house.receive(road=Road.DELIVER)
    assert [one.tags for one in house.box(house.ann)] == [("seen",)]
    assert len(house.plugins.requests("com.example.test")) == 1


async def test_a_hook_that_is_changed_acts_at_once(house: House) -> None:
    """Rule D3: within a poll; a plugin of a newer generation has a new transport, the old one is closed."""
    await house.hook(lambda _: {"action": "deliver", "tags": ["old"]}, registered())
    await house.receive()
    old = house.plugins.opened.pop("com.example.test")
    house.book.write()
    await house.hook(
        lambda _: {"action": "deliver", "tags": ["new"]}, registered(plugin=runnable(generation=1))
    )
    assert old.closed
    await house.receive()
    assert [one.tags for one in house.box(house.ann)] == [("new",), ("old",)]


async def test_a_large_mail_is_asked_about_like_a_small_one(house: House) -> None:
    """Its payload is made on a thread."""
    await house.hook(lambda told: {"action": "deliver", "tags": [str(told["message"]["size"])]}, registered())
    data = mail(body="x" * 400_000)
    await house.receive(data=data)
    assert [one.tags for one in house.box(house.ann)] == [(str(len(data)),)]


async def test_trap_h1_before_hooks_are_known_mail_is_put_off(house: House) -> None:
    """A book that cannot be read lets nothing through; once it can be, mail flows."""

    class Unreadable:
        broken = True

        def enabled(self) -> list[Registered]:
            """Fail once."""
            if self.broken:
                raise StorageDown("open", url="x", why="gone")
            return []

    book = house.site.hook_book = Unreadable()
    await house.chain.close()
    house.road.close()
    await house.open()
    [reply] = await house.receive()
    assert (reply.code, house.box(house.ann)) == (451, [])
    book.broken = False
    [reply] = await house.receive()
    assert reply.code == 250


async def test_rule_b4_few_large_mails_are_read_whole_at_a_time(house: House) -> None:
    """Six come at once, and a plugin that reads all of each sees as many at a time as there is room for."""
    at_once, most = 0, 0

    async def plugin(_: dict[str, Any]) -> dict[str, Any]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1
        return {"action": "deliver"}

    rights = Permissions(read_headers=True, read_body=Body.FULL, read_attachments=Attachments.FULL)
    await house.hook(plugin, registered(plugin=runnable(permissions=rights)))
    large = [mail(body="x" * (1 << 20)) for _ in range(6)]
    replies = await asyncio.gather(*(house.receive(data=one) for one in large))
    assert [reply.code for [reply] in replies] == [250] * 6
    assert 2 <= most <= 4
    raw = {one["message"]["body"]["raw_base64"] for one in house.plugins.requests("com.example.test")}
    assert raw == {base64.b64encode(one).decode() for one in large}


async def test_an_undescribed_mail_is_asked_about_too(house: House) -> None:
    """Whatever the bytes are."""
    await house.hook(lambda _: {"action": "deliver", "tags": ["seen"]}, registered())
    data = b"\xff\xfe\x00 no header at all \r\n"
    await house.receive(data=data)
    assert [one.tags for one in house.box(house.ann)] == [("seen",)]
    assert Bytes.of(data).size_bytes == house.plugins.requests("com.example.test")[0]["message"]["size"]


async def test_rule_f2_what_does_not_fit_is_told_in_its_step(house: House) -> None:
    """The trace says what an answer asked for, and what of that is not there."""
    answers = iter(["a", "b"])

    def plugin(_: dict[str, Any]) -> dict[str, Any]:
        name = next(answers)
        return {"action": "deliver", "tags": [f"{name}{number:02}" for number in range(40)]}

    await house.hook(plugin, registered("first", priority=1), registered("second", priority=2))
    [reply] = await house.receive()
    first, second = house.trace(stored_id(reply))
    assert "left_out" not in first
    assert second["left_out"] == [f"tags: b{number}" for number in range(24, 40)]
    assert len(house.box(house.ann)[0].tags) == 64
