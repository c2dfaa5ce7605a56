"""Groups that systemd gives away: the server makes room in its own for those of plugins."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from mairust_core.sandbox.delegation import DELEGATED, SUBGROUP, settle

OWN = "system.slice/mairust.service"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The group of a service, marked as given away."""
    found = tmp_path / "groups" / OWN
    found.mkdir(parents=True)
    try:
        os.setxattr(found, DELEGATED, b"1")
    except OSError as error:
        pytest.skip(f"no extended attributes here: {error}")
    return found


def settled(tmp_path: Path, told: str) -> None:
    """A server starts in the groups that the kernel tells."""
    (tmp_path / "told").write_text(told, "utf-8")
    settle(tmp_path / "groups", tmp_path / "told")


def test_a_server_moves_below_the_group_that_it_was_given(tmp_path: Path, own: Path) -> None:
    """Into one of its own; also where that is there from the time before."""
    for _ in range(2):
        settled(tmp_path, f"0::/{OWN}\n")
        assert (own / SUBGROUP / "cgroup.procs").read_text("ascii") == "0\n"


@pytest.mark.parametrize(
    "told", ["", f"1:memory:/{OWN}\n", f"9:name=systemd:/\n0::/{OWN}\n", "0::/system.slice/gone.service\n"]
)
def test_where_nothing_was_given_nothing_happens(
    tmp_path: Path, own: Path, caplog: pytest.LogCaptureFixture, told: str
) -> None:
    """In groups of the first version, in those of both, and in one that is not there."""
    settled(tmp_path, told)
    assert (list(own.iterdir()), caplog.messages) == ([], [])


@pytest.mark.parametrize("mark", [None, b"0"])
def test_a_group_of_somebody_else_is_left_alone(tmp_path: Path, own: Path, mark: bytes | None) -> None:
    """A shell's has no mark."""
    os.removexattr(own, DELEGATED)
    if mark is not None:
        os.setxattr(own, DELEGATED, mark)
    settled(tmp_path, f"0::/{OWN}\n")
    assert list(own.iterdir()) == []


def test_what_fails_is_told_and_the_server_goes_on(
    tmp_path: Path, own: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With the file that it is about, which an error of writing does not name by itself."""
    (own / SUBGROUP).mkdir()
    (own / SUBGROUP / "cgroup.procs").symlink_to("/dev/full")
    with caplog.at_level(logging.INFO):
        settled(tmp_path, f"0::/{OWN}\n")
    (said,) = caplog.messages
    assert f"{OWN}/{SUBGROUP}/cgroup.procs: No space left on device" in said
