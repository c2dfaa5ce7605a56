"""Lists, small answers and request markers that every noun shares."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

T = TypeVar("T")

_STRICT = {"extra": "forbid"}


def request(cls: type[T]) -> type[T]:
    """Mark a dataclass as a request body: on the wire, a key it does not know is an error."""
    cls.__pydantic_config__ = _STRICT  # type: ignore[attr-defined]  # read by pydantic only
    return cls


def is_request(kind: Any) -> bool:
    """Whether a type is a dataclass that is marked so."""
    return is_dataclass(kind) and vars(kind).get("__pydantic_config__") == _STRICT


def wire_names(cls: type[T]) -> type[T]:
    """Mark an answer whose field `from_` is called `from` on the wire, as every trailing underscore."""
    cls.__pydantic_config__ = {  # type: ignore[attr-defined]  # read by pydantic only
        "alias_generator": lambda name: name.rstrip("_"),
        "populate_by_name": True,
    }
    return cls


def values_of(value: DataclassInstance) -> dict[str, Any]:
    """The fields of a dataclass by name, as they are: for one that has these and more."""
    return {one.name: getattr(value, one.name) for one in fields(value)}


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """The body of a request that has none: whatever is in it is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Some items, and the cursor that continues after them (None when these are the last)."""

    items: tuple[T, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What was removed; `name` is its name, address or id."""

    name: str
    removed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedById(Removed):
    """What was removed of that which is known by an id; `name` is the id, too."""

    id: str

    @classmethod
    def of(cls, id_: str) -> RemovedById:
        """That with this id."""
        return cls(id=id_, name=id_)


class Unset(Enum):
    """The field was not given: a PATCH leaves it as it is."""

    UNSET = "unset"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Nothing on the wire stands for it."""
        from pydantic_core import core_schema

        return core_schema.is_instance_schema(cls)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        """No schema tells of it."""
        from pydantic_core import PydanticOmit

        raise PydanticOmit


UNSET: Final = Unset.UNSET


def unset() -> Any:
    """The default of a field of a PATCH, made rather than named so that no schema tells of it."""
    return UNSET


DEFAULT_LIMIT = 50
MAX_LIMIT = 500
