"""What authors of plugins copy into their own directories; nothing of it is imported by the server."""

from __future__ import annotations

from importlib.resources import files

MODULE = "mairust_plugin.py"


def module_text() -> str:
    """The module for plugins in Python: one file, without dependencies."""
    return files(__package__).joinpath(MODULE).read_text("utf-8")
