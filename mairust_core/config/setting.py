"""How a section declares one setting, so that loading, `config show` and the reference follow from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mairust_core.config.kinds import Kind

Known = Mapping[str, Any]
"""The values settled so far, by key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A default that follows from earlier settings; `text` tells it in the reference."""

    text: str
    value: Callable[[Known], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What a section says about one setting."""

    kind: Kind
    doc: str
    unit: str
    mask: Callable[[str], str] | None
    option: str
    default: object


def setting(
    kind: Kind,
    doc: str,
    *,
    default: object = None,
    unit: str = "",
    mask: Callable[[str], str] | None = None,
    option: str = "",
) -> Any:
    """A dataclass field for one setting.

    `default` is the typed value, a `Derived` one, or None for a setting that may be absent. A secret has
    a `mask`, which makes of it what may be shown; errors and `repr` leave it out. `option` is the
    command-line option that sets it.
    """
    metadata = {"setting": Declared(kind=kind, doc=doc, unit=unit, mask=mask, option=option, default=default)}
    if isinstance(default, Derived):
        return dataclasses.field(metadata=metadata, repr=mask is None)
    return dataclasses.field(default=default, metadata=metadata, repr=mask is None)


def section(cls: type) -> Any:
    """A dataclass field that holds a section."""
    return dataclasses.field(metadata={"section": cls})
