"""Reading YAML as far as a configuration needs it: mappings, lists of text, plain and quoted text.

Nothing is constructed: unquoted text stays text and the setting decides what it spells, so that
`listen: off` does not become a truth value. Aliases, and nesting that no setting has, are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from mairust_core.config.document import Document, KeyPath, bad_file
from mairust_core.config.kinds import Plain

_MAX_DEPTH = 6


def read_yaml(path: Path, text: str) -> Document:
    """The mappings of a YAML file; raises `BadConfig` with the line of the fault."""
    lines: dict[KeyPath, int] = {}
    try:
        _refuse_what_is_not_read(path, text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        why = error.problem or error.context or "not YAML"
        raise bad_file("yaml", path, mark.line + 1 if mark else None, why=why) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise bad_file("yaml", path, line, why=error.reason) from error
    if root is None or _is_empty(root):
        return Document(path=path, tree={}, lines=lambda: lines)
    if not isinstance(root, yaml.MappingNode):
        raise bad_file("yaml", path, _line(root), why="not a mapping")
    return Document(path=path, tree=_mapping(path, root, (), lines), lines=lambda: lines)


def _refuse_what_is_not_read(path: Path, text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = _line(event)
        if isinstance(event, yaml.AliasEvent):
            raise bad_file("yaml", path, line, why="aliases (*name) are not read here")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH:
            raise bad_file("too_deep", path, line)


def _mapping(
    path: Path, node: yaml.MappingNode, above: KeyPath, lines: dict[KeyPath, int]
) -> Mapping[str, object]:
    found: dict[str, object] = {}
    for name, value in node.value:
        line = _line(name)
        if not isinstance(name, yaml.ScalarNode):
            raise bad_file("yaml", path, line, why="a name must be plain text")
        key = (*above, name.value)
        if name.value in found:
            raise bad_file("duplicate", path, line, key, earlier=lines[key])
        lines[key] = line
        found[name.value] = _value(path, value, key, lines)
    return found


def _value(path: Path, node: yaml.Node, key: KeyPath, lines: dict[KeyPath, int]) -> object:
    if isinstance(node, yaml.MappingNode):
        return _mapping(path, node, key, lines)
    if isinstance(node, yaml.SequenceNode):
        return [_value(path, item, key, lines) for item in node.value]
    quoted = isinstance(node, yaml.ScalarNode) and node.style is not None
    return str(node.value) if quoted else Plain(node.value)


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style is None and not node.value


def _line(found: yaml.Node | yaml.Event) -> int:
    return found.start_mark.line + 1 if found.start_mark else 1
