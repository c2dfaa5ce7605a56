"""The room of hooks: what decides does no input and output, and every file of it is named."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import mairust_core.hooks as room

FILES = {path.name: path for path in Path(room.__file__).parent.glob("*.py") if path.name != "__init__.py"}
ABOUT = room.__doc__ or ""
DECIDING = re.findall(r"(\w+\.py)", ABOUT.partition("Asking:")[0])
OUTSIDE = {"asyncio", "aiohttp", "socket", "threading", "subprocess", "sqlalchemy"}


def test_every_file_is_named_once() -> None:
    """In the table that the room begins with."""
    assert sorted(re.findall(r"(\w+\.py)", ABOUT)) == sorted(FILES)


@pytest.mark.parametrize("name", DECIDING)
def test_what_decides_touches_nothing(name: str) -> None:
    """Neither a loop nor a thread, a socket or the store."""
    for node in ast.walk(ast.parse(FILES[name].read_text("utf-8"))):
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for one in names:
            assert one.partition(".")[0] not in OUTSIDE, one
            assert not one.startswith("mairust_core.store"), one
