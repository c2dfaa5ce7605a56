"""The settings in force as data that may be shown: what `mairust config show` prints."""

from __future__ import annotations

from dataclasses import dataclass

from mairust_core.config.origin import Origin
from mairust_core.config.schema import Key, keys
from mairust_core.config.settings import Settings

Shown = str | int | bool | list[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """One setting: `value` as a file would give it, secrets masked, and where it comes from."""

    key: str
    value: Shown
    origin: Origin


def effective(settings: Settings) -> list[Effective]:
    """Every setting in force, in the order of the reference."""
    return [
        Effective(key=name, value=shown(key, value_of(settings, key)), origin=settings.origin(name))
        for name, key in keys().items()
    ]


def value_of(settings: Settings, key: Key) -> object:
    """The typed value of one setting."""
    found: object = settings
    for name in str(key).split("."):
        found = getattr(found, name)
    return found


def shown(key: Key, value: object) -> Shown:
    """A value as a file would give it; a secret only as its mask leaves it."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, tuple):
        return [str(item) for item in value]
    mask = key.declared.mask
    return mask(str(value)) if mask else str(value)
