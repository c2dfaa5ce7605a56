"""Settings as they are shown and exported."""

from __future__ import annotations

from dataclasses import dataclass

from mairust_core.model.hook_forms import ShownHook
from mairust_core.model.plugin_forms import PluginState, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting in force; `value` as a file would give it, secrets masked, `origin` as errors name it."""

    key: str
    value: str | int | bool | list[str] | None
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedPlugin:
    """A plugin that was approved, with its plugin.toml as it came; `directory` is that of a linked one."""

    id: str
    state: PluginState
    source: Source
    directory: str | None
    package: str | None
    toml: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """All of a site's configuration as one document.

    `settings` are section → name → value, as a configuration file gives them. What holds a secret is left out
    and named in `secrets_left_out`; what has no value is not there. `hooks` and `plugins` are empty where no
    site could be read.
    """

    version: str
    settings: dict[str, dict[str, str | int | bool | list[str]]]
    secrets_left_out: tuple[str, ...]
    hooks: tuple[ShownHook, ...] = ()
    plugins: tuple[ExportedPlugin, ...] = ()
