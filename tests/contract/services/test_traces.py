"""What happened to a mail: by every id, for every reach, locally and over HTTP (B-7)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, event, text

from mairust_core import wire
from mairust_core.errors import NotFound
from mairust_core.ids import now_ms
from mairust_core.model.account import Account, NewAccount
from mairust_core.model.alias import NewAlias
from mairust_core.model.domain import NewDomain
from mairust_core.model.envelope import Road
from mairust_core.model.moment import Moment
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.model.story import KINDS, Story
from mairust_core.operations import BytesIn
from mairust_core.services.accounts import Accounts
from mairust_core.services.aliases import Aliases
from mairust_core.services.domains import Domains
from mairust_core.services.messages import Messages
from mairust_core.services.traces import Traces
from mairust_core.store.traces import MAX_BYTES, MAX_MAILS, note
from tests.contract.services.conftest import Served
from tests.contract.services.mails import CLIENT, mail, receive
from tests.contract.services.words import Ops

PIPE = replace(CLIENT, road=Road.DELIVER, ip=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Two:
    """A mail to ann here and, by an alias, to bob of another domain."""

    message_id: str
    ann: str
    bob: str
    alias: str
    stored: dict[str, str]
    trace: str


@pytest.fixture
def bob(served: Served) -> Account:
    """Somebody in another domain."""
    name = served.here(Domains).add(NewDomain(name=f"b{uuid4().hex[:12]}.example")).name
    return served.here(Accounts).add(NewAccount(address=f"bob@{name}"))


@pytest.fixture
def two(served: Served, domain: str, ann: Account, bob: Account) -> Two:
    """The mail of `Two`, just received."""
    alias = f"team@{bob.address.partition('@')[2]}"
    served.here(Aliases).add(NewAlias(address=alias, to=(bob.address,)))
    message_id = f"<{uuid4().hex}@elsewhere.example>"
    (reply,) = receive(served.site, [ann.address, alias], mail(message_id))
    assert reply.accepted
    story = served.here(Traces).show(message_id)
    stored = {event["account"]: event["message"] for event in told(story, "stored")}
    return Two(
        message_id=message_id,
        ann=ann.address,
        bob=bob.address,
        alias=alias,
        stored=stored,
        trace=str(int(story.mails[0].id)),
    )


def told(story: Story, kind: str) -> list[dict[str, Any]]:
    """The events of a kind."""
    return [event for event in story.events if event["kind"] == kind]


def test_the_whole_story_in_order(ops: Ops, two: Two) -> None:
    """Who, to whom, what was stored, what was answered, where it is; every event with its own words only."""
    story = ops(Traces).show(two.message_id)
    kinds = [event["kind"] for event in story.events]
    assert kinds == ["received", "recipient", "recipient", "stored", "stored", "replied", "now", "now"]
    (received,) = told(story, "received")
    assert (received["client"], received["helo"], received["road"]) == (
        "192.0.2.7",
        "mx.elsewhere.example",
        "smtp",
    )
    assert (received["mail_from"], received["session"]) == ("eve@elsewhere.example", "s1")
    assert [(e["address"], e["accounts"]) for e in told(story, "recipient")] == [
        (two.ann, [two.ann]),
        (two.alias, [two.bob]),
    ]
    assert {event["mailbox"] for event in told(story, "now")} == {"INBOX"}
    assert told(story, "replied")[0]["reply"].startswith("250 2.0.0 stored ")
    for one in story.events:
        assert set(one) == {"at", "kind", "trace", *KINDS[one["kind"]]}
    assert story.complete


def test_every_id_leads_to_the_same_mail(ops: Ops, two: Two) -> None:
    """The trace's, each message's, the reply's, the Message-ID with and without its brackets."""
    (mail_,) = ops(Traces).show(two.message_id).mails
    in_reply = mail_.reply.rpartition(" ")[2]
    assert in_reply in two.stored.values()
    for wanted in (two.trace, *two.stored.values(), in_reply, two.message_id, two.message_id.strip("<>")):
        assert ops(Traces).show(wanted).mails == (mail_,), wanted


def test_the_id_in_the_received_field_is_the_traces(ops: Ops, served: Served, two: Two) -> None:
    """So that whoever has the mail can ask."""
    shown = served.here(Messages).show(two.stored[two.ann])
    received = next(value for name, value in shown.headers if name == "Received")
    assert f"id {two.trace}" in " ".join(received.split())
    assert ops(Traces).show(two.trace).mails[0].message_id == two.message_id


@pytest.mark.parametrize("reach", [ReachKind.DOMAIN, ReachKind.ACCOUNT])
def test_rule_g4_a_narrow_reach_sees_its_own_recipients_only(
    served: Served, two: Two, reach: ReachKind
) -> None:
    """Nothing of the other recipient is in the answer: no address, no id, no hint that there is one."""
    for own, other in ((two.ann, two.bob), (two.bob, two.ann)):
        subject = own if reach is ReachKind.ACCOUNT else own.partition("@")[2]
        key = served.issue(Scope.READ, reach=reach, subject=subject)
        for wanted in (two.message_id, two.trace, two.stored[own]):
            story = served.there(Traces, key).show(wanted)
            assert [event["account"] for event in told(story, "stored")] == [own]
            assert len(told(story, "recipient")) == 1
            whole = wire.dumps(story).decode()
            assert other not in whole
            assert two.stored[other] not in whole
            assert story.mails[0].reply == f"250 2.0.0 stored {two.stored[own]}"
        with pytest.raises(NotFound):  # it would tell that somebody else has the mail, to whoever counts on
            served.there(Traces, key).show(two.stored[other])


def test_rule_c4_a_repetition_is_told_with_the_message_it_repeats(
    ops: Ops, served: Served, ann: Account, bob: Account
) -> None:
    """By its Message-ID, newest first; to a narrow reach as far as it is theirs (rule G4)."""
    message_id, ids = f"<{uuid4().hex}@elsewhere.example>", dict[str, str]()
    for _ in range(2):
        replies = receive(served.site, [ann.address, bob.address], mail(message_id), connection=PIPE)
        ids |= {"ann": replies[0].text.split()[-1], "bob": replies[1].text.split()[-1]}
    story = ops(Traces).show(message_id)
    again, first = story.mails
    assert [(event["message"], event["account"]) for event in told(story, "repeated")] == [
        (ids["ann"], ann.address), (ids["bob"], bob.address),
    ]  # fmt: skip
    assert {event["trace"] for event in told(story, "repeated")} == {str(int(again.id))}
    assert {event["trace"] for event in told(story, "stored")} == {str(int(first.id))}
    assert set(KINDS["repeated"]) == set(told(story, "repeated")[0]) - {"at", "kind", "trace"}
    key = served.issue(Scope.READ, reach=ReachKind.ACCOUNT, subject=bob.address)
    narrow = served.there(Traces, key).show(str(int(again.id)))
    assert [event["message"] for event in told(narrow, "repeated")] == [ids["bob"]]
    assert narrow.mails[0].reply == f"250 2.0.0 stored {ids['bob']}"
    assert ids["ann"] not in wire.dumps(narrow).decode()
    assert served.there(Traces, key).show(ids["bob"]).mails[0].id == first.id


def test_trap_a2_a_mail_of_others_looks_like_none(served: Served, two: Two, domain: str) -> None:
    """By every one of its ids."""
    carl = served.here(Accounts).add(NewAccount(address=f"carl@{domain}"))
    key = served.issue(Scope.READ, reach=ReachKind.ACCOUNT, subject=carl.address)
    for wanted in (two.message_id, two.trace, *two.stored.values()):
        with pytest.raises(NotFound) as foreign:
            served.there(Traces, key).show(wanted)
        assert str(foreign.value) == str(NotFound("trace", id=wanted))


def test_the_story_outlives_the_mail(ops: Ops, served: Served, two: Two) -> None:
    """Account and message are purged; that they were stored, and under which id, is still told."""
    served.here(Aliases).remove(two.alias)
    served.here(Accounts).remove(two.bob)
    served.site.collect()
    for wanted in (two.stored[two.bob], two.message_id):
        story = ops(Traces).show(wanted)
        gone = next(event for event in told(story, "now") if event["message"] == two.stored[two.bob])
        assert gone["mailbox"] is None
        assert gone["account"] == two.alias, "the address it was sent to: the account has none any more"


def test_a_deleted_message_is_in_the_trash(ops: Ops, served: Served, two: Two) -> None:
    """Until when it can be undeleted; then it is where it was, and after a deletion for good it is gone."""
    id_ = two.stored[two.ann]

    def now() -> list[tuple[str | None, str | None]]:
        found = [told(ops(Traces).show(wanted), "now") for wanted in (id_, two.message_id)]
        mine = [event for events in found for event in events if event["message"] == id_]
        return [(event["mailbox"], event["undelete_until"]) for event in mine]

    assert now() == [("INBOX", None)] * 2
    until = served.here(Messages).delete(id_).undelete_until
    assert until is not None
    assert now() == [(None, wire.encode_time(until))] * 2
    served.here(Messages).undelete(id_)
    assert now() == [("INBOX", None)] * 2
    served.here(Messages).delete(id_, now=True)
    assert now() == [(None, None)] * 2


def test_a_deleted_message_without_a_trace_is_in_the_trash(ops: Ops, served: Served, ann: Account) -> None:
    """One that was appended has no mail whose story could tell it."""
    id_ = str(served.here(Messages).append(ann.address, BytesIn(chunks=[b"Subject: x\r\n\r\n"])).id)
    until = served.here(Messages).delete(id_).undelete_until
    assert until is not None
    (now,) = told(ops(Traces).show(id_), "now")
    assert (now["mailbox"], now["undelete_until"]) == (None, wire.encode_time(until))


def test_mails_of_one_message_id_are_told_newest_first_and_not_without_end(
    ops: Ops, served: Served, ann: Account
) -> None:
    """A sender that repeats itself fills no screen."""
    message_id = f"<{uuid4().hex}@elsewhere.example>"
    for _ in range(3):
        receive(served.site, [ann.address], mail(message_id))
    story = ops(Traces).show(message_id)
    ids = [int(one.id) for one in story.mails]
    assert len(ids) == 3
    assert ids == sorted(ids, reverse=True)
    assert story.complete
    for _ in range(MAX_MAILS - 2):
        receive(served.site, [ann.address], mail(message_id))
    story = ops(Traces).show(message_id)
    assert len(story.mails) == MAX_MAILS
    assert not story.complete


def test_own_mails_are_found_among_many_of_others(
    served: Served, domain: str, ann: Account, bob: Account
) -> None:
    """A sender that repeats a Message-ID to others hides nobody's mail; how many there were is not told."""
    message_id = f"<{uuid4().hex}@elsewhere.example>"
    receive(served.site, [bob.address], mail(message_id))
    for _ in range(MAX_MAILS + 2):
        receive(served.site, [ann.address], mail(message_id))
    key = served.issue(Scope.READ, reach=ReachKind.ACCOUNT, subject=bob.address)
    story = served.there(Traces, key).show(message_id)
    assert len(story.mails) == 1
    assert story.complete


def test_a_message_id_is_looked_up_by_its_index(served: Served, statements: list[str]) -> None:
    """Not by reading all traces, on either database."""
    with pytest.raises(NotFound):
        served.here(Traces).show("<nobody@x.example>")
    wanted = next(one for one in statements if "message_id IN" in one)
    with served.site.storage.read() as tx:
        if served.site.storage.name == "sqlite":
            plan = tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {wanted}", ("a", "b", 1, 9, 0)).all()
        else:
            # left are bitmaps, of which only the right index can make one
            tx.exec_driver_sql("SET LOCAL enable_seqscan = off")
            tx.exec_driver_sql("SET LOCAL enable_indexscan = off")
            values = {"message_id_1_1": "a", "message_id_1_2": "b", "tenant_id_1": 1, "param_1": 9}
            plan = tx.exec_driver_sql(f"EXPLAIN {wanted}", values).all()
    assert any("ix_trace_message_id" in str(row) for row in plan), plan


def test_a_refusal_is_listed_and_told(ops: Ops, served: Served, domain: str, ann: Account) -> None:
    """With the reply the client heard; a domain's administrator sees those of the domain, others do not."""
    nobody = f"nobody.{uuid4().hex[:8]}@{domain}"
    (reply,) = receive(served.site, [nobody], b"")
    assert reply.code == 550
    (found,) = ops(Traces).browse(recipient=nobody, refused=True).items
    assert (found.accepted, found.reply, found.recipients) == (False, str(reply), (nobody,))
    wanted = str(int(found.id))
    story = ops(Traces).show(wanted)
    assert [event["kind"] for event in story.events] == ["received", "recipient", "refused"]
    own = served.issue(Scope.READ, reach=ReachKind.DOMAIN, subject=domain)
    assert served.there(Traces, own).show(wanted).mails == (found,)
    account = served.issue(Scope.READ, reach=ReachKind.ACCOUNT, subject=ann.address)
    with pytest.raises(NotFound):
        served.there(Traces, account).show(wanted)


def test_an_appended_message_has_a_short_story(ops: Ops, served: Served, ann: Account) -> None:
    """Nobody sent it; where it is can be said all the same."""
    summary = served.here(Messages).append(ann.address, BytesIn(chunks=[mail("<appended@x.example>")]))
    story = ops(Traces).show(str(summary.id))
    assert [event["kind"] for event in story.events] == ["appended", "now"]
    assert story.events[1]["mailbox"] == "INBOX"
    assert story.mails == ()
    assert story.complete


def test_rule_j3_an_expired_trace_is_said_to_be_so(ops: Ops, served: Served, two: Two) -> None:
    """What the message itself knows is told, and that this is not all."""
    with served.site.storage.write() as tx:
        tx.execute(text("DELETE FROM trace WHERE id = :id"), {"id": int(two.trace)})
    story = ops(Traces).show(two.stored[two.ann])
    assert [event["kind"] for event in story.events] == ["stored", "now"]
    assert not story.complete
    with pytest.raises(NotFound):
        ops(Traces).show(two.message_id)


def test_the_list_goes_page_by_page(ops: Ops, served: Served, ann: Account) -> None:
    """Newest first, each mail once; filters take an address in any case, and nothing like it."""
    sender = f"s{uuid4().hex[:10]}@elsewhere.example"
    for _ in range(5):
        receive(served.site, [ann.address], mail(f"<{uuid4().hex}@x.example>"), sender=sender)
    found: list[int] = []
    cursor = ""
    while True:
        page = ops(Traces).browse(
            sender=sender.upper(), recipient=ann.address.upper(), cursor=cursor, limit=2
        )
        found += [int(one.id) for one in page.items]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert len(found) == 5
    assert found == sorted(found, reverse=True)
    assert ops(Traces).browse(sender=sender, refused=True).items == ()
    assert ops(Traces).browse(sender=sender, since=Moment("2099-01-01T00:00:00Z")).items == ()


@pytest.mark.parametrize("wanted", ["%@%", "_@_", "<%>", '"@"', "'@' OR 1=1 --"])
def test_trap_a5_words_of_a_search_are_data(ops: Ops, two: Two, wanted: str) -> None:
    """Neither patterns nor SQL find anything."""
    with pytest.raises(NotFound):
        ops(Traces).show(wanted)
    assert ops(Traces).browse(recipient=wanted).items == ()
    assert ops(Traces).browse(sender=wanted).items == ()


def test_events_of_parts_to_come_pass(ops: Ops, served: Served, two: Two) -> None:
    """What a hook or a job notes is told in its own words: an account's own to it, the rest to the site.

    What a plugin writes freely may be of anybody's mail: it is for who may read all of it (R-PERM-2).
    """
    words = {"log": "w", "annotations": {"w": 1}, "error": "w", "refused": ["w"], "message": "w"}
    noted = [
        {
            "at": now_ms(),
            "kind": "hook",
            "account_id": _account_id(served, two.ann),
            "hook": "spam",
            "ms": 12,
            "action": "deliver",
            **words,
        },
        {"at": now_ms(), "kind": "hook", "account_id": _account_id(served, two.bob), "hook": "dlp", "ms": 3},
        {"at": now_ms(), "kind": "queue", "depth": 4},
    ]
    with served.site.storage.write() as tx:
        _add_events(tx, int(two.trace), noted)
    story = ops(Traces).show(two.trace)
    assert [(e["hook"], e["account"]) for e in told(story, "hook")] == [("spam", two.ann), ("dlp", two.bob)]
    assert told(story, "queue")[0]["depth"] == 4
    assert words.items() <= told(story, "hook")[0].items()
    key = served.issue(Scope.READ, reach=ReachKind.ACCOUNT, subject=two.ann)
    story = served.there(Traces, key).show(two.trace)
    [event] = told(story, "hook")
    assert (event["hook"], event["action"], words.keys() & event) == ("spam", "deliver", set())
    assert told(story, "queue") == []
    assert "account_id" not in wire.dumps(story).decode()


def test_rule_j3_a_story_is_not_told_on_without_end(ops: Ops, served: Served, two: Two) -> None:
    """The row is written again with every event: beyond a bound one last event says so, and no more come."""
    long = {"at": now_ms(), "kind": "hook", "hook": "h", "ms": 1, "action": "deliver", "log": "x" * 2000}
    before = len(ops(Traces).show(two.trace).events)
    for _ in range(2 * MAX_BYTES // 20_000):
        with served.site.storage.write() as tx:
            assert note(tx, int(two.trace), [long] * 10)
    story = ops(Traces).show(two.trace)
    assert len(told(story, "cut")) == 1
    assert MAX_BYTES // 2500 < len(story.events) - before < MAX_BYTES // 2000


def _account_id(served: Served, address: str) -> int:
    return int(served.here(Accounts).show(address).id)


def _add_events(tx: Connection, trace_id: int, more: list[dict[str, Any]]) -> None:
    events = tx.execute(text("SELECT events FROM trace WHERE id = :id"), {"id": trace_id}).scalar_one()
    first, *rest = json.loads(events)
    tx.execute(
        text("UPDATE trace SET events = :events WHERE id = :id"),
        {"events": json.dumps([first, *more, *rest]), "id": trace_id},
    )


@pytest.fixture
def statements(served: Served) -> Iterator[list[str]]:
    """The statements that this process sends."""
    seen: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(served.site.storage.engine, "after_cursor_execute", note)
    yield seen
    event.remove(served.site.storage.engine, "after_cursor_execute", note)


def test_a_story_costs_few_statements_whatever_its_length(
    served: Served, domain: str, ann: Account, statements: list[str]
) -> None:
    """Thirty recipients cost no more than one."""
    more = [
        served.here(Accounts).add(NewAccount(address=f"r{number}@{domain}")).address for number in range(30)
    ]
    counted = []
    for recipients in ([ann.address], [ann.address, *more]):
        message_id = f"<{uuid4().hex}@elsewhere.example>"
        receive(served.site, recipients, mail(message_id))
        statements.clear()
        story = served.here(Traces).show(message_id)
        assert len(told(story, "now")) == len(recipients)
        counted.append(len([one for one in statements if one.startswith("SELECT")]))
    assert counted[0] == counted[1] <= 4
