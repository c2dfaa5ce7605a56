"""What a plugin is called: its id, its version, the names of its hooks (rules G5, J5)."""

from __future__ import annotations

import re
from collections.abc import Iterable

import semver

from mairust_core.errors import Invalid
from mairust_core.model.hook import HookType

MAX_ID_LENGTH = 100
MAX_NAME_LENGTH = 200
RESERVED = "mairust"
"""Ids below it are those of our own plugins (rule G5)."""

_ID = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*(?:\.[a-z0-9]+(?:-[a-z0-9]+)*)+")
_HOOK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def is_id(text: str) -> bool:
    """Whether it is a domain backwards, such as `com.example.spam`: never a path, never two ways to write."""
    return len(text) <= MAX_ID_LENGTH and _ID.fullmatch(text) is not None


def is_reserved(id_: str) -> bool:
    """Whether it is an id of ours."""
    return id_.partition(".")[0] == RESERVED


def require_id(text: str, *, new: bool = False) -> None:
    """Raise `Invalid` for what is no id, or for a new plugin one of ours."""
    if not is_id(text) or (new and is_reserved(text)):
        raise Invalid("id", "not_plugin_id", value=repr(text[:80]), limit=MAX_ID_LENGTH)


def version(text: str) -> semver.Version | None:
    """The version by Semantic Versioning 2.0.0; None when it is none."""
    try:
        return semver.Version.parse(text)
    except (ValueError, TypeError):
        return None


def fits(program: str, low: str, high: str) -> bool:
    """Whether a version of MaiRust is within both bounds, which count as within; an empty one is none."""
    have = semver.Version.parse(program)
    return (not low or have >= semver.Version.parse(low)) and (not high or have <= semver.Version.parse(high))


def is_hook_name(text: str, plugin: str) -> bool:
    """Whether a hook of this plugin may be called so: a word, or `ID:WORD` with its own id (rule J5)."""
    if len(text) > MAX_NAME_LENGTH:
        return False
    owner, colon, rest = text.partition(":")
    if not colon:
        return _HOOK.fullmatch(text) is not None
    return owner == plugin and all(_HOOK.fullmatch(part) for part in rest.split(":"))


def hook_names(plugin: str, hooks: Iterable[tuple[str, HookType]]) -> list[str]:
    """The names of hooks, given what each calls itself (or nothing) and its type (rule J5).

    The first without a name is `ID:TYPE`, the second of that type `ID:TYPE:2`.
    """
    counts: dict[HookType, int] = {}
    names = []
    for own, type_ in hooks:
        counts[type_] = counts.get(type_, 0) + 1
        number = f":{counts[type_]}" if counts[type_] > 1 else ""
        names.append(own or f"{plugin}:{type_.value}{number}")
    return names
