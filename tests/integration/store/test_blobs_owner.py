"""Blobs belong to one site (rule C2): a database that does not know them never collects them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mairust_core.app import open_site, opened
from mairust_core.blobs import owner
from mairust_core.config import Settings
from mairust_core.errors import BadConfig
from mairust_core.first_run import create_site
from mairust_core.model.blob import Bytes
from tests.support.stores import settings_for


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


def test_a_note_that_cannot_be_read_is_told(kept: Settings) -> None:
    """It is damaged: the error names the file."""
    note = kept.blobs.path / owner.OWNER
    note.write_bytes(b"\xff")
    with pytest.raises(BadConfig, match=str(note)):
        open_site(kept)
