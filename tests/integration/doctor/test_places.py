"""What is found of files and permissions: each thing broken on purpose, and mended as it says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mairust_core.model.finding import Level
from tests.integration.doctor.conftest import Examine
from tests.support.stores import open_kit, settings_for

NOBODY = 65534


def mend(command: str) -> None:
    """Do what a finding says."""
    subprocess.run(["sh", "-euc", command], check=True)


def test_a_fresh_site_is_well_but_for_what_is_not_done_yet(found: Examine) -> None:
    """No server, no domain: no error."""
    assert set(found()) == {"server.not_running", "domain.none"}


def test_there_is_no_site(data_dir: Path, found: Examine, tmp_path: Path) -> None:
    """Neither a directory without a database, nor no directory at all, is a failure of doctor's."""
    (data_dir / "mairust.db").unlink()
    (data_dir / "blobs" / "owner").unlink()
    assert set(found()) == {"site.missing"}
    data_dir.rename(tmp_path / "away")
    one = found()["site.missing"]
    assert (one.level, one.mend) == (Level.ERROR, "mairust init")
    data_dir.write_text("a file")
    assert set(found()) == {"site.missing"}


@pytest.mark.parametrize(
    ("name", "id_", "mode"),
    [
        ("", "data_dir.open", 0o755),
        ("admin.token", "admin_token.readable", 0o604),
        ("master.key", "master_key.readable", 0o640),
    ],
)
def test_what_others_can_read_is_found_and_mended(
    data_dir: Path, found: Examine, name: str, id_: str, mode: int
) -> None:
    """By the command that the finding names."""
    (data_dir / name).chmod(mode)
    one = found()[id_]
    assert str(data_dir / name) in one.what
    mend(one.mend)
    assert id_ not in found()


def test_a_configuration_with_a_password_is_not_for_everybody(data_dir: Path, found: Examine) -> None:
    """One without may be read."""
    file = data_dir / "mairust.toml"
    file.write_text("[node]\ngrace_s = 3\n")
    file.chmod(0o644)
    assert "config.readable" not in found()
    file.write_text('[database]\nurl = "postgresql://u:hush@127.0.0.1:1/d"\n')
    one = found()["config.readable"]
    assert "database.url" in one.what
    assert "hush" not in repr(found())
    mend(one.mend)
    assert "config.readable" not in found()


def test_a_missing_master_key(data_dir: Path, found: Examine) -> None:
    """Is an error, for stored secrets cannot be opened."""
    (data_dir / "master.key").unlink()
    assert found()["master_key.missing"].level is Level.ERROR


def test_a_configuration_that_cannot_be_read(data_dir: Path, found: Examine) -> None:
    """The finding is the error of every other command, in the language asked for."""
    (data_dir / "mairust.toml").write_text("[smtp]\nlisten = 'nowhere'\n")
    english = found()
    assert set(english) == {"config.invalid"}
    assert f"{data_dir / 'mairust.toml'}:2" in english["config.invalid"].what
    assert "待ち受け" in found("ja")["config.invalid"].what


def test_the_blobs_are_out_of_reach(data_dir: Path, found: Examine, tmp_path: Path) -> None:
    """A directory that is not mounted is not made anew."""
    elsewhere = tmp_path / "mounted" / "blobs"
    assert "blobs.unreachable" in found(blobs__path=str(elsewhere))
    assert not elsewhere.exists()


def with_mail(data_dir: Path) -> None:
    """Put a mail into the site."""
    with open_kit(settings_for(data_dir)) as kit:
        kit.domain()
        kit.store(kit.mail(kit.account("ann@example.org"), data=b"x" * 100))


@pytest.mark.parametrize("there", [True, False])
def test_blobs_that_are_not_mounted_are_not_called_damaged(
    data_dir: Path, found: Examine, there: bool
) -> None:
    """Nothing needs to be restored: the disk has to be mounted."""
    with_mail(data_dir)
    (data_dir / "blobs").rename(data_dir / "away")
    if there:
        (data_dir / "blobs").mkdir()
    one = found()["blobs.unreachable"]
    assert one.level is Level.ERROR
    assert "not mounted" in one.what
    assert one.mend.startswith("Mount it")
    assert "マウントされていない" in found("ja")["blobs.unreachable"].what
    assert "blobs.damaged" not in found()


@pytest.mark.parametrize("gone", [True, False])
def test_blobs_without_their_database(data_dir: Path, found: Examine, gone: bool) -> None:
    """It was deleted, or emptied: `mairust init` would make one that cannot know them."""
    for name in ("mairust.db-wal", "mairust.db-shm"):
        (data_dir / name).unlink(missing_ok=True)
    if gone:
        (data_dir / "mairust.db").unlink()
    else:
        os.truncate(data_dir / "mairust.db", 0)
    told = found()
    assert told["blobs.foreign"].level is Level.ERROR
    assert "Put the database back" in told["blobs.foreign"].mend
    assert not {"site.missing", "database.empty"} & set(told)


def test_blobs_of_another_database(data_dir: Path, found: Examine) -> None:
    """The note beside them names another site."""
    (data_dir / "blobs" / "owner").write_text("0" * 32 + "\n")
    assert found()["blobs.foreign"].level is Level.ERROR


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("name", ["", "segments", "segments/*"])
def test_blobs_of_another_owner_are_not_called_damaged(data_dir: Path, found: Examine, name: str) -> None:
    """Also root, whom nothing stops, hears what the owner of the site would; the command mends it."""
    with_mail(data_dir)
    for path in (data_dir, *data_dir.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    (path,) = (data_dir / "blobs").glob(name) if name else [data_dir / "blobs"]
    os.chown(path, 0, 0)
    path.chmod(0o700 if path.is_dir() else 0o600)
    one = found()["blobs.unreachable"]
    assert f"{path} " in one.what
    assert not {"blobs.unreadable", "blobs.damaged"} & set(found())
    mend(one.mend.split(": ", 1)[1].partition(";")[0].replace("USER", str(NOBODY)))
    assert "blobs.unreachable" not in found()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize(
    ("uid", "gid", "mode", "is_usable"),
    [
        (0, 0, 0o660, False),
        (0, NOBODY, 0o660, True),
        (0, NOBODY, 0o606, False),
        (0, 0, 0o606, True),
        (NOBODY, NOBODY, 0o066, False),
    ],
)
def test_only_the_bits_that_count_for_the_server_are_asked(
    data_dir: Path, found: Examine, uid: int, gid: int, mode: int, is_usable: bool
) -> None:
    """It runs as the owner of the data directory, with that directory's group and no other."""
    for path in (data_dir, *data_dir.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    os.chown(data_dir / "mairust.db", uid, gid)
    (data_dir / "mairust.db").chmod(mode)
    assert ("database.not_writable" not in found()) is is_usable


def test_segments_and_blobs_that_are_broken(data_dir: Path, found: Examine) -> None:
    """Both the cheap look at every segment and the blobs picked by chance see it."""
    with open_kit(settings_for(data_dir)) as kit:
        kit.domain()
        kit.store(kit.mail(kit.account("ann@example.org"), data=b"x" * 100))
    assert not {"blobs.unreadable", "blobs.damaged"} & set(found())
    (segment,) = (data_dir / "blobs" / "segments").iterdir()
    os.truncate(segment, 0)
    assert found()["blobs.damaged"].level is Level.ERROR
    segment.write_bytes(b"garbage, garbage")
    assert segment.name in found()["blobs.unreadable"].what
