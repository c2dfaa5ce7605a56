"""Sites in directories, commands run on them as processes, and what they must leave behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mairust_core.app import opened
from tests.support import forks
from tests.support.server import Site, clean_environment, command_line
from tests.support.sites import furnish, make_site

TIMEOUT_S = 300.0

Crash = Callable[..., int]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A furnished site on SQLite that is only copied."""
    made = Site(directory=tmp_path_factory.mktemp("template") / "site")
    make_site(made.settings())
    with opened(made.settings()) as here:
        furnish(here, 40)
    return made


@pytest.fixture
def site(tmp_path: Path, template: Site) -> Site:
    """A furnished site on SQLite."""
    shutil.copytree(template.directory, tmp_path / "site")
    return Site(directory=tmp_path / "site")


def crash(site: Site, step: str, *arguments: object) -> int:
    """Run a command that kills itself at a step; its exit code."""
    done = forks.run(
        command_line(site, *arguments),
        env=clean_environment({**site.environment, "MAIRUST_CRASH_AT": step}),
        timeout=TIMEOUT_S,
    )
    return done.returncode


def must(site: Site, *arguments: object) -> bytes:
    """Run a command that has to succeed; what it printed."""
    done = site.command(*arguments)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
