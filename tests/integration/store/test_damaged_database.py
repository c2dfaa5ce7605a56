"""A database file whose pages are garbage: said to be damaged, not to be tried again later (trap D6)."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from mairust_core.app import opened
from mairust_core.config import Settings
from mairust_core.errors import Damaged
from mairust_core.model.copies import NewCopy
from mairust_core.operations import BytesIn, Item, ItemsIn
from mairust_core.services.importing import Imports
from mairust_core.store.sqlite import Sqlite
from mairust_core.transfer.repository import Repository
from tests.support import forks
from tests.support.harm import harm
from tests.support.server import END_TIMEOUT_S, Site, clean_environment, command_line
from tests.support.sites import ANN, TESTER, back_up, deliver, make_site
from tests.support.stores import message, settings_for


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A site with a mail."""
    made = settings_for(tmp_path / "site")
    make_site(made)
    with opened(made) as site:
        deliver(site, ANN, message())
    return made


def run(settings: Settings, *words: str, mail: bytes = b"") -> tuple[int, str]:
    """Run a command; its exit code, and what it says on stderr."""
    call = command_line(Site(directory=settings.data_dir), *words)
    done = forks.run(call, input=mail, env=clean_environment(), timeout=END_TIMEOUT_S)
    return done.returncode, done.stderr.decode()


def test_a_whole_file_has_no_faults(settings: Settings) -> None:
    """And a look that may take no time at all finds none."""
    with opened(settings) as site, site.storage.read() as tx:
        assert isinstance(site.storage, Sqlite)
        assert site.storage.faults(tx) == []
        assert site.storage.faults(tx, -1.0) == []
    assert run(settings, "db", "check") == (0, "")


def test_trap_d6_a_damaged_database_is_told_as_such(settings: Settings) -> None:
    """`db check` finds what no command came upon yet; what reads it says the same, and exits 1."""
    harm(settings.data_dir, "alias_target")
    for words in (("db", "check"), ("alias", "list")):
        code, said = run(settings, *words)
        assert (code, "is damaged" in said, "try again" in said.lower()) == (1, True, False), said
        assert str(settings.data_dir / "mairust.db") in said
    assert run(settings, "domain", "list") == (0, "")


def test_trap_d6_a_mail_that_cannot_be_stored_waits(settings: Settings) -> None:
    """`deliver` says 75 whatever it is: nothing bounces for our fault."""
    harm(settings.data_dir, "placement")
    code, said = run(settings, "deliver", ANN, mail=message())
    assert code == 75, said


def test_a_damaged_database_is_no_damaged_mail(settings: Settings, tmp_path: Path) -> None:
    """Backup and import go on when a mail is damaged; here they end, for everything would be."""
    harm(settings.data_dir, "message")
    data = message()
    new = NewCopy(
        mailbox="INBOX", sha256=hashlib.sha256(data).hexdigest(), received_at=datetime.now(UTC), copy=1
    )
    item = Item(value=new, content=BytesIn(chunks=(data,), size_bytes=len(data)))
    with opened(settings) as site:
        for work in (
            partial(back_up, site, Repository.create(tmp_path / "r")),
            lambda: [*site.service(Imports, TESTER).batch(ANN, ItemsIn(items=[item])).items],
        ):
            with pytest.raises(Damaged) as caught:
                work()
            assert caught.value.detail == "database"
