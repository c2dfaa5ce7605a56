"""The how-to of extensions: its files written as they stand, its commands typed, its route asked."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from tests.e2e.docs.shell import reader, serving, with_tools
from tests.support import docs
from tests.support.docs import CHECKOUT
from tests.support.wheels import install, make_environment, wheel_of

PAGE = CHECKOUT / "docs" / "how-to" / "write-an-extension.md"
ANN = "ann@example.org"


def test_the_how_to_of_extensions_works(tmp_path: Path) -> None:
    """Its distribution in a fresh environment, though not by hatchling; then everything that is typed."""
    files = dict(
        re.findall(r"`hello/(\S+)`[^`]*?:\n\n```\w+\n(.*?)```\n", PAGE.read_text("utf-8"), re.DOTALL)
    )
    project = tomllib.loads(files.pop("pyproject.toml"))["project"]
    assert len(files) == 3
    data = {name: text.encode() for name, text in files.items()}
    wheel = wheel_of(tmp_path, project["name"], project["version"], project["entry-points"]["mairust"], data)
    python = make_environment(tmp_path / "venv")
    install(python, wheel)
    who = with_tools(reader(tmp_path), python)
    with serving(who, ".venv/bin/mairust serve") as server:
        who.types(
            f".venv/bin/mairust domain add example.org && .venv/bin/mairust account add {ANN}\n"
            'cp "$HOME/.local/share/mairust/admin.token" .'
        )
        typed = "".join(block.text for block in docs.blocks(PAGE, "sh"))
        read = who.types('export PATH="$PWD/.venv/bin:$PATH"\n' + server.in_place(typed))
        assert who.types(".venv/bin/mairust hello") == "Hello, example.org\n"
    assert "Greet the domains of the site." in read
    assert '["Hello, example.org"]' in read
    assert read.count("hello-mairust 1.0") == 1
    assert re.search(r"tags?.*hello", read)
