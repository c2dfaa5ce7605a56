"""Blobs belong to one site (rule C2): a database that does not know them never collects them."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from mairust_core.app import open_site, opened
from mairust_core.blobs import owner
from mairust_core.blobs.drivers import require_mounted
from mairust_core.config import Settings
from mairust_core.errors import BadConfig, Damaged, StorageDown
from mairust_core.first_run import create_site
from mairust_core.model.blob import Bytes
from tests.support.sites import ANN, LARGE, deliver, mail_of, make_site
from tests.support.stores import message, settings_for


def settings_of(data_dir: Path, database: Path | None = None) -> Settings:
    """The settings of a site, with another database where one is named."""
    return settings_for(data_dir, None if database is None else f"sqlite:///{database}")


@pytest.fixture
def kept(tmp_path: Path) -> Settings:
    """A site whose store holds a blob that looks abandoned: hours old, and named by no row."""
    settings = settings_of(tmp_path / "site")
    create_site(settings, "tester")
    with opened(settings) as site:
        site.blobs.put_many([Bytes.of(os.urandom(2 << 20))])
    long_ago = time.time() - 86_400
    for path in settings.blobs.path.rglob("*"):
        os.utime(path, (long_ago, long_ago))
    return settings


def test_rule_c2_a_new_database_is_not_given_the_blobs_of_another(kept: Settings, tmp_path: Path) -> None:
    """A wrong database.url, or a lost file: refused before anything is made or collected."""
    other = settings_of(tmp_path / "site", tmp_path / "other.db")
    with pytest.raises(BadConfig, match="belong to another database"):
        create_site(other, "tester")
    assert not (tmp_path / "other.db").exists()
    with pytest.raises(BadConfig, match="put a lost database back"):
        open_site(other)
    create_site(settings_of(tmp_path / "else", tmp_path / "other.db"), "tester")
    with pytest.raises(BadConfig, match="belong to another database"):
        open_site(other)
    create_site(kept, "tester")


def test_rule_c2_a_lost_database_is_noticed_also_without_a_note(kept: Settings) -> None:
    """Blobs are there and the database is new: it cannot know them."""
    (kept.blobs.path / owner.OWNER).unlink()
    path = kept.database.sqlite_path
    assert path is not None
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    with pytest.raises(BadConfig, match="belong to another database"):
        create_site(kept, "tester")


def test_rule_c2_a_site_without_a_note_gets_one(kept: Settings) -> None:
    """As one of an earlier version: its own database claims the blobs."""
    note = kept.blobs.path / owner.OWNER
    was = note.read_text()
    note.unlink()
    with opened(kept):
        assert not note.exists(), "a command changes nothing"
    create_site(kept, "tester")
    assert note.read_text() == was


@pytest.fixture
def filled(tmp_path: Path) -> Settings:
    """A site with a mail, small or large."""
    settings = settings_of(tmp_path / "the site")
    make_site(settings)
    return settings


def fill(settings: Settings, data: bytes) -> None:
    """Store a mail."""
    with opened(settings) as site:
        deliver(site, ANN, data)


@pytest.mark.parametrize("size_bytes", [10, LARGE])
def test_rule_c2_a_note_alone_that_is_lost_is_written_anew(filled: Settings, size_bytes: int) -> None:
    """What the database names lies there: small mail in a segment, large mail in a file of its own."""
    fill(filled, message(body="x" * size_bytes))
    note = filled.blobs.path / owner.OWNER
    was = note.read_text()
    note.unlink()
    with opened(filled):
        assert not note.exists(), "a command changes nothing"
    create_site(filled, "tester")
    assert note.read_text() == was


@pytest.mark.parametrize("there", [True, False])
def test_rule_c2_nothing_is_made_where_the_blobs_are_not_mounted(filled: Settings, there: bool) -> None:
    """An empty directory in their place, or none: refused, untouched, and well when they are back."""
    fill(filled, message())
    blobs, away = filled.blobs.path, filled.data_dir / "away"
    blobs.rename(away)
    if there:
        blobs.mkdir()
    for work in (open_site, lambda settings: create_site(settings, "tester")):
        with pytest.raises(BadConfig, match="disk is not mounted"):
            work(filled)
    assert not list(blobs.glob("*"))
    if there:
        blobs.rmdir()
    away.rename(blobs)
    with opened(filled) as site:
        assert len(mail_of(site)) == 1


def test_a_site_goes_on_without_its_blobs_by_the_command_that_is_named(filled: Settings) -> None:
    """Whoever lost them for good takes mail again; collection leaves the rest alone."""
    fill(filled, message())
    shutil.rmtree(filled.blobs.path)
    with pytest.raises(BadConfig) as refused:
        open_site(filled)
    _, _, command = str(refused.value).rpartition("without them: ")
    subprocess.run(["sh", "-euc", command], check=True)
    create_site(filled, "tester")
    fill(filled, message())
    with opened(filled) as site:
        site.collect()
        with pytest.raises(Damaged):
            mail_of(site)


def test_rule_c2_an_open_site_makes_no_store_in_a_directory_that_is_not_its_own(filled: Settings) -> None:
    """The disk went away while it ran: no room for mail, no second handle, and on by itself."""
    fill(filled, message())
    with opened(filled) as site:
        assert site.free_bytes()[0] > 0
        filled.blobs.path.rename(filled.data_dir / "away")
        filled.blobs.path.mkdir()
        with pytest.raises(StorageDown, match="no longer in"):
            site.free_bytes()
        with pytest.raises(BadConfig, match="disk is not mounted"):
            site.open_blobs()
        assert not list(filled.blobs.path.iterdir())
        filled.blobs.path.rmdir()
        (filled.data_dir / "away").rename(filled.blobs.path)
        assert site.free_bytes()[0] > 0


def test_a_mount_that_cannot_be_looked_at_is_told_as_such(kept: Settings) -> None:
    """Stale, say: no exception of the system's leaves it, and nothing is said to be missing."""
    (kept.blobs.path / "owner").unlink()
    (kept.blobs.path / "owner").symlink_to("owner")  # a circle: stat fails, and not for want of a file
    with pytest.raises(StorageDown, match="cannot be used"):
        require_mounted(kept)


def test_a_note_that_cannot_be_read_is_told(kept: Settings) -> None:
    """It is damaged: the error names the file."""
    note = kept.blobs.path / owner.OWNER
    note.write_bytes(b"\xff")
    with pytest.raises(BadConfig, match=str(note)):
        open_site(kept)
