"""A package of 500 files and 5 MB, taken in by the API of a running site, beside tar, sha256sum and sync.

``python -m tests.benchmarks.installing [--database sqlite|postgresql|both] [--rounds 5]``

``install`` is one POST /plugins, from its first byte to its answer: verified, kept, durable. ``unpack`` is
what the node does next, once: the files out of the database into the data directory, verified again, durable.
``plugin upgrade`` is the command, which sends the same request to the same server, ``plugin show`` its
start-up: the same program with next to nothing to do.
Beside them ``tar xzf``, ``sha256sum -c`` and ``sync -f`` do the same for the files in one shell. All take
turns; each round has a version of its own; a row is the median of its rounds. Memory is the proportional set
size of the server, sampled every 50 ms, while it verifies the largest and the most hostile that it takes in.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from mairust_core.app import opened
from mairust_core.config import load_settings
from mairust_core.plugins.package.reading import USUAL
from mairust_core.plugins.unpacked import Unpacked
from mairust_core.services.plugins import PACKAGE
from tests.benchmarks.contenders import Engine, engines
from tests.benchmarks.memory import MEGABYTE, SETTLE_S, PeakMeter
from tests.benchmarks.servers import Server, clean_environment, python, running
from tests.benchmarks.sites import Site, mairust, make_site
from tests.benchmarks.table import Goal, render, verdict
from tests.support.linking import TESTER, manifest_text
from tests.support.packaging import Marketplace, Signing, made

FILES, FILE_BYTES = 500, 10_000
RATIO_GOAL, MEMORY_GOAL_MB = 3.0, 50.0
TIMEOUT_S = 120.0
DIRECTORIES = 97
OTHERS = ("plugin.toml", "plugin.sh", "manifest.json", "signatures", "signatures/marketplace.json")
"""What a package has besides the files of a measurement."""
ID = "com.example.large"
INSTALL, UNPACK, REFERENCE = "install", "unpack", "tar, sha256sum, sync"
COMMAND, START_UP = "plugin upgrade", "plugin show"
CROWD = USUAL.files - DIRECTORIES - len(OTHERS)
"""As many files as a package can have in so many directories, which count as well."""
MARKET = Marketplace()


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of the package, and what the reference needs to check it."""

    archive: Path
    sums: Path

    @classmethod
    def make(cls, scratch: Path, number: int, files: dict[str, bytes]) -> Version:
        """Write both."""
        data = made(manifest_text(ID, version=f"1.0.{number}"), Signing(key=MARKET.root), files)
        archive, sums = scratch / f"{number}.mairust-plugin", scratch / f"{number}.sums"
        archive.write_bytes(data)
        lines = (f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items())
        sums.write_text("".join(lines))
        return cls(archive=archive, sums=sums)


def content() -> dict[str, bytes]:
    """Files that do not shrink, as images and models do not."""
    dice = random.Random(6)
    return {f"lib/d{n % 20}/f{n}": dice.randbytes(FILE_BYTES) for n in range(FILES)}


class Client:
    """The administrator over HTTP."""

    def __init__(self, server: Server, site: Site) -> None:
        token = (site.directory / "admin.token").read_text().strip()
        self._url = f"http://{server.ready['http']}"
        self._environment = clean_environment() | {"MAIRUST_TOKEN": token}
        self._http = httpx.Client(
            base_url=f"{self._url}/api/v1",
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT_S,
        )

    def timed_command(self, *words: str) -> float:
        """Seconds of a command that talks to the server."""
        command = python("mairust_cli.entry", "--server", self._url, *words)
        began = time.perf_counter()
        subprocess.run(command, env=self._environment, check=True, capture_output=True, timeout=TIMEOUT_S)
        return time.perf_counter() - began

    def post(self, path: str, **more: Any) -> httpx.Response:
        """One request."""
        return self._http.post(path, **more)

    def install(self, data: bytes) -> httpx.Response:
        """Take in a package."""
        return self.post("/plugins", content=data, headers={"Content-Type": PACKAGE})


def timed_install(client: Client, version: Version) -> float:
    """Seconds until the answer."""
    data = version.archive.read_bytes()
    began = time.perf_counter()
    answer = client.install(data)
    took = time.perf_counter() - began
    answer.raise_for_status()
    if (state := answer.json()["state"]) != "enabled":
        raise RuntimeError(f"it is {state}")
    return took


def timed_unpack(site: Site, root: Path) -> float:
    """Seconds until the files of what runs are there, on a node that has none."""
    settings = load_settings(
        data_dir=site.directory, env={}, overrides={"database.url": site.database or None}
    )
    with opened(settings) as here:
        digest = here.runnable(TESTER, ID).package
        unpacked = Unpacked(here.storage, root)
        began = time.perf_counter()
        unpacked.unpack(str(digest))
        return time.perf_counter() - began


def timed_reference(version: Version, place: Path) -> float:
    """Seconds of the three programs, in one shell."""
    place.mkdir()
    script = f"tar xzf '{version.archive}' && sha256sum --quiet -c '{version.sums}' && sync -f ."
    began = time.perf_counter()
    subprocess.run(["sh", "-c", script], cwd=place, check=True)
    return time.perf_counter() - began


def measure(client: Client, site: Site, scratch: Path, rounds: int) -> dict[str, list[float]]:
    """All in turn; the first version is approved, and not counted."""
    files = content()
    first = Version.make(scratch, 0, files)
    client.install(first.archive.read_bytes()).raise_for_status()
    client.post(f"/plugins/{ID}/approve").raise_for_status()
    found: dict[str, list[float]] = {name: [] for name in (INSTALL, UNPACK, REFERENCE, COMMAND, START_UP)}
    for number in range(1, rounds + 1):
        version, again = (Version.make(scratch, 2 * number + one, files) for one in (0, 1))
        place = scratch / f"files{number}"
        if number % 2:
            found[REFERENCE].append(timed_reference(version, place))
        found[INSTALL].append(timed_install(client, version))
        found[UNPACK].append(timed_unpack(site, scratch / f"node{number}"))
        if not number % 2:
            found[REFERENCE].append(timed_reference(version, place))
        found[START_UP].append(client.timed_command("plugin", "show", ID))
        found[COMMAND].append(client.timed_command("plugin", "upgrade", str(again.archive)))
    return found


def crowded(count: int) -> bytes:
    """A package of so many empty files."""
    many = {f"d{n % DIRECTORIES}/{'x' * 80}{n}": b"" for n in range(count)}
    return made(manifest_text("com.example.many"), Signing(key=MARKET.root), many)


def heavy() -> dict[str, tuple[bytes, int]]:
    """What takes most to verify, and how it is answered."""
    dice = random.Random(7)
    signing = Signing(key=MARKET.root)
    large = {f"f{n}": dice.randbytes(1 << 20) for n in range(60)}
    zeros = {f"z{n}": bytes(1 << 22) for n in range(60)}
    return {
        "60 MiB": (made(manifest_text("com.example.big"), signing, large), 201),
        f"{CROWD} files": (crowded(CROWD), 201),
        "a bomb": (made(manifest_text("com.example.bomb"), signing, zeros), 422),
    }


def most_memory(client: Client, server: Server) -> tuple[dict[str, float], list[str]]:
    """How far beyond idle the server went for each, in MB; and answers that were not as they should."""
    found, wrong = {}, []
    for name, (data, status) in heavy().items():
        time.sleep(SETTLE_S)
        idle = PeakMeter.now(server)
        with PeakMeter(server) as meter:
            answer = client.install(data)
        found[name] = (meter.peak_bytes - idle) / MEGABYTE
        if answer.status_code != status:
            wrong.append(f"{name} was answered with {answer.status_code}: {answer.text[:200]}")
    return found, wrong


def compare(engine: Engine, rounds: int) -> int:
    """Measure one engine and print; 0 when all goals are met."""
    scratch = Path(tempfile.mkdtemp(prefix="mairust-installing-", dir="/tmp"))
    site = Site(directory=scratch / "site", database=engine.fresh())
    make_site(site, 1)
    settings = load_settings(
        data_dir=site.directory, env={}, overrides={"database.url": site.database or None}
    )
    with opened(settings) as here:
        MARKET.trusted_on(here)
    listeners = ("--smtp", "off", "--lmtp", "off", "--http", "127.0.0.1:0")
    quiet = {"MAIRUST_TELEMETRY__LOG_LEVEL": "warning"}
    command = mairust(site, "serve", "--json", *listeners)
    with running(command, scratch / "run", site.environment() | quiet) as server:
        client = Client(server, site)
        found = measure(client, site, scratch, rounds)
        memory, wrong = most_memory(client, server)
    return report(engine, found, memory, wrong)


def report(
    engine: Engine, found: dict[str, list[float]], memory: dict[str, float], wrong: Sequence[str]
) -> int:
    """Print tables and goals."""
    print(f"\n{engine.name}: {FILES} files of {FILE_BYTES} bytes")
    rows = [
        (name, *(f"{1000 * figure(times):.0f}" for figure in (statistics.median, min, max)))
        for name, times in found.items()
    ]
    print(render(("", "median ms", "min", "max"), rows))
    command, start_up, request = (statistics.median(found[one]) for one in (COMMAND, START_UP, INSTALL))
    print(f"the command adds {1000 * (command - request):.0f} ms; its start-up is {1000 * start_up:.0f} ms")
    print(render(("beyond idle", "MB"), [(name, f"{used:.1f}") for name, used in memory.items()]))
    reference = statistics.median(found[REFERENCE])
    both = [sum(pair) for pair in zip(found[INSTALL], found[UNPACK], strict=True)]
    return verdict(
        [
            Goal("install / reference", statistics.median(found[INSTALL]) / reference, RATIO_GOAL),
            Goal("install and unpack / reference", statistics.median(both) / reference, RATIO_GOAL),
            Goal("memory while verifying, beyond idle", max(memory.values()), MEMORY_GOAL_MB, unit="MB"),
        ],
        wrong,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0 when all goals are met."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.installing", description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    failed = 0
    with engines(options.database) as found:
        for engine in found:
            failed |= compare(engine, options.rounds)
    return failed


if __name__ == "__main__":
    sys.exit(main())
