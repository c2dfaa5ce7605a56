"""The second reader shares nothing with the first, and finds the same."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from mairust_core.transfer import plain_reader
from mairust_core.transfer.plain_reader import Reader, Unreadable
from mairust_core.transfer.repository import Repository
from tests.support import docs
from tests.support.docs import CHECKOUT
from tests.support.repositories import fill, mail_in

FORMAT = CHECKOUT / "docs" / "reference" / "backup-format.md"


def test_it_imports_nothing_of_mairust() -> None:
    """Otherwise a fault in the format's code would be compared with itself."""
    tree = ast.parse(Path(plain_reader.__file__).read_text("utf-8"))
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not [name for name in names if name and name.startswith(("mairust", "tests"))]


def test_it_finds_what_the_first_reader_finds(tmp_path: Path) -> None:
    """Every object of every snapshot."""
    _, names = fill(tmp_path / "r", 4)
    repository, reader = Repository.open(tmp_path / "r"), Reader(tmp_path / "r")
    for name in names:
        for object_ in repository.read_snapshot(name).objects():
            assert reader.object(object_) == repository.read_object(object_)
        for account in reader.snapshot(name)["accounts"]:
            mails = [reader.object(row["sha256"]) for row in reader.rows(account["objects"], "message")]
            assert mails == mail_in(repository, name)[account["address"]]


def test_it_does_not_believe_a_damaged_object(tmp_path: Path) -> None:
    """It says which."""
    _, names = fill(tmp_path / "r", 1)
    repository = Repository.open(tmp_path / "r")
    (object_, *_) = repository.read_snapshot(names[0]).accounts[0].objects
    pack, entry = repository.index.find(bytes.fromhex(object_))
    data = bytearray(repository.pack_path(pack).read_bytes())
    data[entry.offset + entry.stored_bytes - 5] ^= 1
    repository.pack_path(pack).write_bytes(data)
    with pytest.raises(Unreadable, match=object_):
        Reader(tmp_path / "r").object(object_)


def test_it_says_which_pack_it_cannot_read(tmp_path: Path) -> None:
    """Once something is missing that may lie in it; without any such pack, what is missing."""
    fill(tmp_path / "r", 1)
    with pytest.raises(Unreadable, match=f"{'0' * 64}.*in no pack"):
        Reader(tmp_path / "r").object("0" * 64)
    path = min((tmp_path / "r" / "packs").glob("*/*"))
    for data in (b"", b"junk", path.read_bytes() + b"junk"):
        path.write_bytes(data)
        with pytest.raises(Unreadable) as refused:
            Reader(tmp_path / "r").object("0" * 64)
        assert refused.value.name == path.name.removesuffix(".zst")


def test_the_script_of_the_specification_is_python() -> None:
    """Its run on a real backup is in tests/e2e/backup."""
    (block,) = docs.blocks(FORMAT, "python")
    compile(block.text, str(FORMAT), "exec")
