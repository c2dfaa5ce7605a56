"""A manifest written as a `plugin.toml` again: for what is linked, of which the site keeps no file."""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from typing import Any

import tomlkit

from mairust_core.model.hook import Filter, Hook
from mairust_core.model.plugin import Entry, Limits, Manifest, Permissions, Protocol

_OF = {
    Protocol.STDIN: ("protocol", "command", "mode", "max_calls"),
    Protocol.INPROCESS: ("protocol", "endpoint"),
}
_ENDPOINTS = ("protocol", "endpoint", "health_endpoint")


def toml_text(manifest: Manifest) -> str:
    """The `plugin.toml` that says exactly this; without what is as it is by itself."""
    document = tomlkit.document()
    for name in ("id", "version", "name", "author", "description", "license", "homepage"):
        if value := getattr(manifest, name):
            document[name] = value
    compat = {name: value for name in ("mairust_min", "mairust_max") if (value := getattr(manifest, name))}
    if compat:
        document["compat"] = compat
    document["entry"] = _entry(manifest.entry)
    if permissions := _given(manifest.permissions, Permissions()):
        document["permissions"] = permissions
    if limits := _given(manifest.limits, Limits()):
        document["limits"] = limits
    if manifest.hooks:
        document["hooks"] = tomlkit.aot()
        for hook in manifest.hooks:
            document["hooks"].append(_table(_hook(hook)))
    return tomlkit.dumps(document)


def _entry(entry: Entry) -> dict[str, Any]:
    names = _OF.get(entry.protocol, _ENDPOINTS)
    return {name: _plain(value) for name in names if (value := getattr(entry, name))}


def _hook(hook: Hook) -> dict[str, Any]:
    names = ("name", "type", "priority", "timeout_ms", "on_timeout", "on_error")
    told = {name: _plain(getattr(hook, name)) for name in names}
    wanted = _given(hook.filter, Filter())
    return {**told, "filter": wanted} if wanted else told


def _given(value: Any, usual: Any) -> dict[str, Any]:
    """The members of a dataclass that are not as usual."""
    given = {one.name: getattr(value, one.name) for one in fields(value)}
    return {name: _plain(one) for name, one in given.items() if one != getattr(usual, name)}


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def _table(values: dict[str, Any]) -> Any:
    table = tomlkit.table()
    for name, value in values.items():
        if isinstance(value, dict):
            inline = tomlkit.inline_table()
            inline.update(value)
            value = inline
        table[name] = value
    return table
