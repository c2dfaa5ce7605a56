"""Settings from everywhere: built-in defaults < file < environment < command line.

Everything given is checked, also what a stronger source overrides: a typing error is told, never lived
with.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mairust_core.config.document import Document
from mairust_core.config.given import Given, from_document, from_environment, from_options
from mairust_core.config.kinds import Unfit, spell
from mairust_core.config.origin import Origin
from mairust_core.config.places import default_data_dir, find_document
from mairust_core.config.resources import MASK
from mairust_core.config.schema import keys
from mairust_core.config.setting import Derived
from mairust_core.config.settings import Settings
from mairust_core.errors import BadConfig, Usage

_DATA_DIR = "node.data_dir"
_TOGETHER = (("smtp.tls_cert", "smtp.tls_key"), ("http.tls_cert", "http.tls_key"))


def load_settings(
    *,
    config_file: Path | None = None,
    data_dir: Path | None = None,
    env: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """The settings in force.

    `config_file` and `data_dir` are the global options, `env` the environment, `overrides` what further
    command-line options give, by key (`{"smtp.listen": "127.0.0.1:0"}`; None means not given).
    Raises `BadConfig` naming the place, the key and what is allowed, `Usage` for a command-line option.
    """
    here = Path.cwd()
    named = _named_data_dir(data_dir, env, here)
    usual = default_data_dir(env)
    document = find_document(
        config_file=config_file,
        data_dir=_parse(named, None) if named else usual and Path(os.path.abspath(usual[0])),
        only_there=named is not None,
        env=env,
    )
    given = [
        *(from_document(document) if document else ()),
        *from_environment(env, here),
        *([named] if named else ()),
        *from_options(overrides or {}, here),
    ]
    values = {str(item.key): _parse(item, document) for item in given}
    origins = {str(item.key): item.origin for item in given}
    _complete(values, origins, usual)
    _check_together(values, origins, document)
    return Settings(**_sections(Settings, "", values), origins=origins, document=document)


def _named_data_dir(data_dir: Path | None, env: Mapping[str, str], here: Path) -> Given | None:
    """The data directory that an option or the environment names; it alone is then searched for a file."""
    key = keys()[_DATA_DIR]
    if data_dir is not None:
        return Given(key=key, raw=data_dir, origin=Origin(kind="option", name="--data-dir"), base=here)
    for variable in ("MAIRUST_DATA_DIR", key.variable):
        if raw := env.get(variable):
            return Given(key=key, raw=raw, origin=Origin(kind="environment", name=variable), base=here)
    return None


def _parse(given: Given, document: Document | None) -> Any:
    declared = given.key.declared
    try:
        return declared.kind.parse(given.raw, given.base)
    except Unfit as unfit:
        value = MASK if declared.mask else spell(given.raw)
        if given.origin.name.startswith("--"):
            raise Usage(f"option_{unfit.detail}", option=given.origin, value=value, **unfit.values) from None
        raise _error(unfit.detail, given.key, given.origin, document, value=value, **unfit.values) from None


def _error(
    detail: str, key: object, origin: Origin, document: Document | None, **values: object
) -> BadConfig:
    if origin.file is not None and document is not None:
        origin = dataclasses.replace(origin, line=document.line(tuple(str(key).split("."))))
    place = {"where": str(origin), "file": origin.file, "line": origin.line, "key": str(key)}
    return BadConfig(detail, **place, **values)


def _complete(
    values: dict[str, Any], origins: dict[str, Origin], data_dir: tuple[Path, Origin] | None
) -> None:
    """Work out what nobody gave, in the order of declaration, since defaults follow from earlier values."""
    if _DATA_DIR not in values:
        if data_dir is None:
            raise BadConfig("no_data_dir", key=_DATA_DIR)
        values[_DATA_DIR], origins[_DATA_DIR] = Path(os.path.abspath(data_dir[0])), data_dir[1]
    for name, key in keys().items():
        if name not in values:
            default = key.declared.default
            values[name] = default.value(values) if isinstance(default, Derived) else default


def _check_together(
    values: Mapping[str, Any], origins: Mapping[str, Origin], document: Document | None
) -> None:
    for pair in _TOGETHER:
        given = [key for key in pair if values[key] is not None]
        if len(given) == 1:
            missing = next(key for key in pair if key not in given)
            raise _error("together", given[0], origins[given[0]], document, missing=missing)


def _sections(cls: type, prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The sections of a dataclass, built from the settled values."""
    built: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        if inner := field.metadata.get("section"):
            name = prefix + field.name
            own = {
                f.name: values[f"{name}.{f.name}"]
                for f in dataclasses.fields(inner)
                if "setting" in f.metadata
            }
            built[field.name] = inner(**own, **_sections(inner, f"{name}.", values))
    return built
