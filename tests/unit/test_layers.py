"""Imports point down only: the rooms of `docs/architecture.md`, checked on every file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
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
        "config disk durable extend i18n ids installed items networks private_socket model observe operations"
        " ownership running tls wire wire_misfits errors",
    )
)
GROUND = FLOORS[-1]
RANK = {room: rank for rank, floor in enumerate(FLOORS) for room in floor}


def _room(path: Path) -> str:
    return path.relative_to(CORE).parts[0].removesuffix(".py")


def _imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every import that happens at run time, also inside functions; not those for the type checker."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        yield from _imports(node)


def _files() -> list[Path]:
    return sorted(path for path in CORE.rglob("*.py") if path.parent != CORE or path.name != "__init__.py")


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(CORE)))
def test_a_room_uses_only_rooms_below_it(path: Path) -> None:
    """No file imports from its own floor's neighbours or from above, nor anything of the command line."""
    room = _room(path)
    wrong = []
    for line, name in _imports(ast.parse(path.read_text())):
        parts = name.split(".")
        if parts[0] in {"mairust_cli", "plugins_builtin", "tests"}:
            wrong.append(f"line {line}: {name}")
        if parts[0] != "mairust_core" or len(parts) < 2 or parts[1] == "__version__":
            continue
        target = parts[1]
        down = RANK[target] > RANK[room] or target == room
        if not down and not (room in GROUND and target in GROUND):
            wrong.append(f"line {line}: {name}")
    assert wrong == []


def test_every_room_has_its_floor() -> None:
    """A new room is placed on purpose, not by accident."""
    rooms = {_room(path) for path in _files()}
    assert rooms <= set(RANK)
