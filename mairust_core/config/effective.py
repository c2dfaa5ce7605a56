"""The settings in force as data that may be shown: what `mairust config show` and `export` print."""

from __future__ import annotations

from mairust_core import __version__
from mairust_core.config.schema import Key, keys
from mairust_core.config.settings import Settings
from mairust_core.model.settings import Export, Setting

Shown = str | int | bool | list[str] | None


def effective(settings: Settings) -> tuple[Setting, ...]:
    """Every setting in force, in the order of the reference."""
    return tuple(
        Setting(key=name, value=shown(key, value_of(settings, key)), origin=str(settings.origin(name)))
        for name, key in keys().items()
    )


def exported(settings: Settings) -> Export:
    """Every setting that has a value, by section; what holds a secret is named and left out."""
    found: dict[str, dict[str, str | int | bool | list[str]]] = {}
    secret = []
    for name, key in keys().items():
        value = value_of(settings, key)
        told = shown(key, value)
        if is_secret(key, value):
            secret.append(name)
        elif told is not None:
            found.setdefault(key.section, {})[key.name] = told
    return Export(version=__version__, settings=found, secrets_left_out=tuple(secret))


def is_secret(key: Key, value: object) -> bool:
    """Whether a value of a setting must not be shown as it is."""
    return key.declared.mask is not None and value is not None and shown(key, value) != str(value)


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
