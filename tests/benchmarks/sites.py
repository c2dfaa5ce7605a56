"""MaiRust sites for benchmarks: made once through the command line, copied afresh for each round."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.servers import CHECKOUT, Server, ServerFailed, clean_environment, python, running

DOMAIN = "example.org"
MAKERS = 2
"""Commands at a time while accounts are made: each is a process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A data directory with accounts, and its database's URL when that is not the embedded one."""

    directory: Path
    database: str | None = None

    def environment(self) -> dict[str, str]:
        """The settings that point MaiRust at this site's database."""
        return {"MAIRUST_DATABASE__URL": self.database} if self.database else {}


def addresses(count: int) -> list[str]:
    """The accounts of a site of ``count``."""
    return [f"account{number}@{DOMAIN}" for number in range(count)]


def mairust_exists() -> bool:
    """Whether this checkout has a MaiRust to measure."""
    try:
        return importlib.util.find_spec("mairust_cli.entry") is not None
    except ModuleNotFoundError:
        return False


def mairust(site: Site, *arguments: object) -> list[str]:
    """The command line of one MaiRust command on a site."""
    return python("mairust_cli.entry", "--data-dir", site.directory, *arguments)


def make_site(site: Site, accounts: int) -> None:
    """Make a site with ``accounts`` accounts, as a user would.

    Raises: ServerFailed with the command's own words.
    """
    _command(site, "init", *(["--database", site.database] if site.database else []))
    _command(site, "domain", "add", DOMAIN)
    with ThreadPoolExecutor(MAKERS) as pool:
        list(pool.map(lambda address: _command(site, "account", "add", address), addresses(accounts)))


def copy_site(site: Site, directory: Path, database: str | None) -> Site:
    """Copy a site nobody serves; ``database`` is the copy's own, made from the original's."""
    shutil.copytree(site.directory, directory)
    return Site(directory=directory, database=database)


@contextlib.contextmanager
def serving(site: Site, workers: int = 1, options: Sequence[str] = ()) -> Iterator[Server]:
    """Serve a site on free loopback ports, SMTP only."""
    listeners = ("--smtp", "127.0.0.1:0", "--lmtp", "off", "--http", "off")
    command = mairust(site, "serve", "--json", *listeners, "--workers", workers, *options)
    with running(
        command, site.directory.with_name(site.directory.name + "-run"), site.environment()
    ) as server:
        yield server


def _command(site: Site, *arguments: object) -> None:
    done = subprocess.run(
        mairust(site, *arguments),
        env=clean_environment(site.environment()),
        capture_output=True,
        cwd=CHECKOUT,
        check=False,
    )
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip()
        raise ServerFailed(f"mairust {' '.join(map(str, arguments))}: exit {done.returncode}: {words}")


if __name__ == "__main__":
    make_site(Site(directory=Path(sys.argv[1])), int(sys.argv[2]))
