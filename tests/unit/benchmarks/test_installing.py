"""What the benchmark of installing has a server verify is what it takes in, and not one file more."""

from __future__ import annotations

import io

from mairust_core.plugins.manifest import on_paper
from mairust_core.plugins.package import read_package
from mairust_core.plugins.package.reading import USUAL
from tests.benchmarks.installing import CROWD, DIRECTORIES, OTHERS, crowded


def test_the_crowd_is_the_largest_that_is_taken_in() -> None:
    """Else the figure of its memory is that of a refusal."""
    assert len(read_package(io.BytesIO(crowded(CROWD)), on_paper()).files) == CROWD + 2
    assert CROWD + DIRECTORIES + len(OTHERS) == USUAL.files
