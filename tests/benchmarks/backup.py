"""Backups of a site beside `tar | zstd -3` and restic on the same mail, and a restore beside an import.

``python -m tests.benchmarks.backup [--messages 20000] [--rounds 5] [--changed 100]``

The site is made once, its mail also lies in a Maildir. Each round runs every contender in turn, in fresh
directories; nothing is deleted before the end. A row is the median of its rounds: the wall time of commands,
the CPU of their processes; memory is the highest PSS of the process tree. Without restic, or without
`mairust import`, their rows are left out and so are the ratios to them.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mairust_core.app import Site as OpenSite
from mairust_core.app import opened
from mairust_core.config import load_settings
from mairust_core.mime import SNIPPET, describe
from mairust_core.model.blob import Bytes
from mairust_core.model.delivery import Copy, Delivery
from mairust_core.model.principal import DEFAULT_TENANT, Principal
from mairust_core.store.facts import kept_facts
from tests.benchmarks.corpus import read_corpus
from tests.benchmarks.servers import clean_environment
from tests.benchmarks.sites import Site, addresses, mairust, make_site
from tests.benchmarks.table import Goal, render, verdict
from tests.support.processes import process_tree, pss_bytes

ACCOUNTS = 4
BATCH = 512
SAMPLE_EVERY_S = 0.02
FIRST, SECOND, CHANGED, RESTORE, IMPORT = (
    "backup, first",
    "backup, unchanged",
    "backup, changed",
    "restore",
    "import",
)
TAR, RESTIC_FIRST, RESTIC_SECOND = "tar | zstd -3", "restic, first", "restic, unchanged"
FIRST_GOAL, SECOND_GOAL, RESTORE_GOAL, MEMORY_GOAL_MB = 1.5, 0.5, 1.5, 300.0


@dataclass(slots=True)
class Row:
    """The rounds of one contender."""

    seconds: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    peak_mb: float = 0.0

    @property
    def median(self) -> float:
        """Wall time."""
        return statistics.median(self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A site, the same mail as files, and where the rounds put what they make."""

    site: Site
    maildir: Path
    scratch: Path
    mail_bytes: int


def prepare(messages: int, scratch: Path) -> Ground:
    """Make the site and the Maildir; every message is another one."""
    corpus = read_corpus()
    print(corpus)
    site = Site(directory=scratch / "site")
    make_site(site, ACCOUNTS)
    maildir = scratch / "maildir"
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True)
    size_bytes = 0
    with opened(load_settings(data_dir=site.directory, env={})) as here:
        for batch in _batches(_mails(corpus.messages, messages)):
            deliver(here, batch)
            for number, data in batch:
                size_bytes += len(data)
                (maildir / "cur" / f"{number}.M1P1.bench:2,S").write_bytes(data)
    return Ground(site=site, maildir=maildir, scratch=scratch, mail_bytes=size_bytes)


def _mails(messages: Sequence[Any], count: int, start: int = 0) -> Iterator[tuple[int, bytes]]:
    for number in range(start, start + count):
        yield number, messages[number % len(messages)].whole(b"%d." % number)


def _batches(mails: Iterator[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    batch: list[tuple[int, bytes]] = []
    for mail in mails:
        batch.append(mail)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def deliver(site: OpenSite, batch: Sequence[tuple[int, bytes]]) -> None:
    """Store mail as a listener would, in all accounts by turns."""
    from mairust_core import store
    from mairust_core.ids import now_ms

    with site.storage.read() as tx:
        by = Principal.local("benchmark")
        owners = [store.accounts.get(tx, by, address).id for address in addresses(ACCOUNTS)]
    deliveries = []
    for number, data in batch:
        content, kept = Bytes.of(data), kept_facts(describe(data, extent=SNIPPET))
        owner = owners[number % len(owners)]
        copy = Copy(id=site.ids.next(), account_id=owner, size_bytes=kept.crlf_size_bytes, flags=number % 3)
        deliveries.append(
            Delivery(
                tenant_id=DEFAULT_TENANT,
                content=content,
                kept=kept,
                copies=(copy,),
                received_ms=now_ms(),
            )
        )
    site.committer.commit_many(deliveries)


def timed(row: Row, command: Sequence[str], env: dict[str, str] | None = None) -> None:
    """Run a command to its end and note what it cost; raises RuntimeError when it fails."""
    os.sync()  # dirty pages of the run before would be charged to this one
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env=env or clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    while process.poll() is None:
        row.peak_mb = max(row.peak_mb, pss_bytes(process_tree(process.pid)) / 1e6)
        time.sleep(SAMPLE_EVERY_S)
    row.seconds.append(time.perf_counter() - began)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    row.cpu_s.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit {process.returncode}")


def measure(ground: Ground, rounds: int, changed: int) -> dict[str, Row]:
    """Every contender once a round; the order turns."""
    rows: dict[str, Row] = {}
    contenders: list[Callable[[int], None]] = [
        lambda number: _tar(ground, number, rows),
        lambda number: _ours(ground, number, rows, changed),
    ]
    if shutil.which("restic"):
        contenders.append(lambda number: _restic(ground, number, rows))
    for number in range(rounds):
        turn = number % len(contenders)
        for contender in contenders[turn:] + contenders[:turn]:
            contender(number)
    return rows


def _tar(ground: Ground, number: int, rows: dict[str, Row]) -> None:
    target = ground.scratch / f"{number}.tar.zst"
    script = f"tar -C {ground.maildir} -cf - . | zstd -3 -q -o {target}"
    timed(rows.setdefault(TAR, Row()), ["sh", "-c", script])


def _restic(ground: Ground, number: int, rows: dict[str, Row]) -> None:
    repository = ground.scratch / f"restic-{number}"
    env = clean_environment(
        {
            "RESTIC_PASSWORD": "x",
            "RESTIC_REPOSITORY": str(repository),
            "RESTIC_CACHE_DIR": str(repository) + "-cache",
            "RESTIC_PROGRESS_FPS": "0.1",
        }
    )
    subprocess.run(["restic", "init", "-q"], env=env, check=True, stdout=subprocess.DEVNULL)
    for name in (RESTIC_FIRST, RESTIC_SECOND):
        timed(rows.setdefault(name, Row()), ["restic", "backup", "-q", str(ground.maildir)], env)


def _ours(ground: Ground, number: int, rows: dict[str, Row], changed: int) -> None:
    repository = ground.scratch / f"repository-{number}"
    backup = mairust(ground.site, "backup", repository)
    timed(rows.setdefault(FIRST, Row()), backup)
    timed(rows.setdefault(SECOND, Row()), backup)
    target = Site(directory=ground.scratch / f"restored-{number}")
    timed(rows.setdefault(RESTORE, Row()), mairust(target, "restore", repository, "--yes"))
    if _can_import(target):
        fresh = Site(directory=ground.scratch / f"imported-{number}")
        make_site(fresh, 1)
        command = mairust(fresh, "import", "maildir", ground.maildir, "--account", addresses(1)[0])
        timed(rows.setdefault(IMPORT, Row()), command)
    corpus = read_corpus()
    with opened(load_settings(data_dir=ground.site.directory, env={})) as here:
        start = 10**6 + number * changed
        for batch in _batches(_mails(corpus.messages, changed, start)):
            deliver(here, batch)
    timed(rows.setdefault(CHANGED, Row()), backup)


def _can_import(site: Site) -> bool:
    from mairust_cli.tree import COMMANDS

    return "import" in COMMANDS and site.directory.exists()


def report(ground: Ground, rows: dict[str, Row], messages: int) -> int:
    """Print the table and the ratios; 0 when every goal is met."""
    heading = ("command", "seconds", "min..max", "CPU s", "messages/s", "PSS MB")
    print(render(heading, [_line(name, row, messages) for name, row in rows.items()]))
    files = (path for path in (ground.scratch / "repository-0").rglob("*") if path.is_file())
    size_bytes = sum(path.stat().st_size for path in files)
    packed = (ground.scratch / "0.tar.zst").stat().st_size
    mail_mb, repository_mb, tar_mb = (one / 1e6 for one in (ground.mail_bytes, size_bytes, packed))
    print(f"{mail_mb:.0f} MB of mail; repository {repository_mb:.0f} MB, tar {tar_mb:.0f} MB")
    goals = [Goal(f"{FIRST} / {TAR}", rows[FIRST].median / rows[TAR].median, FIRST_GOAL)]
    if RESTIC_SECOND in rows:
        goals.append(
            Goal(f"{SECOND} / {RESTIC_SECOND}", rows[SECOND].median / rows[RESTIC_SECOND].median, SECOND_GOAL)
        )
    if IMPORT in rows:
        goals.append(Goal(f"{RESTORE} / {IMPORT}", rows[RESTORE].median / rows[IMPORT].median, RESTORE_GOAL))
    peak = max(rows[name].peak_mb for name in (FIRST, SECOND, CHANGED))
    goals.append(Goal("peak PSS of a backup", peak, MEMORY_GOAL_MB, unit="MB"))
    goals.append(Goal("peak PSS of a restore", rows[RESTORE].peak_mb, MEMORY_GOAL_MB, unit="MB"))
    return verdict(goals)


def _line(name: str, row: Row, messages: int) -> tuple[object, ...]:
    spread = f"{min(row.seconds):.2f}..{max(row.seconds):.2f}"
    cpu = f"{statistics.median(row.cpu_s):.2f}"
    return name, f"{row.median:.2f}", spread, cpu, f"{messages / row.median:.0f}", f"{row.peak_mb:.0f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0 when every goal is met."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.backup", description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--changed", type=int, default=100, help="new messages before the third run")
    options: Any = parser.parse_args(arguments)
    scratch = Path(tempfile.mkdtemp(prefix="mairust-backup-", dir="/tmp"))
    ground = prepare(options.messages, scratch)
    print(
        f"{options.messages} messages, {options.rounds} rounds, in {scratch}; load {os.getloadavg()[0]:.1f}"
    )
    return report(ground, measure(ground, options.rounds, options.changed), options.messages)


if __name__ == "__main__":
    sys.exit(main())
