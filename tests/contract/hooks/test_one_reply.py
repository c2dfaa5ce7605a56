"""Several accounts behind one reply, and what one of them being gone or full means to all (traps S5, S6)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from mairust_core.errors import QuotaExceeded
from mairust_core.model.account import AccountChange
from mairust_core.model.alias import NewAlias
from mairust_core.model.blob import Bytes
from mairust_core.model.envelope import Envelope, Recipient, Road
from mairust_core.model.hook import HookType
from mairust_core.model.reply import Reply
from mairust_core.receive.road import INLINE_BYTES, TRY_AGAIN
from mairust_core.services.accounts import Accounts
from mairust_core.services.aliases import Aliases
from mairust_core.services.traces import Traces
from tests.contract.hooks.conftest import TESTER, House, mail
from tests.support.hooking import CLIENT, registered

FULL = QuotaExceeded.reply
LARGE = mail(body="x" * 5000)


def alias(house: House, name: str, *targets: str) -> str:
    """Add an alias; its address."""
    address = f"{name}@{house.domain}"
    house.site.service(Aliases, TESTER).add(NewAlias(address=address, to=targets))
    return address


async def while_it_comes(house: House, change: Callable[[Accounts], Any]) -> None:
    """Have this done once between RCPT and the commit of a mail."""
    left = [change]

    def deliver(_: dict[str, Any]) -> dict[str, Any]:
        if left:
            left.pop()(house.site.service(Accounts, TESTER))
        return {"action": "deliver"}

    await house.hook(deliver, registered("between", HookType.PRE_RECEIVE))


async def at_rcpt(house: House, address: str) -> Recipient | Reply:
    """What RCPT TO is answered."""
    return await house.road.recipient(address, CLIENT)


@pytest.mark.parametrize("how", ["disable", "remove"])
async def test_trap_s6_who_is_gone_since_rcpt_is_not_left_out_behind_a_250(house: House, how: str) -> None:
    """Nothing is stored and the sender tries again: RCPT then says who is gone, and the other gets one."""
    await while_it_comes(house, lambda accounts: getattr(accounts, how)(house.bob))
    assert await house.receive(house.ann, house.bob) == [TRY_AGAIN]
    assert house.box(house.ann) == []
    await house.road.poll()
    assert isinstance(await at_rcpt(house, house.bob), Reply)
    [again] = await house.receive(house.ann)
    assert (again.code, len(house.box(house.ann))) == (250, 1)


async def test_trap_s6_an_alias_is_one_reply_over_lmtp_too(house: House) -> None:
    """Its recipient hears 4xx; one who is gone alone 550; the others have their mail, once."""
    both = alias(house, "both", house.ann, house.bob)
    await while_it_comes(house, lambda accounts: accounts.disable(house.bob))
    replies = await house.receive(both, house.carol, house.bob, road=Road.LMTP)
    assert [one.code for one in replies] == [451, 250, 550]
    assert [len(house.box(one)) for one in (house.ann, house.bob, house.carol)] == [0, 0, 1]


async def test_trap_s5_a_copy_for_two_recipients_stays_for_the_one_that_is_answered_250(house: House) -> None:
    """The alias fails; Ann, who is named herself as well, has it."""
    both = alias(house, "both", house.ann, house.bob)
    await while_it_comes(house, lambda accounts: accounts.disable(house.bob))
    replies = await house.receive(both, house.ann, road=Road.LMTP)
    assert [one.code for one in replies] == [451, 250]
    assert len(house.box(house.ann)) == 1


@pytest.mark.parametrize("road", [Road.SMTP, Road.LMTP])
@pytest.mark.parametrize("by_alias", [False, True], ids=["two recipients", "an alias"])
async def test_a_quota_is_exceeded_by_one_mail_and_no_more(house: House, by_alias: bool, road: Road) -> None:
    """Who has any room left takes what comes with others; who has none is refused at the next RCPT."""
    house.site.service(Accounts, TESTER).edit(house.bob, AccountChange(quota_bytes=1000))
    await house.road.poll()
    to = [alias(house, "both", house.ann, house.bob)] if by_alias else [house.ann, house.bob]
    shared = by_alias or road is Road.SMTP
    assert {one.code for one in await house.receive(*to, road=road, data=LARGE)} == (
        {250} if shared else {250, 452}
    )
    replies = await house.receive(*to, road=road, data=mail(body="y" * 3000))
    assert FULL in replies
    assert len(house.box(house.bob)) == (1 if shared else 0)
    if shared:
        assert len(house.box(house.ann)) == 1, "nobody has what is refused"
        assert await at_rcpt(house, to[-1]) == FULL, "what was remembered of it is forgotten"
        [others] = await house.receive(house.ann)
        assert others.code == 250


async def test_who_has_no_room_alone_is_looked_up_anew(house: House) -> None:
    """A mail that does not fit is refused, and what was remembered of the account is forgotten."""
    accounts = house.site.service(Accounts, TESTER)
    await house.road.poll()
    assert isinstance(await at_rcpt(house, house.bob), Recipient)
    accounts.edit(house.bob, AccountChange(quota_bytes=0))
    assert await house.receive(house.bob) == [FULL]
    assert await at_rcpt(house, house.bob) == FULL


async def test_a_mail_with_hidden_fields_without_end_is_refused(house: House) -> None:
    """Each would be a range in the row of each copy; the trace tells of the refusal."""
    data = b"Return-Path: <a@b>\r\nX: y\r\n" * 200 + mail()
    [reply] = await house.receive(house.ann, data=data)
    assert (reply.code, reply.enhanced) == (554, "5.6.0")
    assert house.box(house.ann) == []
    [told] = house.site.service(Traces, TESTER).browse(recipient=house.ann).items
    assert told.reply == str(reply)
    [passed] = await house.receive(house.ann, data=b"Return-Path: <a@b>\r\n" * 20_000 + mail())
    assert passed.code == 250


class Watched(Bytes):
    """Content that remembers which threads looked at it."""

    threads: ClassVar[list[str]] = []

    def view(self) -> bytes:
        """The bytes themselves."""
        self.threads.append(threading.current_thread().name)
        return super().view()


async def test_what_is_hidden_in_a_large_mail_is_looked_for_on_a_thread(house: House) -> None:
    """As its description is: the loop has others to serve."""
    Watched.threads.clear()
    content = Watched.of(mail(body="x" * INLINE_BYTES))
    found = await at_rcpt(house, house.ann)
    assert isinstance(found, Recipient)
    envelope = Envelope(mail_from="", recipients=(found,), connection=CLIENT, received_at=datetime.now(UTC))
    [reply] = await house.road.receive(envelope, content)
    assert reply.code == 250
    assert sum(one.startswith("describe") for one in Watched.threads) == 2
