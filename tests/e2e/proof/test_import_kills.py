"""An import killed at every step and at any moment, then run again, comes to the same (rule I1, trap M3)."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from mairust_core.observe.faults import STEPS
from mairust_core.services.exporting import Exports
from mairust_core.transfer.mbox.writing import postmark
from tests.e2e.proof.test_crash_points import NOT_INGEST
from tests.support import forks
from tests.support.invariants import check_site
from tests.support.server import (
    CHECKOUT,
    END_TIMEOUT_S,
    TESTER,
    Site,
    addresses,
    clean_environment,
    command_line,
)

ROUNDS = int(os.environ.get("MAIRUST_KILL_ROUNDS", "5"))
ADDRESS = addresses(1)[0]
COUNT = 520
"""Enough for several transactions, and for describing on other cores."""
LARGE_EVERY = 100
LARGE = bytes(range(256)) * 5000 + b"\n"
AT_S = 1_600_000_000

NOT_IMPORT = (
    *("gc.", "compact.", "hook.", "plugin.", "reply.", "request.", "secrets.", "trust."),
    *("backup.", "prune.", "restore."),
)
IMPORT_STEPS = [step.name for step in STEPS if not step.name.startswith(NOT_IMPORT)]


def messages() -> list[bytes]:
    """Every fifth has a twin, some are large: their bytes lie in files of their own."""
    found = []
    for number in range(COUNT):
        subject = number // 2 if number % 10 == 1 else number
        text = b"From: a@x.example\nSubject: %d\n\n" % subject
        found.append(text + (LARGE if number % LARGE_EVERY == 7 else b"Hello\n"))
    return found


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same messages as a Maildir, whose order is that of its dates, and as an mbox."""
    from datetime import UTC, datetime

    root = tmp_path_factory.mktemp("sources")
    (root / "Maildir" / "cur").mkdir(parents=True)
    with open(root / "mail.mbox", "wb") as mbox:
        for number, data in enumerate(messages()):
            path = root / "Maildir" / "cur" / f"{number}.a:2,S"
            path.write_bytes(data)
            os.utime(path, (AT_S + number, AT_S + number))
            mbox.write(postmark(datetime.fromtimestamp(AT_S + number, UTC)) + data + b"\n")
    return {"maildir": root / "Maildir", "mbox": root / "mail.mbox"}


def start(site: Site, kind: str, source: Path, crash_at: str = "") -> subprocess.Popen[bytes]:
    """An import as a process of its own."""
    extra = {**site.environment, **({"MAIRUST_CRASH_AT": crash_at} if crash_at else {})}
    return forks.Popen[bytes](
        command_line(site, "import", kind, source, "--account", ADDRESS, "--json"),
        env=clean_environment(extra),
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen[bytes]) -> int:
    """Its exit code."""
    process.communicate(timeout=END_TIMEOUT_S)
    return process.returncode


def audit(site: Site, *, complete: bool) -> int:
    """How many messages there are; each in its place, to the octet, none twice, and the site is sound."""
    assert check_site(site.settings()) == []
    wanted = messages()
    with site.opened() as here:
        items = here.service(Exports, TESTER).messages(ADDRESS).items
        found = [(item.value.uid, b"".join(item.content.chunks)) for item in items]
    assert [data for _, data in found] == wanted[: len(found)]
    assert [uid for uid, _ in found] == list(range(1, len(found) + 1))
    assert not complete or len(found) == COUNT
    return len(found)


@pytest.mark.parametrize("step", IMPORT_STEPS)
def test_trap_m3_killed_at_any_step_the_next_run_completes(
    site: Site, sources: dict[str, Path], rng: random.Random, step: str
) -> None:
    """What is there is the beginning of the source, in order; after the next run it is all of it, once."""
    nth = 1 if step in {"segment.created", "import.prepared"} else rng.randint(1, 3)
    process = start(site, "maildir", sources["maildir"], crash_at=f"{step}:{nth}")
    assert finish(process) == -signal.SIGKILL
    audit(site, complete=False)
    assert finish(start(site, "maildir", sources["maildir"])) == 0
    assert audit(site, complete=True) == COUNT


@pytest.mark.parametrize("kind", ["maildir", "mbox"])
def test_trap_m3_killed_at_any_moment_the_next_run_completes(
    site: Site, sources: dict[str, Path], rng: random.Random, kind: str
) -> None:
    """Killed again and again on its way, in the end each message is there once."""
    began_s = time.monotonic()
    for _ in range(ROUNDS):
        process = start(site, kind, sources[kind])
        time.sleep(rng.uniform(0, min(time.monotonic() - began_s + 0.5, 1.5)))
        process.kill()
        finish(process)
        audit(site, complete=False)
    assert finish(start(site, kind, sources[kind])) == 0
    assert audit(site, complete=True) == COUNT
    assert finish(start(site, kind, sources[kind])) == 0
    assert audit(site, complete=True) == COUNT


def test_two_imports_at_once_bring_each_message_once(site: Site, sources: dict[str, Path]) -> None:
    """The same source twice at the same time: nothing is there twice."""
    running = [start(site, "maildir", sources["maildir"]) for _ in range(2)]
    assert [finish(process) for process in running] == [0, 0]
    assert check_site(site.settings()) == []
    with site.opened() as here:
        items = here.service(Exports, TESTER).messages(ADDRESS).items
        assert sorted(b"".join(item.content.chunks) for item in items) == sorted(messages())


def test_steps_of_mail_and_of_imports_are_all_there() -> None:
    """No step is left out by both kill tests, and each is told apart."""
    ingest = {step.name for step in STEPS if not step.name.startswith(NOT_INGEST)}
    assert {"import.prepared", "import.answered"} == set(IMPORT_STEPS) - ingest
