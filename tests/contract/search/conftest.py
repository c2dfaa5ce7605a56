"""A site on each database in turn with each engine, and a bag of letters in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mairust_core.app import Site, opened
from mairust_core.config import Settings
from mairust_core.first_run import create_site
from tests.support.searching import Mailbag


@pytest.fixture
def site(site_settings: Settings) -> Iterator[Site]:
    """An open site with nothing in it."""
    create_site(site_settings, "tester")
    with opened(site_settings) as made:
        yield made


@pytest.fixture
def ann(site: Site) -> Mailbag:
    """Ann's letters."""
    return Mailbag.of(site, "ann@example.org")
