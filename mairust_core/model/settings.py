"""Settings as they are shown and exported."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting in force; `value` as a file would give it, secrets masked, `origin` as errors name it."""

    key: str
    value: str | int | bool | list[str] | None
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """All settings in force as one document: section → name → value, as a configuration file gives them.

    What holds a secret is left out and named in `secrets_left_out`; what has no value is not there.
    """

    version: str
    settings: dict[str, dict[str, str | int | bool | list[str]]]
    secrets_left_out: tuple[str, ...]
