"""What a site has besides placed mail comes back, or is made anew: trash, tags, jobs, secrets, the index."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mairust_core.app import Site, opened
from mairust_core.blobs.owner import OWNER
from mairust_core.config import Settings
from mairust_core.errors import NotFound
from mairust_core.model.copies import AskedCopies, NewCopy, NewFolders
from mairust_core.model.job import NewJob, State
from mairust_core.model.message_change import MessageChange
from mairust_core.operations import BytesIn, Item, ItemsIn
from mairust_core.restore import restore_site
from mairust_core.services.accounts import Accounts
from mairust_core.services.aliases import Aliases
from mairust_core.services.importing import Imports
from mairust_core.services.jobs import Jobs
from mairust_core.services.messages import Messages
from mairust_core.services.search import Search
from mairust_core.store import sites, subscriptions
from mairust_core.transfer.repository import Repository
from tests.contract.backup.conftest import EmptySettings
from tests.support.invariants import check_site
from tests.support.jobs import enqueue
from tests.support.sites import ANN, BOB, TESTER, account_id, back_up, deliver
from tests.support.stores import message

SUBSCRIBED = ("Gone", "Work")


@contextmanager
def restored(
    site: Site, repository: Repository, settings: Settings, master_key: Path | None = None
) -> Iterator[Site]:
    """The site as a backup of now brings it back."""
    taken = back_up(site, repository)
    restore_site(
        settings, Repository.open(repository.path), taken.snapshot, os_user="tester", master_key=master_key
    )
    assert check_site(settings) == []
    with opened(settings) as there:
        yield there


def _deleted(site: Site) -> set[int]:
    return {int(one.id) for one in site.service(Messages, TESTER).browse(ANN, deleted=True).items}


def _tagged(site: Site, tag: str) -> set[int]:
    return {int(one.id) for one in site.service(Messages, TESTER).browse(ANN, tag=tag).items}


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_trash_and_tags_come_back(
    site: Site, repository: Repository, empty: EmptySettings, target: str
) -> None:
    """A deleted message stays deleted, and can be undeleted; a tag finds what it found."""
    kept, gone = deliver(site, ANN, message("kept"), message("gone"))
    messages = site.service(Messages, TESTER)
    messages.change(str(int(kept)), MessageChange(add_tags=("bill",)))
    messages.delete(str(int(gone)))
    with restored(site, repository, empty(target)) as there:
        assert _deleted(there) == {int(gone)}
        assert _tagged(there, "bill") == {int(kept)}
        there.service(Messages, TESTER).undelete(str(int(gone)))
        assert _deleted(there) == set()


def test_what_is_deleted_for_good_is_not_in_the_next_backup(
    site: Site, repository: Repository, empty: EmptySettings
) -> None:
    """Not even when it was in the trash already, so that no counter of mail changes."""
    (gone,) = deliver(site, ANN, message())
    messages = site.service(Messages, TESTER)
    messages.delete(str(int(gone)))
    back_up(site, repository)
    messages.delete(str(int(gone)), now=True)
    with restored(site, repository, empty()) as there:
        assert _deleted(there) == set()
        with pytest.raises(NotFound):
            there.service(Messages, TESTER).show(str(int(gone)))


def test_rule_i1_an_import_knows_after_a_restore_what_it_brought(
    embedded: Site, repository: Repository, empty: EmptySettings
) -> None:
    """So do subscriptions come back, also when they alone changed since the last backup."""
    data = message("imported")
    sha256 = hashlib.sha256(data).hexdigest()
    new = NewCopy(mailbox="INBOX", sha256=sha256, received_at=datetime.now(UTC), copy=1)
    list(
        embedded.service(Imports, TESTER)
        .batch(ANN, ItemsIn(items=[Item(value=new, content=BytesIn(chunks=[data], size_bytes=len(data)))]))
        .items
    )
    back_up(embedded, repository)
    embedded.service(Imports, TESTER).prepare(ANN, NewFolders(mailboxes=(), subscribed=SUBSCRIBED))
    asked = AskedCopies(mailbox="INBOX", sha256=(new.sha256,))
    known: Any = embedded.service(Imports, TESTER).known(ANN, asked)
    with restored(embedded, repository, empty()) as there:
        assert there.service(Imports, TESTER).known(ANN, asked) == known
        with there.storage.read() as tx:
            assert subscriptions.of(tx, account_id(there, ANN)) == SUBSCRIBED


def test_rule_i3_a_restored_site_starts_with_its_jobs_held(
    site: Site, repository: Repository, empty: EmptySettings
) -> None:
    """Nothing is done twice before somebody says so; jobs that are done are not in the backup."""
    waiting = enqueue(site, NewJob(kind="later"))
    with restored(site, repository, empty()) as there:
        assert there.service(Jobs, TESTER).show(waiting).state is State.HELD
        assert there.service(Jobs, TESTER).release(waiting).state is State.READY


def test_secrets_need_the_master_key_of_then(
    site: Site, repository: Repository, empty: EmptySettings
) -> None:
    """With it they open; without it they are not there, and new ones can be stored."""
    with site.storage.write() as tx:
        site.secrets.put(tx, "plugin/a", b"secret")
        site.secrets.put(tx, "passing", b"secret", expires_ms=1 << 60)
    key = site.settings.secrets.master_key_file
    with restored(site, repository, empty(), master_key=key) as there:
        with there.storage.read() as tx:
            assert there.secrets.get(tx, "plugin/a") == b"secret"
        with there.storage.read() as tx, pytest.raises(NotFound):
            there.secrets.get(tx, "passing")
    with restored(site, repository, empty()) as there:
        with there.storage.read() as tx, pytest.raises(NotFound):
            there.secrets.get(tx, "plugin/a")
        with there.storage.write() as tx:
            there.secrets.put(tx, "plugin/a", b"new")
            assert there.secrets.get(tx, "plugin/a") == b"new"


def test_a_search_finds_everything_after_a_restore(
    site: Site, repository: Repository, empty: EmptySettings
) -> None:
    """The index is in no backup: all mail waits to be indexed, and is found meanwhile."""
    (sought,) = deliver(site, BOB, message("rhubarb"))
    with restored(site, repository, empty()) as there:
        found = there.service(Search, TESTER).find(q="subject:rhubarb", account=BOB)
        assert [int(one.id) for one in found.items] == [int(sought)]
        counts = "SELECT (SELECT count(*) FROM index_queue), (SELECT count(*) FROM message)"
        with there.storage.read() as tx:
            ((queued, messages),) = there.storage.fetch_all(tx, counts, ())
        assert queued == messages > 0


def test_rule_c2_a_restored_site_has_a_name_and_blobs_of_its_own(
    site: Site, repository: Repository, empty: EmptySettings
) -> None:
    """And gives out no UIDVALIDITY that a removed account had (rule A2)."""
    site.service(Aliases, TESTER).remove("sales@example.org")
    site.service(Accounts, TESTER).remove(BOB)
    with site.storage.write() as tx:
        sites.remember_uidvalidity(tx, 4_000_000_000)
        name = sites.name(tx)
    with restored(site, repository, empty()) as there, there.storage.read() as tx:
        assert sites.name(tx) != name
        assert sites.last_uidvalidity(tx) == 4_000_000_000
        assert (there.settings.blobs.path / OWNER).read_text("ascii").strip() == sites.name(tx)
