"""What RCPT TO is answered, and for how long it is remembered (rules D3, J4; trap S6)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mairust_core import store
from mairust_core.errors import StorageDown
from mairust_core.model.envelope import Recipient
from mairust_core.model.reply import Reply
from mairust_core.receive.directory import (
    BAD_ADDRESS,
    MAILBOX_FULL,
    NO_SUCH_DOMAIN,
    NO_SUCH_USER,
    REFUSAL_REMEMBERED_S,
    REMEMBERED_S,
    TOO_FAR,
    Directory,
    resolve,
)
from mairust_core.store import addressing
from tests.support.stores import ADMIN, Kit, open_kit, settings_for


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """An open site with a domain."""
    with open_kit(settings_for(tmp_path / "site")) as made:
        made.domain()
        yield made


def test_trap_s6_each_kind_of_stranger_has_its_reply(kit: Kit) -> None:
    """Unknown user 550 5.1.1, foreign domain 550 5.7.1, nonsense 553, no room 452."""
    kit.account("full@example.org", quota_bytes=0)
    ann = kit.account("ann@example.org")
    with kit.storage.read() as tx:
        assert resolve(tx, "nobody@example.org") == NO_SUCH_USER
        assert resolve(tx, "ann@elsewhere.example") == NO_SUCH_DOMAIN
        assert resolve(tx, "full@example.org") == MAILBOX_FULL
        for nonsense in (
            "",
            "ann",
            "@example.org",
            "a b@example.org",
            "ann@-",
            "ann@" + "x" * 300,
            "\0@example.org",
        ):
            assert resolve(tx, nonsense) == BAD_ADDRESS
        assert resolve(tx, "Ann@example.org") == Recipient(address="Ann@example.org", accounts=(ann,))


def test_trap_s6_an_alias_leaves_nobody_out(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one is full, or a limit ends the walk, the mail is not taken: its sender tries again."""
    ann = kit.account("ann@example.org")
    kit.account("full@example.org", quota_bytes=0)
    bob = kit.account("bob@example.org", quota_bytes=1)
    kit.alias("both@example.org", "ann@example.org", "bob@example.org")
    kit.alias("three@example.org", "both@example.org", "full@example.org")
    with kit.storage.read() as tx:
        found = resolve(tx, "both@example.org")
        assert isinstance(found, Recipient)
        assert found.accounts == (ann, bob)
        assert resolve(tx, "three@example.org") == MAILBOX_FULL
        monkeypatch.setattr(addressing, "MAX_ACCOUNTS", 1)
        assert resolve(tx, "both@example.org") == TOO_FAR


def test_rule_j4_postmaster_needs_no_domain(kit: Kit) -> None:
    """RFC 5321 §4.1.1.3, in any case."""
    ann = kit.account("ann@example.org")
    with kit.storage.read() as tx:
        found = resolve(tx, "Postmaster")
    assert isinstance(found, Recipient)
    assert found.accounts == (ann,)


async def test_rule_d3_a_change_is_known_after_the_next_poll(kit: Kit) -> None:
    """Until then an account is remembered; then its removal is in force."""
    kit.account("ann@example.org")
    directory = Directory(kit.storage)
    try:
        await directory.poll()
        assert isinstance(await directory.find("ann@example.org"), Recipient)
        with kit.storage.write() as tx:
            store.accounts.remove(tx, ADMIN, "ann@example.org")
            store.generations.advance(tx)
        await directory.poll()
        assert await directory.find("ann@example.org") == NO_SUCH_USER
    finally:
        directory.close()


async def test_trap_s12_a_database_that_is_down_is_a_4xx_and_not_remembered_for_long(kit: Kit) -> None:
    """It says nothing about the address, which is known soon after the database is back."""
    kit.account("ann@example.org")
    clock = Clock()
    directory = Directory(kit.storage, clock)
    path = kit.settings.database.sqlite_path
    assert path is not None
    try:
        await directory.poll()
        kit.storage.engine.dispose()
        path.rename(path.with_name("away"))
        try:
            assert await directory.find("ann@example.org") == StorageDown.reply
        finally:
            path.with_name("away").rename(path)
        await _accepted_a_second_later(directory, clock, "ann@example.org", StorageDown.reply)
    finally:
        directory.close()


async def test_trap_s6_a_refusal_is_not_remembered_for_long(kit: Kit) -> None:
    """An account that was full takes mail soon after there is room, which is no administrative change."""
    kit.account("full@example.org", quota_bytes=0)
    clock = Clock()
    directory = Directory(kit.storage, clock)
    try:
        await directory.poll()
        assert await directory.find("full@example.org") == MAILBOX_FULL
        kit.run("UPDATE account SET quota_bytes = 1000")
        await _accepted_a_second_later(directory, clock, "full@example.org", MAILBOX_FULL)
    finally:
        directory.close()


async def test_an_account_is_remembered_longer_while_changes_are_watched(kit: Kit) -> None:
    """Half a minute; without a poll that told of the generation a second, as a refusal."""
    ann = kit.account("ann@example.org")
    for watched, remembered_s in ((True, REMEMBERED_S), (False, REFUSAL_REMEMBERED_S)):
        clock = Clock()
        directory = Directory(kit.storage, clock)
        try:
            if watched:
                await directory.poll()
            first = await directory.find("ann@example.org")
            clock.now += remembered_s * 0.9
            assert await directory.find("ann@example.org") is first
            clock.now += remembered_s * 0.2
            assert await directory.find("ann@example.org") is not first
        finally:
            directory.close()
    assert isinstance(first, Recipient)
    assert first.accounts == (ann,)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def _accepted_a_second_later(directory: Directory, clock: Clock, address: str, before: Reply) -> None:
    """Up to then it is refused as before, and nobody asks the database for each try."""
    clock.now += REFUSAL_REMEMBERED_S * 0.9
    assert await directory.find(address) == before
    clock.now += REFUSAL_REMEMBERED_S * 0.2
    assert isinstance(await directory.find(address), Recipient)
