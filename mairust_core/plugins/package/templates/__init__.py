"""What a new plugin begins with: small, whole, and working as it stands.

Files that end with `.template` are written without that; `@ID@`, `@NAME@` and `@TEMPLATE@` are filled in.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from enum import StrEnum
from importlib.resources import files
from pathlib import Path

from mairust_core.errors import Conflict
from mairust_core.plugins.for_authors import MODULE, module_text

SUFFIX = ".template"
EXECUTABLE = 0o755


class Template(StrEnum):
    """How the plugin is asked, and in which language it is written."""

    STDIN_PYTHON = "stdin-python"
    STDIN_SHELL = "stdin-shell"
    HTTP = "http"

    @property
    def is_python(self) -> bool:
        """Whether the module for authors comes along."""
        return self is not Template.STDIN_SHELL


def make(directory: Path, template: Template, id_: str, name: str) -> tuple[str, ...]:
    """Begin a plugin in a directory that is not there, or is empty; the names of its files.

    Raises `Conflict` for a directory with something in it, `OSError`.
    """
    there = directory.is_dir()
    if directory.exists() and (not there or any(directory.iterdir())):
        raise Conflict("plugin_directory", path=directory)
    directory.mkdir(parents=True, exist_ok=True)
    try:
        return tuple(
            sorted(_write(directory, template, {"ID": id_, "NAME": name, "TEMPLATE": template.value}))
        )
    except BaseException:
        if not there:
            shutil.rmtree(directory)
        raise


def _write(directory: Path, template: Template, values: Mapping[str, str]) -> Iterator[str]:
    for name, text in _texts(template):
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        path = directory / name
        path.write_text(text, "utf-8")
        if text.startswith("#!"):
            path.chmod(EXECUTABLE)
        yield name


def _texts(template: Template) -> Iterator[tuple[str, str]]:
    place = files(__package__)
    own = place.joinpath(template.value.replace("-", "_"))
    for one in (place.joinpath("README.md" + SUFFIX), *own.iterdir()):
        yield one.name.removesuffix(SUFFIX), one.read_text("utf-8")
    if template.is_python:
        yield MODULE, module_text()
