"""An open site on each database, as the services have it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mairust_core.app import Site, opened
from mairust_core.config import Settings
from mairust_core.first_run import create_site


@pytest.fixture
def site(site_settings: Settings) -> Iterator[Site]:
    """A site of one's own."""
    create_site(site_settings, "tester")
    with opened(site_settings) as made:
        yield made
