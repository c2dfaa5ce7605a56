"""The trace of refused mail: batched, capped per address, never in the way (rule J3)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mairust_core.model.envelope import Connection, Envelope, Recipient, Road
from mairust_core.model.reply import Reply
from mairust_core.receive.refusals import MAX_PER_ADDRESS, MAX_WAITING, Refusals
from tests.support.stores import Kit, open_kit, settings_for

NO = Reply(550, "5.1.1", "No such user here")


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """An open site."""
    with open_kit(settings_for(tmp_path / "site")) as made:
        yield made


def envelope(ip: str | None = "192.0.2.1", mail_from: str = "eve@elsewhere.example") -> Envelope:
    """A mail that is about to be refused."""
    return Envelope(
        mail_from=mail_from,
        recipients=(Recipient(address="ann@example.org", accounts=(1,)),),
        connection=Connection(road=Road.SMTP, ip=ip, helo="client.example"),
        received_at=datetime.now(UTC),
    )


def test_refusals_wait_and_go_in_together(kit: Kit) -> None:
    """One row each: who, from where, what was answered, and whom it was for."""
    refusals = Refusals(kit.storage, kit.ids)
    refusals.add(envelope(), "nobody@example.org", NO)
    refusals.add(envelope(), "", NO)
    assert kit.rows("SELECT count(*) FROM trace") == [(0,)]
    assert refusals.flush() == 2
    rows = kit.rows("SELECT accepted, client_ip, mail_from, reply, rcpt_to FROM trace ORDER BY id")
    assert [row[:4] for row in rows] == [
        (0, "192.0.2.1", "eve@elsewhere.example", "550 5.1.1 No such user here")
    ] * 2
    assert [json.loads(str(row[4])) for row in rows] == [
        [["nobody@example.org", []]],
        [["ann@example.org", []]],
    ]
    assert refusals.flush() == 0


def test_rule_j3_one_address_cannot_fill_the_trace(kit: Kit) -> None:
    """Beyond the cap its refusals are dropped until the next flush; others are still noted."""
    refusals = Refusals(kit.storage, kit.ids)
    for _ in range(MAX_PER_ADDRESS * 3):
        refusals.add(envelope(), "x", NO)
    refusals.add(envelope(ip="192.0.2.2"), "x", NO)
    assert refusals.flush() == MAX_PER_ADDRESS + 1
    refusals.add(envelope(), "x", NO)
    assert refusals.flush() == 1


def test_rule_j3_many_addresses_cannot_fill_the_memory(kit: Kit) -> None:
    """There is a limit over all."""
    refusals = Refusals(kit.storage, kit.ids)
    for number in range(MAX_WAITING + 500):
        refusals.add(envelope(ip=f"2001:db8::{number:x}"), "x", NO)
    assert refusals.flush() == MAX_WAITING


def test_what_a_stranger_says_breaks_no_row(kit: Kit) -> None:
    """NUL, half characters and endless names are cleaned and cut."""
    refusals = Refusals(kit.storage, kit.ids)
    refusals.add(envelope(ip=None, mail_from="a\0\ud800" + "b" * 5000), "\ud800@x", NO)
    assert refusals.flush() == 1
    [(mail_from, rcpt_to)] = kit.rows("SELECT mail_from, rcpt_to FROM trace")
    assert str(mail_from).startswith("a\ufffd?bbb")
    assert len(str(mail_from)) == 1000
    assert json.loads(str(rcpt_to)) == [["?@x", []]]


def test_rule_j3_refusals_are_what_is_dropped_when_the_database_is_gone(tmp_path: Path) -> None:
    """Flushing raises nothing, and keeps nothing for later."""
    with open_kit(settings_for(tmp_path / "site")) as kit:
        refusals = Refusals(kit.storage, kit.ids)
        refusals.add(envelope(), "x", NO)
        kit.storage.engine.dispose()
        path = kit.settings.database.sqlite_path
        assert path is not None
        path.rename(path.with_name("away"))
        assert refusals.flush() == 0
        path.with_name("away").rename(path)
        assert refusals.flush() == 0
