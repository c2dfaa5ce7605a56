"""What extensions offer by name, and may not all have: commands and routers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mairust_core.installed.extensions import Extensions
from mairust_core.installed.faults import NAME, Extension, FaultKind
from mairust_core.model.principal import ReachKind, Scope

if TYPE_CHECKING:
    from mairust_core.extend import ApiRouter

MAX_SUMMARY = 100
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedCommand:
    """A command of an extension: where its app is, as `module:object`, and the first line of its help."""

    extension: Extension
    target: str
    summary: str


def read_commands(found: Extensions) -> dict[str, OfferedCommand]:
    """The commands that extensions bring, by name; what is wrong with one is noted, and it is left out."""
    if not found.installed:
        return {}
    from mairust_core.extend import OUR_COMMANDS

    read: dict[str, OfferedCommand] = {}
    for extension, offered in found.each("commands"):
        if not isinstance(offered, Mapping):
            found.note(extension, FaultKind.ANSWER, f"commands: {type(offered).__name__} is no mapping")
            continue
        for name, told in offered.items():
            if lack := _misnamed(name, told):
                found.note(extension, FaultKind.ANSWER, f"commands: {lack}")
            elif name in OUR_COMMANDS:
                found.note(extension, FaultKind.TAKEN, f"the command {name} is one of MaiRust's own")
            elif name in read:
                why = f"{read[name].extension} has the command {name}, too"
                found.note(extension, FaultKind.TAKEN, why)
            else:
                read[name] = OfferedCommand(extension=extension, target=told[0], summary=told[1])
    return read


def _misnamed(name: object, told: object) -> str:
    """What is wrong with an item of `commands`, empty when it is as it should be."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        return f"{name!r} is no name of a command"
    if not isinstance(told, tuple | list) or len(told) != 2 or not all(isinstance(one, str) for one in told):
        return f"{name} is not followed by module:object and a line of help"
    if not _TARGET.fullmatch(told[0]):
        return f"{name}: {told[0]!r} is not module:object"
    if not told[1].isprintable() or not 0 < len(told[1]) <= MAX_SUMMARY:
        return f"{name}: its help is not one line of at most {MAX_SUMMARY} characters"
    return ""


def read_routers(found: Extensions) -> dict[str, tuple[Extension, ApiRouter]]:
    """The routers that extensions bring and whose they are, by name; what is wrong with one is noted."""
    if not found.installed:
        return {}
    from mairust_core.extend import ApiRouter

    read: dict[str, tuple[Extension, ApiRouter]] = {}
    for extension, one in found.each_of("api_routers", ApiRouter):
        if lack := _misrouted(one):
            found.note(extension, FaultKind.ANSWER, f"api_routers: {lack}")
        elif one.name in read:
            found.note(extension, FaultKind.TAKEN, f"{read[one.name][0]} has the router {one.name}, too")
        else:
            read[one.name] = extension, one
    return read


def _misrouted(one: ApiRouter) -> str:
    if not isinstance(one.name, str) or not NAME.fullmatch(one.name):
        return f"{one.name!r} is no name of a router"
    if not isinstance(one.scope, Scope) or not isinstance(one.reach, ReachKind):
        return f"{one.name}: its scope or its reach is none"
    return "" if callable(one.router) else f"{one.name}: {type(one.router).__name__} is no application"
