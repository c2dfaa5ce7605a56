"""An environment in which pip installed a sound distribution and a faulty one, and a site that uses them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.e2e.docs.shell import Reader, Running, reader, serving, with_tools
from tests.support.wheels import build_wheel, make_environment

FAULTY = (
    "nowhere",
    "raising",
    "exiting",
    "needing",
    "misnaming",
    "misreading",
    "wrapping",
    "empty",
    "failing",
    "greedy",
    "unroutable",
)
"""Modules of the faulty distribution."""
CONFIG = """\
[database]
url = "acme:///{directory}/acme.db"

[blobs]
driver = "acme"
options = {{ directory = "{directory}/acme-blobs" }}

[search]
engine = "acme"

[search.options]
file = "{directory}/acme-index"

[plugins]
allow_unsigned = true
"""


@dataclass(frozen=True, kw_only=True)
class House:
    """Somebody with that environment, a server that runs there, and what it said."""

    who: Reader
    server: Running
    client: httpx.Client

    @property
    def data_dir(self) -> Path:
        """Where the site is."""
        return self.who.home / ".local/share/mairust"

    def mairust(self, call: str) -> str:
        """What a command prints."""
        return self.who.types(f".venv/bin/mairust {call}")

    @property
    def log(self) -> str:
        """What the server said."""
        return (self.who.directory / "serve.stderr").read_text()


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of the environment."""
    directory = tmp_path_factory.mktemp("extensions")
    faulty = {name: f"faulty_mairust.{name}" for name in FAULTY}
    wheels = (
        build_wheel(directory, "acme_mairust", {"acme": "acme_mairust"}),
        build_wheel(directory, "faulty_mairust", faulty, version="6.6"),
    )
    return make_environment(directory / "venv", *wheels)


@pytest.fixture(scope="module")
def house(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A site whose database, blobs and index are an extension's, served by two workers."""
    who = with_tools(reader(tmp_path_factory.mktemp("acme")), python)
    data_dir = who.home / ".local/share/mairust"
    data_dir.mkdir(mode=0o700, parents=True)
    (data_dir / "mairust.toml").write_text(CONFIG.format(directory=data_dir))
    os.chmod(data_dir / "mairust.toml", 0o600)
    with serving(who, ".venv/bin/mairust serve --workers 2") as server:
        key = (data_dir / "admin.token").read_text().strip()
        with httpx.Client(
            base_url=f"http://127.0.0.1:{server.http}/api/v1/",
            headers={"authorization": f"Bearer {key}"},
            trust_env=False,
            timeout=60,
        ) as client:
            found = House(who=who, server=server, client=client)
            found.mairust("domain add example.org")
            found.mairust("account add ann@example.org")
            yield found
