"""Imports point down only: the rooms of `docs/architecture.md`, checked on every file."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "mairust_core"

# From the top of the house to the ground; what stands in one line knows nothing of its neighbours.
FLOORS: tuple[frozenset[str], ...] = tuple(
    frozenset(line.split())
    for line in (
        "serve",
        "restore",
        "deliver first_run",
        "api remote",
        "app remote_http",
        "plugin_parts chores smtp",
        "services",
        "backup",
        "doctor",
        "receive",
        "plugins",
        "access jobs vault",
        "hooks",
        "sandbox",
        "search",
        "store",
        "blobs",
        "transfer",
        "mime",
        "config disk durable extend i18n ids installed items networks private_socket model"
        " observe operations ownership running shortage tls wire errors",
    )
)
HOLDING = ("body", "handlers", "cases", "orelse", "finalbody")
"""Where a statement has others inside; values, which are the most of a tree, are not walked."""
GROUND = FLOORS[-1]
RANK = {room: rank for rank, floor in enumerate(FLOORS) for room in floor}


def _room(path: Path) -> str:
    return path.relative_to(CORE).parts[0].removesuffix(".py")


def _imports(statements: Iterable[ast.AST]) -> Iterator[tuple[int, str]]:
    """Every import that happens at run time, also inside functions; not those for the type checker."""
    for node in statements:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        for part in HOLDING:
            inside = getattr(node, part, ())
            yield from _imports(inside if isinstance(inside, list) else ())


def _files() -> list[Path]:
    return sorted(path for path in CORE.rglob("*.py") if path.parent != CORE or path.name != "__init__.py")


def _wrong(room: str, source: str) -> Iterator[str]:
    """The imports that a file of this room should not have."""
    for line, name in _imports(ast.parse(source).body):
        parts = name.split(".")
        if parts[0] in {"mairust_cli", "plugins_builtin", "tests"}:
            yield f"line {line}: {name}"
        if parts[0] != "mairust_core" or len(parts) < 2 or parts[1] == "__version__":
            continue
        target = parts[1]
        down = RANK[target] > RANK[room] or target == room
        if not down and not (room in GROUND and target in GROUND):
            yield f"line {line}: {name}"


def test_a_room_uses_only_rooms_below_it() -> None:
    """No file imports from its own floor's neighbours or from above, nor anything of the command line."""
    wrong = [
        f"{path.relative_to(CORE)}: {one}"
        for path in _files()
        for one in _wrong(_room(path), path.read_text("utf-8"))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "holder",
    [
        "{}",
        "def f():\n {}",
        "class C:\n async def f(self):\n  {}",
        "if a:\n pass\nelif b:\n {}",
        "for a in b:\n pass\nelse:\n {}",
        "with a:\n {}",
        "try:\n pass\nexcept E:\n {}",
        "try:\n pass\nfinally:\n {}",
        "match a:\n case b:\n  {}",
        "a = lambda: b\nwhile a:\n {}",
    ],
)
def test_an_import_is_seen_wherever_it_stands(holder: str) -> None:
    """In functions, branches and handlers; not under the flag for the type checker."""
    assert [*_wrong("mime", holder.format("from mairust_core.store import tables"))]
    assert [*_wrong("mime", holder.format("import mairust_cli"))]
    assert not [*_wrong("mime", f"if TYPE_CHECKING:\n import mairust_cli\n{holder.format('import re')}")]


def test_every_room_has_its_floor() -> None:
    """A new room is placed on purpose, not by accident."""
    rooms = {_room(path) for path in _files()}
    assert rooms <= set(RANK)
