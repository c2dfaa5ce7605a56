"""What the console script decides before anything is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mairust_cli import entry
from mairust_cli.options import global_params
from mairust_core.observe.collector import THRESHOLDS


@pytest.mark.parametrize(
    ("args", "command"),
    [
        (["deliver", "a@b.example"], "deliver"),
        (["--json", "deliver"], "deliver"),
        (["--config", "deliver", "serve"], "serve"),
        (["--data-dir=deliver", "domain", "list"], "domain"),
        (["--lang", "ja", "--quiet", "deliver", "--bad"], "deliver"),
        (["domain", "show", "deliver"], "domain"),
        (["--config"], ""),
        ([], ""),
    ],
)
def test_the_command_is_the_first_word_that_belongs_to_no_option(args: list[str], command: str) -> None:
    """`deliver` is known by its name also before its arguments are understood."""
    assert entry._command(args) == command


def test_every_global_option_with_a_value_is_known_to_the_entry() -> None:
    """A new global option cannot hide `deliver` behind its value."""
    valued = {name for param in global_params() if not param.is_flag for name in param.opts}
    assert valued == entry.WITH_VALUE


def test_cycles_are_looked_for_seldom() -> None:
    """A command holds many objects for a short while; no cycle among them is worth the search."""
    script = "import gc, sys\nfrom mairust_cli.entry import main\nmain()\nprint(gc.get_threshold())"
    done = subprocess.run([sys.executable, "-c", script, "--version"], capture_output=True, check=True)
    assert done.stdout.splitlines()[1] == repr(THRESHOLDS).encode()
