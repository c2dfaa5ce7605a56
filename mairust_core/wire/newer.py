"""Answers of a newer server: a word that is not known here is taken as it is, for it may be a new one.

Requests are read strictly; so are answers but for this.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

E = TypeVar("E", bound=Enum)


@lru_cache(maxsize=256)
def reader(kind: Any) -> SchemaValidator:
    """The validator of an answer of this type, made once."""
    from pydantic import TypeAdapter
    from pydantic_core import SchemaValidator

    return SchemaValidator(_open(TypeAdapter(kind).core_schema))


def _open(schema: Any) -> Any:
    """The same schema, in which enumerations have no end."""
    from pydantic_core import core_schema

    if isinstance(schema, list):
        return [_open(one) for one in schema]
    if isinstance(schema, tuple):
        return tuple(_open(one) for one in schema)
    if not isinstance(schema, dict):
        return schema
    ref = schema.get("ref")
    if schema.get("type") == "enum":
        return core_schema.no_info_plain_validator_function(partial(member, schema["cls"]), ref=ref)
    if schema.get("type") == "literal" and all(isinstance(one, str) for one in schema["expected"]):
        return core_schema.str_schema(ref=ref)
    return {name: _open(part) for name, part in schema.items()}


def member(cls: type[E], value: Any) -> E:
    """The member with this value, or one that says what a newer server said; raises `ValueError`."""
    try:
        return cls(value)
    except ValueError:
        base: Any = next((one for one in (str, int) if issubclass(cls, one)), None)
        if base is None or type(value) is not base:
            raise
    create: Callable[..., Any] = base.__new__
    made = create(cls, value)
    made._name_, made._value_ = str(value), value
    return cast(E, made)
