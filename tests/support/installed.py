"""Extensions as if they were installed: what pip would have written, and the modules beside these."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path

from mairust_core.installed.extensions import Extensions

ACME = "tests.support.extensions.acme_mairust"
FAULTY = "tests.support.extensions.faulty_mairust"


def installed(
    directory: Path, points: Mapping[str, Mapping[str, str]], wanted: tuple[str, ...] | None = None
) -> Extensions:
    """The extensions of distributions with these entry points."""
    for name, targets in points.items():
        info = directory / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = "".join(f"{point} = {target}\n" for point, target in targets.items())
        (info / "entry_points.txt").write_text(f"[mairust]\n{lines}")
    found = [point for one in distributions(path=[str(directory)]) for point in one.entry_points]
    return Extensions(wanted, lambda: found)
