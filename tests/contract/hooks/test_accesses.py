"""The record of which plugin saw which mail (B-5): whatever becomes of the mail, on both databases."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from mairust_core.errors import NotFound, Refused, StorageDown, Temporary
from mairust_core.hooks.call_log import MAX_ROWS_WITH_MAIL
from mairust_core.hooks.log import MAX_ACCESSES, Lines, Noted
from mairust_core.hooks.transport import CallFailed
from mairust_core.ids import now_ms
from mairust_core.model.account import AccountChange
from mairust_core.model.delivery import Delivery
from mairust_core.model.envelope import Road
from mairust_core.model.hook import Fallback, Filter, HookType, Mode
from mairust_core.model.mailbox import QUARANTINE
from mairust_core.model.message_change import Appended
from mairust_core.model.moment import Moment
from mairust_core.model.plugin import Attachments, Body, Permissions
from mairust_core.model.plugin_life import Occasion, PluginAccess
from mairust_core.model.principal import Principal, Reach, ReachKind, Scope
from mairust_core.operations import BytesIn
from mairust_core.receive.collection import DAY_MS
from mairust_core.receive.committer import Outcome
from mairust_core.receive.trying import SiteTrial
from mairust_core.services.accesses import Accesses
from mairust_core.services.accounts import Accounts
from mairust_core.services.domains import Domains
from mairust_core.services.messages import Messages
from mairust_core.store import accounts, plugin_accesses
from tests.contract.hooks.conftest import TESTER, House, mail, stored_id
from tests.support.hooking import asked, registered, runnable

PRE, EACH, POST = HookType.PRE_RECEIVE, HookType.PRE_DELIVERY, HookType.POST_RECEIVE
LITTLE = Permissions(read_headers=True)
MUCH = Permissions(read_headers=True, read_body=Body.FULL, read_attachments=Attachments.METADATA)


def deliver(_: dict[str, Any]) -> dict[str, Any]:
    """A plugin that lets everything pass."""
    return {"action": "deliver"}


async def seen(house: House, address: str, by: Principal = TESTER) -> list[PluginAccess]:
    """What plugins saw of an account's mail, newest first, once it is written down."""
    await house.chain.poll()
    return [*house.site.service(Accesses, by).of_account(address).items]


async def test_b5_each_accounts_copy_is_written_down_with_what_was_shown(house: House) -> None:
    """A hook that was asked about two recipients saw two copies; each leads to its message."""
    plugin = runnable("com.example.a", MUCH)
    await house.hook(deliver, registered("a", PRE, plugin=plugin))
    [reply] = await house.receive(house.ann, house.bob)
    [of_ann], [of_bob] = await seen(house, house.ann), await seen(house, house.bob)
    assert (of_ann.plugin, of_ann.version, of_ann.hook) == ("com.example.a", "1.0.0", "a")
    assert of_ann.saw == ("headers", "body:full", "attachments:metadata")
    assert (of_ann.occasion, of_ann.account) == (Occasion.MAIL, house.ann)
    [message] = house.box(house.ann)
    assert of_ann.message_id == message.id
    assert {of_ann.message_id, of_bob.message_id} >= {int(stored_id(reply))}
    assert of_ann.trace_id == of_bob.trace_id
    assert house.trace(str(int(of_ann.trace_id or 0)))[0]["plugin"] == "com.example.a"


async def test_b5_only_whom_a_hook_was_asked_about_is_written_down(house: House) -> None:
    """A filter that leaves Bob out shows nothing of his."""
    await house.hook(deliver, registered("a", EACH, wanted=Filter(recipient_matches="^ann@")))
    await house.receive(house.ann, house.bob)
    assert len(await seen(house, house.ann)) == 1
    assert await seen(house, house.bob) == []


async def test_b5_a_refused_mail_was_seen_too(house: House) -> None:
    """There is no message of it; what the plugin saw is known all the same."""
    await house.hook(lambda _: {"action": "reject"}, registered("a", PRE, plugin=runnable("p", LITTLE)))
    [reply] = await house.receive()
    assert reply.code == 550
    [found] = await seen(house, house.ann)
    assert (found.message_id, found.saw) == (None, ("headers",))


async def test_b5_what_was_seen_of_a_stored_mail_is_written_with_it(house: House) -> None:
    """In its transaction: nothing of it waits, so that no end of a process can lose it."""
    await house.hook(deliver, registered("a", PRE), registered("b", EACH))
    replies = await house.receive(house.ann, house.bob)
    accesses = house.site.service(Accesses, TESTER)
    [second, first] = accesses.of_account(house.ann).items
    assert (first.hook, second.hook, str(first.message_id)) == ("a", "b", stored_id(replies[0]))
    assert len(accesses.of_account(house.bob).items) == 2
    assert [(one.hook, one.outcome) for one in house.calls()] == [("a", "answered"), ("b", "answered")]
    await house.chain.poll()
    assert [one for noted in house.noted for one in (*noted.lines, *noted.accesses)] == []
    assert house.noted[-1].figures.keys() == {"com.example.test"}


async def test_b5_what_the_database_does_not_take_with_the_mail_is_written_later(house: House) -> None:
    """The mail is stored, and what plugins saw of it is known all the same."""
    commit = house.committer.commit

    async def without(delivery: Delivery) -> Outcome:
        rows = [(*row[:3], None, *row[4:]) for row in delivery.calls.log]
        return await commit(delivery._replace(calls=delivery.calls._replace(log=rows)))

    house.committer.commit = without  # type: ignore[method-assign]  # a database that takes no such row
    await house.hook(deliver, registered("a", PRE))
    [reply] = await house.receive()
    assert house.calls() == []
    assert [str(one.message_id) for one in await seen(house, house.ann)] == [stored_id(reply)]
    assert [one.hook for one in house.calls()] == ["a"]


async def test_b5_what_was_seen_is_known_when_nothing_is_stored_of_it(house: House) -> None:
    """An account that is full by the time that hooks have answered, one that is gone, and one that is not."""

    def change(_: dict[str, Any]) -> dict[str, Any]:
        accounts = house.site.service(Accounts, TESTER)
        accounts.edit(house.bob, AccountChange(quota_bytes=1))
        with suppress(NotFound):  # the second time
            accounts.remove(house.carol)
        return {"action": "deliver"}

    await house.hook(change, registered("a", PRE))
    replies = await house.receive(house.ann, house.bob, house.carol, road=Road.LMTP)
    assert [one.code // 100 for one in replies] == [2, 4, 5]
    [of_ann], [of_bob] = await seen(house, house.ann), await seen(house, house.bob)
    assert (str(of_ann.message_id), of_bob.message_id) == (stored_id(replies[0]), None)
    replies = await house.receive(house.bob)
    assert replies[0].code == 452
    assert [one.message_id for one in await seen(house, house.bob)] == [None, None]


@pytest.mark.parametrize("action", ["deliver", "reject"])
async def test_b5_what_is_appended_is_written_down_too(house: House, action: str) -> None:
    """Rule E3: with the message where there is one, and all the same where there is none."""
    await house.hook(lambda _: {"action": action}, registered("a", PRE))
    with house.site.storage.read() as tx:
        account = accounts.get(tx, TESTER, house.ann).id
    data = mail("appended")
    given = BytesIn(chunks=[data], size_bytes=len(data))
    wanted = Appended(mailbox="INBOX", asked_for=house.ann)
    with suppress(Refused):
        await asyncio.to_thread(house.site.append, (1, int(account)), wanted, given)
    there: list[int | None] = [int(one.id) for one in house.box(house.ann)]
    [found] = house.site.service(Accesses, TESTER).of_account(house.ann).items
    assert [found.message_id] == (there or [None])
    assert [one.action for one in house.calls()] == [action]


async def test_b5_of_many_questions_about_one_mail_the_transaction_is_not_made_long(house: House) -> None:
    """They are written down a little later instead (rule D2)."""
    await house.hook(deliver, *(registered(f"h{number}", PRE) for number in range(MAX_ROWS_WITH_MAIL + 1)))
    await house.receive()
    assert house.calls() == []
    assert len(await seen(house, house.ann)) == 50
    assert len(house.calls()) == MAX_ROWS_WITH_MAIL + 1


async def test_b5_a_call_that_failed_may_have_shown_it(house: House) -> None:
    """One that was not made has not: its plugin is blocked."""

    def broken(_: dict[str, Any]) -> dict[str, Any]:
        raise CallFailed("no")

    allow = Fallback.ALLOW
    await house.hook(broken, registered("a", PRE, on_error=allow))
    await house.hook(
        deliver, registered("b", PRE, plugin=runnable("com.example.b"), blocked=True, on_error=allow)
    )
    await house.receive()
    assert [one.hook for one in await seen(house, house.ann)] == ["a"]


async def test_rule_c4_no_text_of_a_failing_plugin_costs_the_mail(house: House) -> None:
    """NUL and half a character are written down as what any database takes."""

    def broken(_: dict[str, Any]) -> dict[str, Any]:
        raise CallFailed("a\0b\ud800")

    await house.hook(broken, registered("a", PRE, on_error=Fallback.ALLOW))
    [reply] = await house.receive()
    assert reply.code == 250
    assert [one.detail for one in house.calls()] == ["a\ufffdb?"]


async def test_b5_shadows_and_hooks_after_storing_are_written_down(house: House) -> None:
    """With why they were asked."""
    await house.hook(deliver, registered("shadow", PRE, mode=Mode.SHADOW))
    await house.hook(deliver, registered("after", POST, plugin=runnable("com.example.b", LITTLE)))
    [reply] = await house.receive()
    [job] = house.jobs("hook")
    await house.run(job)
    after, shadow = await seen(house, house.ann)
    assert (shadow.hook, shadow.occasion) == ("shadow", Occasion.SHADOW)
    assert (after.hook, after.occasion, after.saw) == ("after", Occasion.MAIL, ("headers",))
    assert {str(int(one.message_id or 0)) for one in (after, shadow)} == {stored_id(reply)}


async def test_b5_a_copy_that_waits_is_seen_each_time(house: House) -> None:
    """It is asked about again, and again that is an access."""
    await house.hook(lambda _: {"action": "tempfail"}, registered("later", EACH))
    [other] = [registered("all", PRE, plugin=runnable("com.example.b"))]
    await house.hook(deliver, other)
    await house.receive(house.ann, house.bob)
    if not (jobs := house.jobs("delivery")):  # both were put off: the sender comes again
        assert [one.hook for one in await seen(house, house.ann)] == ["later", "all"]
        return
    with pytest.raises(Temporary):
        await house.run(jobs[0])
    assert len(await seen(house, house.ann)) == 4
    assert house.box(house.ann, QUARANTINE)


async def test_b5_a_replay_shows_mail_to_a_plugin(house: House) -> None:
    """It has no effect on the mail, and the plugin saw it all the same."""
    [reply] = await house.receive()
    one = registered("a", EACH, plugin=runnable("com.example.r", MUCH))
    house.plugins.add("com.example.r", deliver)
    message = house.site.service(Messages, TESTER).show(stored_id(reply))
    account = house.site.service(Accounts, TESTER).show(house.ann)
    trial = SiteTrial(house.site)
    page = house.site.service(Messages, TESTER).browse(house.ann)
    await asyncio.to_thread(trial.replay, one.hook, one.plugin, int(account.id), page)
    [found] = await seen(house, house.ann)
    assert (found.occasion, found.message_id, found.plugin) == (
        Occasion.REPLAY, message.id, "com.example.r",
    )  # fmt: skip


async def test_b5_it_is_found_by_message_and_by_plugin(house: House) -> None:
    """Also when the message is gone for good; newest first, page after page."""
    name = f"com.example.{house.domain.partition('.')[0]}"
    await house.hook(deliver, registered("a", PRE, plugin=runnable(name)))
    ids = [stored_id((await house.receive())[0]) for _ in range(3)]
    await house.chain.poll()
    asked = house.site.service(Accesses, TESTER)
    first = asked.of_plugin(name, limit=2)
    second = asked.of_plugin(name, limit=2, cursor=first.next_cursor or "")
    assert [str(int(one.message_id or 0)) for one in (*first.items, *second.items)] == ids[::-1]
    assert second.next_cursor is None
    house.site.service(Messages, TESTER).delete(ids[0], now=True)
    assert [one.hook for one in asked.of_message(ids[0]).items] == ["a"]
    assert asked.of_plugin(name, since=Moment("1h")).items == (*first.items, *second.items)
    assert asked.of_plugin(name, since=Moment("2999-01-01T00:00:00Z")).items == ()
    with pytest.raises(NotFound):
        asked.of_message("1")


async def test_rule_g4_accesses_are_filtered_by_reach(house: House) -> None:
    """A domain's key is told of its own accounts, an account's of its own mail; both ask for no other."""
    await house.hook(deliver, registered("a", PRE, plugin=runnable("com.example.reach")))
    [reply] = await house.receive(house.ann, house.bob)
    await house.chain.poll()
    ann = house.site.service(Accounts, TESTER).show(house.ann)
    domain = house.site.service(Domains, TESTER).show(house.domain)

    def by(kind: ReachKind, id_: Any) -> Accesses:
        who = Principal(name="token:x", scopes=frozenset({Scope.READ}), reach=Reach(kind=kind, id=id_))
        return house.site.service(Accesses, who)

    mine = by(ReachKind.ACCOUNT, ann.id).of_plugin("com.example.reach").items
    assert {one.account for one in mine} == {house.ann}
    ours = by(ReachKind.DOMAIN, domain.id).of_plugin("com.example.reach").items
    assert {one.account for one in ours} == {house.ann, house.bob}
    elsewhere = by(ReachKind.ACCOUNT, type(ann.id)(1))
    assert elsewhere.of_plugin("com.example.reach").items == ()
    with pytest.raises(NotFound):
        elsewhere.of_message(stored_id(reply))
    with pytest.raises(NotFound):
        elsewhere.of_account(house.ann)


async def test_rule_j3_the_record_is_kept_for_a_year(house: House) -> None:
    """Then the oldest go, some at a time."""
    await house.hook(deliver, registered("a", PRE, plugin=runnable("com.example.old")))
    for _ in range(3):
        await house.receive()
    await house.chain.poll()
    with house.site.storage.write() as tx:
        assert plugin_accesses.expire(tx, now_ms() - 365 * DAY_MS, 100) == 0
        sought = plugin_accesses.Sought(plugin="com.example.old")
        assert len(plugin_accesses.page(tx, TESTER, sought, "", 9)) == 3
        assert plugin_accesses.expire(tx, now_ms() + 1000, 2) == 2


class _Down:
    """A log whose database cannot be written for a while."""

    def __init__(self) -> None:
        self.down = True
        self.accesses = 0

    def record(self, noted: Noted) -> None:
        """Take it, or fail."""
        if self.down:
            raise StorageDown("message", why="gone")
        self.accesses += len(noted.accesses)


async def test_b5_what_cannot_be_written_is_kept_until_it_can(house: House) -> None:
    """Lines of the log may be lost, the record of who saw what is not; both are bounded."""
    await house.hook(deliver, registered("a", PRE))
    await house.receive(data=mail("one"))
    target = _Down()
    lines = Lines(target)
    told = await house.chain.ask(asked(mail("two"), {1: [house.ann]}))
    for _ in range(3):
        lines.note(told.steps, 1, {})
    assert lines.flush() == 0
    assert lines.flush() == 0
    target.down = False
    lines.note(told.steps, 1, {})
    assert lines.flush() == 1
    assert target.accesses == 4
    target.down = True
    for _ in range(MAX_ACCESSES + 1):
        lines.note(told.steps, 1, {})
    lines.flush()
    target.down = False
    lines.flush()
    assert target.accesses == 4 + MAX_ACCESSES
