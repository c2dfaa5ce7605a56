"""How much plugins may keep with one message: 16 KiB and some names each, and so many in all (rule F2)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mairust_core.model.message_change import MAX_METADATA_BYTES, MAX_NAMESPACES

PLUGIN_NAMES = 32
"""Names that one plugin may use of a message's."""


def fitting(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """What of new metadata may be added to the old, null taking a name away; and the names that do not fit.

    One name is left for the reason of a quarantine.
    """
    after = dict(old)
    found: dict[str, Any] = {}
    left_out: list[str] = []
    for name, value in new.items():
        if value is None:
            after.pop(name, None)
            found[name] = None
        elif _fits(after, name, value):
            found[name] = after[name] = value
        else:
            left_out.append(name)
    return found, left_out


def _fits(after: Mapping[str, Any], name: str, value: Any) -> bool:
    if name not in after and len(after) >= MAX_NAMESPACES - 1:
        return False
    plugin, _, rest = name.removeprefix("plugin:").partition(":")
    if not rest:
        return True  # none of a plugin's own: ours
    prefix = f"plugin:{plugin}:"
    own = {key: kept for key, kept in after.items() if key.startswith(prefix)} | {name: value}
    if len(own) > PLUGIN_NAMES:
        return False
    return len(json.dumps(own, ensure_ascii=False).encode("utf-8", "replace")) <= MAX_METADATA_BYTES
