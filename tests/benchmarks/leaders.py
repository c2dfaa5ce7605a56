"""MaiRust beside Postfix and Dovecot: mail delivered per second, from SMTP and from LMTP.

``python -m tests.benchmarks.leaders [--rounds 5] [--seconds 4]``

Postfix answers 250 when a mail is queued and delivers it later, so its row counts until its queue is empty;
the other rows count answers, which come when the mail is delivered. All are driven with the same mail over
fifty kept connections, in rotating order; what Dovecot holds in the end has to be what was accepted. It needs
``apt-get install postfix dovecot-lmtpd``, root, and says so where they are missing.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.benchmarks import postfix_dovecot
from tests.benchmarks.contenders import Contender, Engine, Load, Sample
from tests.benchmarks.corpus import read_corpus, save_messages
from tests.benchmarks.ingest import HEADING, measure, median, row
from tests.benchmarks.servers import Server, ServerFailed
from tests.benchmarks.sites import Site, addresses, copy_site, make_site, serving
from tests.benchmarks.table import Goal, render, verdict
from tests.support.processes import cpu_seconds

POSTFIX, DOVECOT = "Postfix -> Dovecot", "Dovecot LMTP"
OURS, OURS_LMTP = "MaiRust SMTP", "MaiRust LMTP"
ACCOUNTS = 100
GOALS = ((OURS, POSTFIX, 10.0), (OURS_LMTP, DOVECOT, 4.0))

_NO_DATABASE = Engine(name="none")


def from_postfix(load: Load) -> Contender:
    """Postfix that hands its mail to Dovecot, until the last mail is delivered."""

    def run(directory: Path) -> Sample:
        store, queue = directory / "dovecot", directory / "postfix"
        with (
            postfix_dovecot.dovecot(store) as dovecot,
            postfix_dovecot.postfix(queue, store / "lmtp") as server,
        ):
            begun, before = time.perf_counter(), _spent(server, dovecot)
            sample = load.drive(server, _NO_DATABASE)
            took_s = postfix_dovecot.drain(queue) - begun
            spent_s = _spent(server, dovecot) - before
            accepted = _proved(store, sample.accepted)
        return replace(sample, rate=accepted / took_s, cpu_us=spent_s / accepted * 1e6)

    return run


def from_dovecot(load: Load) -> Contender:
    """Dovecot's LMTP alone."""

    def run(directory: Path) -> Sample:
        with postfix_dovecot.dovecot(directory) as server:
            sample = replace(load, lmtp=True).drive(server, _NO_DATABASE)
            _proved(directory, sample.accepted)
        return sample

    return run


def ours(load: Load, site: Site, *, lmtp: bool) -> Contender:
    """MaiRust with one worker on SQLite, by SMTP or by LMTP."""

    def run(directory: Path) -> Sample:
        options = ("--lmtp", "127.0.0.1:0") if lmtp else ()
        with serving(copy_site(site, directory, None), options=options) as server:
            driven = Server(server.pid, {"smtp": server.ready["lmtp"]}) if lmtp else server
            return replace(load, lmtp=lmtp).drive(driven, _NO_DATABASE)

    return run


def _spent(*servers: Server) -> float:
    return cpu_seconds([pid for server in servers for pid in server.processes()])


def _proved(store: Path, accepted: int) -> int:
    """The number accepted; raises `ServerFailed` when Dovecot does not hold as many."""
    kept = postfix_dovecot.kept(store, addresses(ACCOUNTS))
    if kept != accepted:
        raise ServerFailed(f"{accepted} mails were accepted, Dovecot holds {kept}")
    return accepted


def report(samples: dict[str, list[Sample]]) -> int:
    """Print the table and the ratios; 0 when every goal is met."""
    print(render(HEADING, [row(name, rounds) for name, rounds in samples.items()]))
    rate = {name: median(rounds, "rate") for name, rounds in samples.items()}
    goals = [Goal(f"{us} / {them}", rate[us] / rate[them], goal, at_least=True) for us, them, goal in GOALS]
    refusing = [name for name, rounds in samples.items() if any(sample.refused for sample in rounds)]
    return verdict(goals, [f"{name} refused mail" for name in refusing])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0 when every goal is met, or the two are not here, 1 when one is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.leaders", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of load per round")
    parser.add_argument("--connections", type=int, default=50)
    options: Any = parser.parse_args(arguments)
    if why := postfix_dovecot.missing():
        print(f"not measured: {why}")
        return 0
    scratch = Path(tempfile.mkdtemp(prefix="mairust-leaders-", dir="/tmp"))
    scratch.chmod(0o755)  # Postfix and Dovecot become other users
    save_messages(read_corpus().messages, scratch / "messages")
    load = Load(
        messages=scratch / "messages",
        accounts=ACCOUNTS,
        connections=options.connections,
        seconds=options.seconds,
        pipelining="auto",
    )
    site = Site(directory=scratch / "site")
    make_site(site, ACCOUNTS)
    rows = {
        POSTFIX: from_postfix(load),
        OURS: ours(load, site, lmtp=False),
        DOVECOT: from_dovecot(load),
        OURS_LMTP: ours(load, site, lmtp=True),
    }
    return report(measure(rows, options.rounds, scratch))


if __name__ == "__main__":
    raise SystemExit(main())
