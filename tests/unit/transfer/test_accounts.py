"""Whose mail lies where."""

from __future__ import annotations

from pathlib import Path

import pytest

from mairust_core.errors import Invalid, Usage
from mairust_core.transfer.accounts import pairs


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two domains with users, and what else lies there."""
    for name in (
        "b.example/bob/Maildir",
        "a.example/ann/Maildir",
        "a.example/eve",
        "lost+found",
        "x.example/un known/Maildir",
    ):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "a.example" / "file").touch()
    return tmp_path


def test_a_table_names_paths_and_addresses(tmp_path: Path) -> None:
    """With commas or tabs; paths begin at the root, empty lines and remarks are passed over."""
    table = tmp_path / "table"
    table.write_text("# who, where\n\nann/Maildir, Ann@Example.ORG\n/var/bob, with comma\tbob@example.org\n")
    assert pairs(tmp_path, str(table)) == [
        (tmp_path / "ann/Maildir", "Ann@example.org"),
        (Path("/var/bob, with comma"), "bob@example.org"),
    ]


@pytest.mark.parametrize("line", ["ann", "ann@example.org", "ann,", ",ann@example.org", "ann, nobody"])
def test_a_wrong_line_is_named(tmp_path: Path, line: str) -> None:
    """With its number and how to write one."""
    table = tmp_path / "table"
    table.write_text(f"x, y@example.org\n{line}\n")
    with pytest.raises(Invalid, match="line 2 of"):
        pairs(tmp_path, str(table))


def test_a_table_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """It is not there, it is no text, it is empty."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "empty").touch()
    for name in ("nothing", "binary"):
        with pytest.raises(Usage, match="cannot be read"):
            pairs(tmp_path, str(tmp_path / name))
    with pytest.raises(Invalid, match="names no path"):
        pairs(tmp_path, str(tmp_path / "empty"))


@pytest.mark.parametrize("pattern", ["%d/%n/Maildir", "/%d/%n/Maildir/"])
def test_a_pattern_finds_the_accounts_of_a_tree(tree: Path, pattern: str) -> None:
    """Directories that fit; what gives no address is passed over."""
    assert pairs(tree, pattern) == [
        (tree / "a.example/ann/Maildir", "ann@a.example"),
        (tree / "b.example/bob/Maildir", "bob@b.example"),
    ]


def test_a_pattern_may_hold_the_whole_address(tmp_path: Path) -> None:
    """`%u`, with text around it."""
    for name in ("u-ann@a.example", "u-bob@b.example", "x-eve@a.example"):
        (tmp_path / name / "mail").mkdir(parents=True)
    assert [address for _, address in pairs(tmp_path, "u-%u/mail")] == ["ann@a.example", "bob@b.example"]


@pytest.mark.parametrize("pattern", ["%n/Maildir", "%d", "%u/%n"])
def test_a_pattern_says_the_whole_address(tree: Path, pattern: str) -> None:
    """Once."""
    with pytest.raises(Invalid, match="whole address"):
        pairs(tree, pattern)


def test_a_pattern_that_fits_nothing_is_told(tree: Path) -> None:
    """Nobody takes an empty import for a full one."""
    with pytest.raises(Invalid, match="names no path"):
        pairs(tree, "%d/%n/mail")
