"""The database file goes away under an open site: what is written to it then is gone with the process."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mairust_core.errors import StorageDown
from mairust_core.store.sqlite import Sqlite
from tests.support.stores import Kit, open_kit, settings_for


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """An open SQLite site with a domain."""
    with open_kit(settings_for(tmp_path / "site")) as made:
        made.domain()
        yield made


@pytest.mark.parametrize("replaced", [True, False])
def test_rule_c3_a_file_that_is_no_longer_there_takes_nothing(kit: Kit, replaced: bool) -> None:
    """Deleted, or replaced by a copy: reading and writing are refused for now, and work when it is back."""
    ann = kit.account("ann@example.org")
    path = kit.settings.data_dir / "mairust.db"
    away = path.with_name("away.db")
    path.rename(away)
    if replaced:
        shutil.copy(away, path)
    (refused,) = kit.commit(kit.mail(ann))
    assert isinstance(refused, StorageDown)
    assert refused.detail == "replaced"
    with pytest.raises(StorageDown, match="deleted or replaced"):
        kit.rows("SELECT 1")
    kit.storage.engine.dispose()  # a new connection would find the other file
    with pytest.raises(StorageDown, match="deleted or replaced"):
        kit.rows("SELECT 1")
    away.replace(path)
    kit.store(kit.mail(ann))


def test_a_file_that_was_never_there_was_not_replaced(tmp_path: Path) -> None:
    """It cannot be opened."""
    storage = Sqlite(f"sqlite:///{tmp_path}/mairust.db")
    with pytest.raises(StorageDown, match="cannot be opened"), storage.read():
        pass


def test_a_file_that_cannot_be_looked_at_takes_nothing_and_is_not_called_replaced(kit: Kit) -> None:
    """Nobody knows which file it is then: a mail waits, and the error says what the system said."""
    ann = kit.account("ann@example.org")
    path = kit.settings.data_dir / "mairust.db"
    path.rename(path.with_name("away.db"))
    path.symlink_to(path)
    (refused,) = kit.commit(kit.mail(ann))
    assert isinstance(refused, StorageDown)
    assert "symbolic links" in str(refused)
    path.unlink()
    path.with_name("away.db").rename(path)
    assert not isinstance(kit.commit(kit.mail(ann))[0], StorageDown)
