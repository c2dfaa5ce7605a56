"""A site to examine, on SQLite, and short words for what is found."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mairust_core.config import Settings, load_settings
from mairust_core.doctor import examine
from mairust_core.first_run import create_site
from mairust_core.model.finding import Finding

Examine = Callable[..., dict[str, Finding]]


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a fresh site, to be copied."""
    directory = tmp_path_factory.mktemp("fresh") / "site"
    create_site(load_settings(data_dir=directory, env={}), "tester")
    return directory


@pytest.fixture
def data_dir(tmp_path: Path, fresh: Path) -> Path:
    """The data directory of a fresh site."""
    shutil.copytree(fresh, tmp_path / "the site")
    return tmp_path / "the site"


@pytest.fixture
def found(data_dir: Path) -> Examine:
    """What is found on that site, by id; settings by keyword, as `smtp__listen="…"`."""

    def ids(lang: str = "en", **given: object) -> dict[str, Finding]:
        def load() -> Settings:
            overrides = {name.replace("__", "."): value for name, value in given.items()}
            return load_settings(data_dir=data_dir, env={}, overrides=overrides)

        return {one.id: one for one in examine(load, lang).findings}

    return ids
