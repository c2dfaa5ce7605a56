"""Parameters that take one of a fixed set of words: which these are, and what somebody chose."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from mairust_core.errors import Invalid


@lru_cache(maxsize=64)
def enum_of(kind: Any) -> type[StrEnum] | None:
    """The enumeration whose words a parameter of this type takes; None for any other type."""
    found = [one for one in kinds_of(kind) if one is not NoneType]
    one = found[0] if len(found) == 1 else None
    return one if isinstance(one, type) and issubclass(one, StrEnum) else None


def chosen(kind: Any, name: str, given: Any) -> Any:
    """The member that a word names; an empty word is none, where none may be. Raises `Invalid`."""
    enum = enum_of(kind)
    if enum is None or given is None:
        return given
    if given == "" and NoneType in kinds_of(kind):
        return None
    try:
        return enum(given)
    except ValueError:
        raise Invalid(name, "not_choice", value=repr(given[:40]), known=", ".join(enum)) from None


def kinds_of(kind: Any) -> tuple[Any, ...]:
    """The types of which a value may be one: those of a union, or this one."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
