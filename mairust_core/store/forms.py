"""Words of the model in a column: frozen dataclasses as JSON, read without a validation library.

What is stored was checked when it was made; a key that a later version wrote is passed over, one that an
earlier version did not know has its default.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from mairust_core.wire import encode


def dump(value: Any) -> str:
    """The JSON of a dataclass."""
    return json.dumps(encode(value), ensure_ascii=False, separators=(",", ":"))


def load(kind: Any, found: Any) -> Any:
    """The value of this type that loaded JSON stands for."""
    if found is None:
        return None
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        (inner,) = (one for one in get_args(kind) if one is not NoneType)
        return load(inner, found)
    if origin is tuple:
        return tuple(load(get_args(kind)[0], one) for one in found)
    if is_dataclass(kind) and isinstance(kind, type):
        hints = _hints(kind)
        return kind(**{name: load(hints[name], value) for name, value in found.items() if name in hints})
    return kind(found) if isinstance(kind, type) and issubclass(kind, Enum) else found


@lru_cache(maxsize=64)
def _hints(kind: type) -> dict[str, Any]:
    found = get_type_hints(kind)
    return {one.name: found[one.name] for one in fields(kind)}
