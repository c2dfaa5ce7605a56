"""All settings by key, in the order of the sections, read off their declarations."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from mairust_core.config.setting import Declared
from mairust_core.config.settings import Settings

ENV_PREFIX = "MAIRUST_"
ENV_SEPARATOR = "__"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One setting: `section` is dotted (`blobs.s3`), `name` the field in it."""

    section: str
    name: str
    declared: Declared

    def __str__(self) -> str:
        """The key as files and people spell it: `smtp.listen`."""
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return ENV_PREFIX + str(self).upper().replace(".", ENV_SEPARATOR)


@cache
def keys() -> dict[str, Key]:
    """Every setting by its dotted key."""
    return {str(key): key for section, cls in sections().items() for key in _keys_of(section, cls)}


@cache
def sections() -> dict[str, type]:
    """Every section's dataclass by its dotted name, a section before those inside it."""
    return dict(_sections_of(Settings, ""))


def names_in(section: str) -> list[str]:
    """What may stand in a section: its settings, then the sections inside it; "" is the top of the file."""
    inside = [name for name in sections() if name.rpartition(".")[0] == section]
    settings = [key.name for key in keys().values() if key.section == section]
    return settings + [name.rpartition(".")[2] for name in inside]


def _sections_of(cls: type, prefix: str) -> Iterator[tuple[str, type]]:
    for field in dataclasses.fields(cls):
        if inner := field.metadata.get("section"):
            yield prefix + field.name, inner
            yield from _sections_of(inner, f"{prefix}{field.name}.")


def _keys_of(section: str, cls: type) -> Iterator[Key]:
    for field in dataclasses.fields(cls):
        if declared := field.metadata.get("setting"):
            yield Key(section=section, name=field.name, declared=declared)
