"""Power cuts (rule C5): what a trace shows as synced before each 250 is all that is left, and it suffices.

SIGKILL keeps the page cache, so no kill can show a missing sync. Here a server takes mail under strace; from
the trace the disk is rebuilt as it was durably at the moment each 250 was written, and the site is opened
there. Random cuts keep some unsynced sectors too. Mutations (a kind of sync taken for never made) must lose
mail, or the proof would prove nothing. On PostgreSQL, whose own files are trusted, what COMMIT makes visible
must be durable in our files before COMMIT is sent.
"""

from __future__ import annotations

import functools
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.proof.ledger import Ledger
from tests.e2e.proof.load import Load, make_mail, submit
from tests.e2e.proof.power import Examination, Recording, record
from tests.e2e.proof.replay import Ignored
from tests.support.mailbox_client import Dialogue
from tests.support.postgres import PostgresServer
from tests.support.server import Server, addresses, make_site

MAILS = 40
MANY_ACCOUNTS = 60
"""Recipients of each mail that fills SQLite's log, so that few mails reach its checkpoint."""
AFTER_CHECKPOINT = 4
ROOM_BYTES = 512 << 20

OURS: dict[str, Ignored] = {
    "data of segments": lambda call, path: call == "fdatasync" and path.endswith(".seg"),
    "names of segments": lambda call, path: call == "fsync" and path.endswith("/blobs/segments"),
    "data of own files": lambda call, path: call == "fsync" and "/blobs/tmp/" in path,
    "names of own files": lambda call, path: call == "fsync" and Path(path).parent.name == "files",
    "directories of own files": lambda call, path: call == "fsync" and path.endswith("/blobs/files"),
}
OF_SQLITE: dict[str, Ignored] = {
    "the database's log": lambda _call, path: path.endswith("-wal"),
    "the log's name": lambda _call, path: path.endswith("/site"),
}
MUTATIONS = [
    *(("sqlite", name) for name in OURS | OF_SQLITE),
    *(("postgresql", name) for name in OURS),
]


Recorder = Callable[[str], Recording]


@pytest.fixture(scope="module")
def recorder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recorder:
    """Makes the recording on each database once, whatever the order of the tests."""

    @functools.cache
    def made(name: str) -> Recording:
        database = None
        if name == "postgresql":
            postgres: PostgresServer = request.getfixturevalue("postgres")
            database = postgres.dsn(postgres.create_database())
        return record(make_site(tmp_path_factory.mktemp(name) / "site", database=database), _take_mail)

    return made


@pytest.fixture(params=["sqlite", "postgresql"])
def recording(request: pytest.FixtureRequest, recorder: Recorder) -> Recording:
    """Some dozens of mails, alone and many at once, small and large."""
    return recorder(request.param)


@pytest.fixture(scope="module")
def checkpointed(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """So many rows on SQLite that its log is brought into the database and begins anew."""
    site = make_site(tmp_path_factory.mktemp("checkpoint") / "site", accounts=MANY_ACCOUNTS)
    return record(site, _fill_the_log)


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """Where images are written: in memory where there is room, for opening them syncs and syncs again."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free >= ROOM_BYTES
    with tempfile.TemporaryDirectory(dir=memory if roomy else tmp_path) as directory:
        yield Path(directory)


def _take_mail(server: Server, ledger: Ledger) -> None:
    rng = random.Random(1)
    with Dialogue(server.smtp) as client:
        for large in (False, False, True, False):
            submit(client, ledger, make_mail(rng, addresses(2), large=large))
    with Load(server, ledger, rng, large_every=6) as load:
        load.wait_for(MAILS)
        server.kill()


def _fill_the_log(server: Server, ledger: Ledger) -> None:
    rng = random.Random(2)
    database = server.site.directory / "mairust.db"
    untouched = database.stat().st_mtime_ns
    with Dialogue(server.smtp) as client:
        while database.stat().st_mtime_ns == untouched:
            submit(client, ledger, make_mail(rng, addresses(MANY_ACCOUNTS)))
        for _ in range(AFTER_CHECKPOINT):
            submit(client, ledger, make_mail(rng, addresses(MANY_ACCOUNTS)))


def test_rule_c5_a_power_cut_at_any_250_loses_nothing_acknowledged_before(
    recording: Recording, scratch: Path
) -> None:
    """Synced bytes and names alone hold every mail promised so far, at each 250 (PostgreSQL: each COMMIT)."""
    examination = Examination(recording=recording, scratch=scratch)
    assert list(examination.losses()) == []
    mails = recording.entries_by_id()
    assert {mails[one].mail.token for one in examination.promised} == {
        entry.mail.token for entry in mails.values()
    }
    assert examination.cuts >= 10
    if recording.site.database:
        assert examination.committed >= {mails[one].sha256 for one in examination.promised}


@pytest.mark.parametrize(("recording", "name"), MUTATIONS, indirect=["recording"])
def test_rule_c5_without_one_kind_of_sync_the_power_cut_proof_finds_a_loss(
    recording: Recording, scratch: Path, name: str
) -> None:
    """Each kind of sync is needed: taken for never made, mail is lost, so the proof is not blind."""
    examination = Examination(recording=recording, scratch=scratch, ignored=(OURS | OF_SQLITE)[name])
    assert next(examination.losses(), None) is not None


def test_rule_c5_a_power_cut_that_keeps_some_unsynced_sectors_loses_nothing_either(
    recording: Recording, rng: random.Random, scratch: Path
) -> None:
    """Any part of what was not synced may be there, torn at sector borders; the promised mail is intact."""
    examination = Examination(recording=recording, scratch=scratch, rng=rng)
    assert list(examination.losses()) == []


def test_rule_c5_a_power_cut_around_a_checkpoint_loses_nothing(
    checkpointed: Recording, rng: random.Random, scratch: Path
) -> None:
    """While the log is brought into the database and begins anew, every promised mail is in one of them."""
    for chance in (None, rng):
        examination = Examination(
            recording=checkpointed, scratch=scratch, rng=chance, first=_around_the_checkpoint(checkpointed)
        )
        assert list(examination.losses()) == []


def test_rule_c5_without_syncs_of_the_database_file_the_power_cut_proof_finds_a_loss(
    checkpointed: Recording, scratch: Path
) -> None:
    """A checkpoint that was not durable before the log begins anew loses mail, and that is seen."""
    examination = Examination(
        recording=checkpointed,
        scratch=scratch,
        first=_around_the_checkpoint(checkpointed),
        ignored=lambda _call, path: path.endswith("/mairust.db"),
    )
    assert next(examination.losses(), None) is not None


def _around_the_checkpoint(recording: Recording) -> int:
    return len(recording.ledger.entries()) - AFTER_CHECKPOINT - 2
