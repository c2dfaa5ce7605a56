"""The same files give the same bytes, signing changes nothing else, and no half of a package is ever left."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mairust_core.errors import Invalid
from mairust_core.model.trust import SignedAs
from mairust_core.plugins.manifest import on_paper
from mairust_core.plugins.package import (
    ArchiveLimits,
    Package,
    keys,
    packing,
    read_package,
    signatures,
    unpack,
)
from mairust_core.plugins.package.packing import add, file_name, pack
from mairust_core.plugins.package.sources import files_of
from tests.support.archives import FILES, TOML, listing, package


def source(directory: Path) -> Path:
    """A plugin's directory."""
    for path, data in FILES.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(data)
    (directory / "spam.sh").chmod(0o755)
    return directory


def packed(directory: Path, target: Path) -> Package:
    """A directory's package."""
    return pack(directory, target, on_paper())


def read(path: Path) -> Package:
    """The package in a file."""
    with path.open("rb") as file:
        return read_package(file, on_paper())


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    """Whatever their owner, mode, time and order on disk, and what tools left beside them."""
    first, second = tmp_path / "first", tmp_path / "second"
    packed(source(tmp_path / "a"), first)
    other = tmp_path / "b"
    for path in reversed(FILES):
        (other / path).parent.mkdir(parents=True, exist_ok=True)
        (other / path).write_bytes(FILES[path])
        os.utime(other / path, (1, 1))
    (other / "spam.sh").chmod(0o700)
    (other / "plugin.toml").chmod(0o600)
    for left in (
        "__pycache__/x.pyc",
        ".git/config",
        ".venv/pyvenv.cfg",
        "lib/words.txt~",
        "old.mairust-plugin",
    ):
        (other / left).parent.mkdir(exist_ok=True)
        (other / left).write_text("x")
    packed(other, second)
    assert first.read_bytes() == second.read_bytes()


def test_nothing_of_the_machine_is_in_a_package(tmp_path: Path) -> None:
    """Nobody's files, of no time, under two modes; gzip says neither name nor time."""
    packed(source(tmp_path / "a"), tmp_path / "p")
    data = (tmp_path / "p").read_bytes()
    assert data[:10] == b"\x1f\x8b\x08\0\0\0\0\0\x02\x03"
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as archive:
        told = [(one.name, one.mode, one.uid, one.gid, one.uname, one.mtime) for one in archive.getmembers()]
    assert told == [
        ("manifest.json", 0o644, 0, 0, "", 0),
        ("lib/words.txt", 0o644, 0, 0, "", 0),
        ("plugin.toml", 0o644, 0, 0, "", 0),
        ("spam.sh", 0o755, 0, 0, "", 0),
    ]


def test_other_programs_unpack_what_is_packed(tmp_path: Path) -> None:
    """A plain tar.gz; long paths and names beyond ASCII too."""
    directory = source(tmp_path / "a")
    long = "/".join(["d" * 50] * 3 + ["x" * 80])
    for path in (long, "日本/語.txt"):
        (directory / path).parent.mkdir(parents=True)
        (directory / path).write_text(path)
    packed(directory, tmp_path / "p")
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["tar", "-xzf", tmp_path / "p", "-C", out], check=True)
    assert (out / long).read_text() == long
    assert (out / "日本/語.txt").read_text() == "日本/語.txt"
    assert os.access(out / "spam.sh", os.X_OK)


def test_what_is_packed_unpacks_to_the_same(tmp_path: Path) -> None:
    """Read-only for everybody, its listing beside it, whatever the umask; not twice into one directory."""
    made = packed(source(tmp_path / "a"), tmp_path / "p")
    before = os.umask(0o077)
    try:
        with (tmp_path / "p").open("rb") as file:
            unpack(file, made, tmp_path / "out")
            with pytest.raises(FileExistsError):
                unpack(file, made, tmp_path / "out")
    finally:
        os.umask(before)
    found = {
        str(one.relative_to(tmp_path / "out")): one for one in (tmp_path / "out").rglob("*") if one.is_file()
    }
    assert {path: one.read_bytes() for path, one in found.items()} == {**FILES, "manifest.json": made.listing}
    assert {path: one.stat().st_mode & 0o777 for path, one in found.items()} == {
        "spam.sh": 0o555, "lib/words.txt": 0o444, "plugin.toml": 0o444, "manifest.json": 0o444,
    }  # fmt: skip
    assert {one.stat().st_mode & 0o777 for one in (tmp_path / "out", tmp_path / "out/lib")} == {0o755}


def test_an_unpacked_package_can_be_packed_again(tmp_path: Path) -> None:
    """To the same digest, once the listing is taken away: it is made by packing."""
    made = packed(source(tmp_path / "a"), tmp_path / "p")
    with (tmp_path / "p").open("rb") as file:
        unpack(file, made, tmp_path / "out")
    with pytest.raises(Invalid, match=r"manifest\.json is made by packing"):
        packed(tmp_path / "out", tmp_path / "again")
    (tmp_path / "out/manifest.json").unlink()
    assert packed(tmp_path / "out", tmp_path / "again").digest == made.digest


UNFIT: dict[str, tuple[Callable[[Path], object], str]] = {
    "link": (lambda d: (d / "link").symlink_to("/etc/passwd"), "package_link"),
    "link to a directory": (lambda d: (d / "lib2").symlink_to("lib"), "package_link"),
    "pipe": (lambda d: os.mkfifo(d / "pipe"), "package_special"),
    "case": (lambda d: (d / "SPAM.sh").write_text(""), "package_clash"),
    "line end": (lambda d: (d / "a\nb").write_text(""), "package_path_characters"),
    "not UTF-8": (
        lambda d: Path(os.fsdecode(os.fsencode(d) + b"/\xff")).write_text(""),
        "package_path_encoding",
    ),
    "long name": (lambda d: (d / ("x" * 120)).write_text(""), "package_path_unfit"),
    "no plugin.toml": (lambda d: (d / "plugin.toml").unlink(), "toml_unreadable"),
    "wrong plugin.toml": (
        lambda d: (d / "plugin.toml").write_bytes(TOML + b"colour = 1"),
        "toml_unknown_key",
    ),
    "nothing but zeros": (lambda d: (d / "zeros").write_bytes(bytes(5 << 20)), "package_bomb_ratio"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_what_no_package_may_have_is_not_packed(tmp_path: Path, name: str) -> None:
    """And leaves no file, nor changes one that was there."""
    make, detail = UNFIT[name]
    directory = source(tmp_path / "a")
    make(directory)
    (tmp_path / "p").write_text("before")
    with pytest.raises(Invalid) as caught:
        packed(directory, tmp_path / "p")
    assert caught.value.detail == detail
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a", "p"]
    assert (tmp_path / "p").read_text() == "before"


def test_too_many_files_are_not_packed(tmp_path: Path) -> None:
    """Counted before anything is read."""
    with pytest.raises(Invalid, match="more than 2 files"):
        pack(source(tmp_path / "a"), tmp_path / "p", on_paper(), ArchiveLimits(files=2))


def test_a_file_that_changes_meanwhile_is_not_packed(tmp_path: Path) -> None:
    """What was listed is what is written, or nothing."""
    directory = source(tmp_path / "a")
    (one,) = [one for one in files_of(directory, ArchiveLimits()) if one.path == "lib/words.txt"]
    facts = packing._facts(one)
    for data in (b"CASINO\n", b"", b"casino\nroulette\n"):
        one.place.write_bytes(data)
        with pytest.raises(Invalid, match="changed while it was packed"):
            list(packing._unchanged(one, facts))


def test_what_a_plugin_ignores_is_left_out(tmp_path: Path) -> None:
    """Names anywhere, paths where they are, comments not at all."""
    directory = source(tmp_path / "a")
    (directory / ".mairustignore").write_text("# mine\n*.md\nlib/draft*\n/tests/\n")
    for path in ("README.md", "lib/x.md", "lib/draft1", "draft2", "tests/t.py", "lib/tests/t.py"):
        (directory / path).parent.mkdir(exist_ok=True)
        (directory / path).write_text("x")
    assert set(packed(directory, tmp_path / "p").files) == {*FILES, "draft2"}


def test_signing_changes_nothing_else(tmp_path: Path) -> None:
    """Signatures stand beside the listing they are over; a second one of a kind replaces the first."""
    path = tmp_path / "p"
    before = packed(source(tmp_path / "a"), path)
    path.chmod(0o640)
    marks = [mark_of(before.listing) for _ in range(3)]
    signers = (SignedAs.DEVELOPER, SignedAs.MARKETPLACE, SignedAs.DEVELOPER)
    for mark, signer in zip(marks, signers, strict=True):
        after = add(path, {signer.path: mark[1]}, on_paper())
        assert (after.digest, after.files) == (before.digest, before.files)
    assert after == read(path)
    assert after.developer is not None
    assert after.marketplace is not None
    assert (after.developer.key_id, after.marketplace.key_id) == (marks[2][0], marks[1][0])
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a", "p"]


def mark_of(data: bytes) -> tuple[str, bytes]:
    """The id of a new key, and its signature file."""
    private = keys.generate()
    return keys.key_id(keys.public_of(private)), signatures.write(data, private)


def test_signing_the_same_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    """Ed25519 has no dice in it."""
    private = keys.generate()
    made = packed(source(tmp_path / "a"), tmp_path / "p")
    shutil.copy(tmp_path / "p", tmp_path / "q")
    mark = signatures.write(made.listing, private)
    for name in ("p", "q", "q"):
        add(tmp_path / name, {SignedAs.DEVELOPER.path: mark}, on_paper())
    assert (tmp_path / "p").read_bytes() == (tmp_path / "q").read_bytes()


def test_a_package_that_would_be_none_stays_as_it_was(tmp_path: Path) -> None:
    """A signature over something else, or what is no package to begin with."""
    path = tmp_path / "p"
    packed(source(tmp_path / "a"), path)
    before = path.read_bytes()
    with pytest.raises(Invalid, match="is not over this"):
        add(path, {SignedAs.DEVELOPER.path: mark_of(b"other")[1]}, on_paper())
    assert path.read_bytes() == before
    path.write_bytes(before[:-9])
    with pytest.raises(Invalid, match="ends too early"):
        add(path, {SignedAs.DEVELOPER.path: mark_of(b"other")[1]}, on_paper())
    assert path.read_bytes() == before[:-9]


def test_packages_of_others_can_be_signed(tmp_path: Path) -> None:
    """Whatever order their files are in."""
    path = tmp_path / "p"
    path.write_bytes(package().getvalue())
    assert add(path, {SignedAs.DEVELOPER.path: mark_of(listing(FILES))[1]}, on_paper()).developer is not None


def test_a_package_is_called_by_id_and_version(tmp_path: Path) -> None:
    """Contract §5."""
    made = packed(source(tmp_path / "a"), tmp_path / "p")
    assert file_name(made.manifest) == "com.example.spam-1.2.3.mairust-plugin"


def test_a_package_for_another_mairust_can_be_packed_and_read_on_paper(tmp_path: Path) -> None:
    """Who makes or signs it has not to run it: its site judges that."""
    directory = source(tmp_path / "a")
    (directory / "plugin.toml").write_bytes(TOML + b'[compat]\nmairust_min = "99.0.0"\n')
    assert packed(directory, tmp_path / "p").manifest.mairust_min == "99.0.0"
