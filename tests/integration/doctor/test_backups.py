"""What is found of backups: none, an old one, one that lacks mail, one that is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mairust_core.app import Site, opened
from mairust_core.config import load_settings
from mairust_core.ids import now_ms
from mairust_core.model.backup import BackedUp, NewBackup, Verification
from mairust_core.model.finding import Level
from mairust_core.services.backups import Backups
from tests.integration.doctor.conftest import Examine
from tests.support.sites import ANN, TESTER, deliver, make_site
from tests.support.stores import message

DAY_MS = 86_400_000
WHERE = "/mnt/my backup"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a site with Ann, to be copied."""
    directory = tmp_path_factory.mktemp("fresh") / "site"
    make_site(load_settings(data_dir=directory, env={}))
    return directory


@pytest.fixture
def site(data_dir: Path) -> Iterator[Site]:
    """The site, open, with one mail."""
    with opened(load_settings(data_dir=data_dir, env={})) as site:
        deliver(site, ANN, message())
        yield site


def back_up(
    site: Site, days_ago: float = 0, snapshot: str = "s1", damaged: int = 0, where: str = WHERE
) -> None:
    """Say that a backup was made so many days ago; an empty snapshot means that it broke off."""
    backups = site.service(Backups, TESTER)
    id_ = backups.begin(NewBackup()).id
    done = BackedUp(
        repository=where, snapshot=snapshot, messages=1, objects_new=1, bytes_new=1, damaged=damaged
    )
    backups.finish(str(int(id_)), done)
    began = now_ms() - round(days_ago * DAY_MS)
    with site.storage.write() as tx:
        site.storage.execute_many(tx, "UPDATE backup SET started_ms = ? WHERE id = ?", [(began, int(id_))])


def of_backups(found: Examine, **given: object) -> dict[str, str]:
    """Ids of findings on backups, and the command that mends each."""
    return {id_: one.mend for id_, one in found(**given).items() if id_.startswith("backup.")}


def test_no_backup_of_any_mail(data_dir: Path, found: Examine) -> None:
    """A site without mail has nothing to lose; one that broke off is none."""
    assert of_backups(found) == {}
    with opened(load_settings(data_dir=data_dir, env={})) as site:
        deliver(site, ANN, message())
        assert found()["backup.none"].level is Level.WARNING
        assert "バックアップ" in found("ja")["backup.none"].what
        back_up(site, snapshot="")
        assert set(of_backups(found)) == {"backup.none"}
        back_up(site)
    assert of_backups(found) == {}


@pytest.mark.parametrize(("days_ago", "limit", "old"), [
    (1.9, 2, False), (2.1, 2, True), (2.1, 3, False), (400, 0, False), (-3, 2, False),
])  # fmt: skip
def test_a_backup_that_is_old(site: Site, found: Examine, days_ago: float, limit: int, old: bool) -> None:
    """By the setting; a clock that was moved back makes none old. The command says where it went."""
    back_up(site, days_ago)
    told = of_backups(found, telemetry__backup_days=limit)
    assert told == ({"backup.old": "mairust backup '/mnt/my backup'"} if old else {})


def test_one_that_broke_off_makes_no_old_one_new(site: Site, found: Examine) -> None:
    """The last that succeeded counts."""
    back_up(site, 5)
    back_up(site, 0, snapshot="")
    assert "is 5 days old" in found()["backup.old"].what


def test_a_backup_that_lacks_mail(site: Site, found: Examine) -> None:
    """What the site could not read; a later one that has everything ends it."""
    back_up(site, damaged=3)
    assert "lacks 3 mails" in found()["backup.incomplete"].what
    back_up(site, snapshot="s2")
    assert of_backups(found) == {}


def test_a_backup_that_was_found_damaged(site: Site, found: Examine) -> None:
    """An error, until it is verified as thoroughly and nothing is found."""
    back_up(site)
    backups = site.service(Backups, TESTER)
    backups.verified(Verification(snapshots=("s1",), percent=100, damaged=2))
    one = found()["backup.damaged"]
    assert (one.level, "2 files or objects" in one.what) == (Level.ERROR, True)
    assert one.mend.startswith("mairust backup verify '/mnt/my backup' --read-data")
    back_up(site, snapshot="s2")
    backups.verified(Verification(snapshots=("s1", "s2"), percent=10, damaged=0))
    assert "backup.damaged" in found(), "a tenth of it says nothing of the rest"
    backups.verified(Verification(snapshots=("s1", "s2"), percent=100, damaged=0))
    assert of_backups(found) == {}


def test_damage_where_no_backup_goes_any_more_is_no_error(site: Site, found: Examine) -> None:
    """A repository that is gone cannot be verified again: a backup elsewhere ends the error."""
    back_up(site)
    backups = site.service(Backups, TESTER)
    backups.verified(Verification(snapshots=("s1",), percent=100, damaged=2))
    back_up(site, snapshot="n1", where="/mnt/new")
    told = found()
    assert "backup.damaged" not in told
    assert told["backup.damaged_elsewhere"].level is Level.INFO
    assert WHERE in told["backup.damaged_elsewhere"].what
    backups.verified(Verification(snapshots=("n1",), percent=100, damaged=1))
    told = found()
    assert "/mnt/new" in told["backup.damaged"].what
    assert told["backup.damaged"].level is Level.ERROR
