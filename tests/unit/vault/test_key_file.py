"""The file of the master key."""

from __future__ import annotations

import base64
import secrets
import stat
from pathlib import Path

import pytest

from mairust_core.errors import BadConfig
from mairust_core.vault.envelope import MasterKey
from mairust_core.vault.key_file import REMEMBERED_S, KeyFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file as the first run writes it."""
    file = tmp_path / "master.key"
    file.write_bytes(base64.b64encode(secrets.token_bytes(32)) + b"\n")
    return file


def test_the_file_of_the_first_run_holds_one_key(path: Path) -> None:
    """Which is the newest."""
    file = KeyFile(path)
    assert list(file.keys()) == [file.newest().id]
    assert file.newest().key == base64.b64decode(path.read_bytes())


def test_keys_are_added_and_taken_away(path: Path) -> None:
    """The newest is the last; the file stays private; another process sees it at once."""
    file, elsewhere = KeyFile(path), KeyFile(path)
    old, new = elsewhere.newest(), MasterKey.new()
    file.add(new)
    assert list(elsewhere.keys()) == [old.id, new.id]
    assert elsewhere.newest() == new
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    file.keep_only(new.id)
    assert list(elsewhere.keys()) == [new.id]
    assert [entry.name for entry in path.parent.iterdir()] == ["master.key"]
    assert base64.b64encode(old.key) not in path.read_bytes()


def test_a_key_that_left_opens_for_a_minute_what_was_read_before(path: Path) -> None:
    """Then it is gone."""
    now = 0.0
    file = KeyFile(path, clock=lambda: now)
    old, new = file.newest(), MasterKey.new()
    file.add(new)
    assert set(file.keys()) == {old.id, new.id}
    KeyFile(path).keep_only(new.id)
    assert file.find(old.id) == old
    now += REMEMBERED_S + 1
    with pytest.raises(BadConfig, match=f"{old.id} is not in"):
        file.find(old.id)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"short", base64.b64encode(b"x" * 31), b"!" * 44, base64.b64encode(b"x" * 33)]
)
def test_a_file_without_keys_says_so(path: Path, content: bytes) -> None:
    """Also when only one line of two is wrong."""
    for text in (content, base64.b64encode(b"y" * 32) + b"\n" + content):
        path.write_bytes(text)
        if text.strip() == base64.b64encode(b"y" * 32):
            continue
        with pytest.raises(BadConfig, match="does not hold keys"):
            KeyFile(path).keys()


def test_a_missing_file_names_itself(tmp_path: Path) -> None:
    """And the setting that leads to it."""
    with pytest.raises(BadConfig, match=r"nowhere cannot be used.*secrets\.master_key_file"):
        KeyFile(tmp_path / "nowhere").keys()


def test_a_file_that_cannot_be_written_stays(path: Path) -> None:
    """A directory in the way of the draft stops it before anything changed."""
    before = path.read_bytes()
    file = KeyFile(path)
    file.keys()
    (path.parent / ".master.key.draft").mkdir()
    with pytest.raises(BadConfig, match="cannot be written"):
        file.add(MasterKey.new())
    assert path.read_bytes() == before
