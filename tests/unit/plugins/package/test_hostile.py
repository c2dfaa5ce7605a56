"""Hostile archives are refused, each by its own name, before anything is written (trap H6)."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from mairust_core.errors import Invalid
from mairust_core.i18n import LANGUAGES, explain
from mairust_core.plugins.manifest import on_paper
from mairust_core.plugins.package import ArchiveLimits, read_package, unpack, unpack_listed
from tests.support.archives import FILES, TOML, entries, gzip, listing, package, tar
from tests.support.hostile import HOSTILE, SMALL


@pytest.mark.parametrize("name", HOSTILE)
def test_trap_h6_a_hostile_archive_is_refused_by_its_name(name: str) -> None:
    """With its own detail, told whole in every language."""
    make, detail = HOSTILE[name]
    with pytest.raises(Invalid) as caught:
        read_package(io.BytesIO(make()), on_paper(), SMALL)
    assert caught.value.detail == f"package_{detail}"
    for lang in LANGUAGES:
        what, hint = explain(caught.value, lang)
        assert "?" not in what + hint
        assert what.isprintable()
        assert "\u202e" not in what


@pytest.mark.parametrize("name", HOSTILE)
def test_trap_h6_a_hostile_archive_unpacks_to_nothing(name: str, tmp_path: Path) -> None:
    """Also when it was exchanged for the sound one that was read before; what is only said about it aside."""
    sound = read_package(package(), on_paper(), SMALL)
    target = tmp_path / "unpacked"
    try:
        unpack(io.BytesIO(HOSTILE[name][0]()), sound, target, SMALL)
    except Invalid:
        assert list(tmp_path.iterdir()) == []
    else:
        written = {str(one.relative_to(target)) for one in target.rglob("*") if one.is_file()}
        assert written == {"manifest.json", *FILES}
        assert all((target / path).read_bytes() == data for path, data in FILES.items())


def test_a_nest_too_deep_for_the_parser_is_no_listing() -> None:
    """The limits on values alone would let it in; which depth is too much depends on the Python."""
    nest = b'{"format":' + b"[" * 30_000 + b"]" * 30_000 + b"}"
    with pytest.raises(Invalid) as caught:
        read_package(package(manifest=nest), on_paper())
    assert caught.value.detail in {"package_json", "package_json_value"}


def test_every_limit_lets_in_what_is_just_within_it() -> None:
    """Forty names, that of a directory among them, and content of exactly the limit: one more is refused."""
    most = 40 - len(entries()) - 1
    files = {**FILES, **{f"f{n}": b"" for n in range(most)}}
    assert len(read_package(package(files), on_paper(), SMALL).files) == len(files)
    with pytest.raises(Invalid, match="more than 40 files"):
        read_package(package({**files, "one": b""}), on_paper(), SMALL)
    size = len(tar(entries()))
    exact = ArchiveLimits(unpacked_bytes=size)
    assert read_package(package(), on_paper(), exact)
    with pytest.raises(Invalid, match=f"more than {size - 1} bytes"):
        read_package(package(), on_paper(), ArchiveLimits(unpacked_bytes=size - 1))


@pytest.mark.parametrize("way", ["gnu tar", "tarfile", "tarfile with directories"])
def test_packages_of_other_programs_are_read(way: str, tmp_path: Path) -> None:
    """Plain ustar is what every tar can write; owners, times and names of theirs mean nothing."""
    for path, data in {**FILES, "manifest.json": listing(FILES)}.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
    (tmp_path / "spam.sh").chmod(0o755)
    out = tmp_path / "made.tar.gz"
    names = ["manifest.json", *FILES]
    if way == "gnu tar":
        subprocess.run(["tar", "--format=ustar", "-czf", out, "-C", tmp_path, *names], check=True)
    else:
        with tarfile.open(out, "w:gz", format=tarfile.USTAR_FORMAT) as archive:
            for name in [*names, "lib"] if "directories" in way else names:
                archive.add(tmp_path / name, name, recursive=False)
    with out.open("rb") as file:
        found = read_package(file, on_paper())
    assert found.files.keys() == FILES.keys()
    assert [path for path, one in found.files.items() if one.executable] == ["spam.sh"]


def test_what_can_be_run_is_said_by_what_is_signed(tmp_path: Path) -> None:
    """The listing, and the command in plugin.toml; what modes an archive has changes nothing."""
    told = json.loads(listing(FILES))
    for listed, executable in ((False, {"spam.sh"}), (True, {"spam.sh", "lib/words.txt"})):
        told["files"]["lib/words.txt"]["executable"] = listed
        data = json.dumps(told).encode()
        for mode in (0o644, 0o755):
            changed = [replace(one, mode=mode) for one in entries(FILES, data)]
            file = io.BytesIO(gzip(tar(changed)))
            found = read_package(file, on_paper())
            assert {path for path, one in found.files.items() if one.executable} == executable
            place = tmp_path / f"{listed} {mode}"
            unpack_listed(file, data, TOML.decode(), place)
            written = {path for path in FILES if (place / path).stat().st_mode & 0o111}
            assert written == executable


GOOD = package().getvalue()
RAW = tar(entries())


def mutated(dice: random.Random) -> bytes:
    """A sound package with some bytes changed, cut or repeated, before or after compression."""
    inside = dice.random() < 0.6
    data = bytearray(RAW if inside else GOOD)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(data) - 1)
        way = dice.randrange(4)
        if way == 0:
            data[at] = dice.randrange(256)
        elif way == 1:
            del data[at : at + dice.randint(1, 600)]
        elif way == 2:
            data[at:at] = data[at : at + dice.randint(1, 600)]
        else:
            data[at : at + 12] = dice.choice([b"77777777777\0", b"\x80" * 12, b"\xff" * 12, b"../../../../"])
        if len(data) < 2:
            break
    return gzip(resummed(data, dice)) if inside else bytes(data)


def resummed(data: bytearray, dice: random.Random) -> bytes:
    """Mostly with right sums in its headers, so that what is behind the sum is reached."""
    for at in range(0, len(data) - 511, 512):
        if data[at + 257 : at + 262] == b"ustar" and dice.random() < 0.9:
            data[at + 148 : at + 156] = b" " * 8
            data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    return bytes(data)


def test_trap_h6_mutated_archives_are_refused_or_equal(tmp_path: Path) -> None:
    """Whatever comes: an `Invalid`, or the package it was; nothing is written but that."""
    seed = int(os.environ.get("FUZZ_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
    dice = random.Random(seed)
    sound = read_package(package(), on_paper(), SMALL)
    details = set()
    for number in range(400):
        told = f"FUZZ_SEED={seed}, number {number}"
        data = mutated(dice)
        try:
            found = read_package(io.BytesIO(data), on_paper(), SMALL)
        except Invalid as error:
            details.add(error.detail)
        except Exception as error:
            raise AssertionError(told) from error
        else:
            assert found.files.keys() == {"plugin.toml"} | (found.files.keys() & FILES.keys()), told
        target = tmp_path / str(number)
        try:
            unpack(io.BytesIO(data), sound, target, SMALL)
        except Invalid:
            assert not target.exists(), told
    assert len(details) > 5, details
