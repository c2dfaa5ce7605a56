"""Packages made, refused, installed and approved, in whatever Python runs this: `python -m … DIRECTORY`."""

from __future__ import annotations

import io
import json
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from mairust_core.app import opened
from mairust_core.config import load_settings
from mairust_core.errors import Invalid
from mairust_core.first_run import create_site
from mairust_core.model.package import CheckState
from mairust_core.model.trust import NewTrustKey
from mairust_core.plugins.manifest import on_paper
from mairust_core.plugins.package import keys, read_package
from mairust_core.plugins.package.checking import check
from mairust_core.services.plugins import Plugins
from mairust_core.services.trust import Trust
from tests.support.hostile import HOSTILE, SMALL
from tests.support.linking import TESTER
from tests.support.packages import ID, publish
from tests.support.packaging import install


def verified(package: Path, public: bytes) -> bool:
    """Whether nothing is wrong with a package, to who trusts this key."""
    with package.open("rb") as file:
        found = read_package(file, on_paper())
    outcomes = check(found, {keys.key_id(public): public}, [], datetime.now(UTC))
    return all(one.state is not CheckState.FAILED for one in outcomes)


def refusals() -> dict[str, str]:
    """Why each hostile archive is refused."""
    why = {}
    for name, (make, _) in HOSTILE.items():
        try:
            read_package(io.BytesIO(make()), on_paper(), SMALL)
        except Invalid as error:
            why[name] = error.detail
    return why


def main(directory: Path) -> None:
    """Tell as JSON what came of it all."""
    publish(directory / "published")
    package, root = directory / "published" / "spam.mairust-plugin", directory / "published" / "root.key.pub"
    settings = load_settings(data_dir=directory / "site", env={})
    create_site(settings, "tester")
    with opened(settings) as site:
        site.service(Trust, TESTER).add(NewTrustKey(name="Root", public_key=root.read_text()))
        waits = install(site, package.read_bytes())
        site.service(Plugins, TESTER).approve(ID)
        unpacked = site.unpacked.unpack(str(site.runnable(TESTER, ID).package))
        told = {
            "python": platform.python_version(),
            "verified": verified(package, keys.read_public(root.read_bytes())),
            "refused": refusals(),
            "installed": waits.state,
            "approved": site.service(Plugins, TESTER).show(ID).state,
            "unpacked": sorted(one.name for one in unpacked.iterdir()),
        }
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
