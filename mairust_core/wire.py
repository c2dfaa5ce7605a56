"""One JSON form for every value that crosses an edge: REST, `--json`, the remote proxy.

Encoding is plain Python, so that a local command needs no validation library; decoding validates with
pydantic and is used by the API for requests and by the remote proxy for answers only.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mairust_core.errors import Invalid
from mairust_core.model.forms import UNSET
from mairust_core.model.ids import Id

if TYPE_CHECKING:
    from pydantic import TypeAdapter


def encode(value: Any) -> Any:
    """The JSON-ready form: ids are strings, times RFC 3339 in UTC, unset fields left out."""
    if value is None or isinstance(value, (str, bool)):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, int):
        return str(int(value)) if isinstance(value, Id) else value
    if is_dataclass(value):
        return {
            wire: encode(item)
            for name, wire in _names(type(value))
            if (item := getattr(value, name)) is not UNSET
        }
    if isinstance(value, (list, tuple, frozenset, set)):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, datetime):
        return encode_time(value)
    return value.value if isinstance(value, Enum) else value


def encode_time(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, such as 2026-11-22T10:55:37.120Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def dumps(value: Any) -> bytes:
    """The JSON document of a value, UTF-8, without spaces."""
    return json.dumps(encode(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


@lru_cache(maxsize=256)
def _names(kind: Any) -> tuple[tuple[str, str], ...]:
    return tuple((field.name, field.name.rstrip("_")) for field in fields(kind))


@lru_cache(maxsize=256)
def adapter(kind: Any) -> TypeAdapter[Any]:
    """The validator of a type, made once."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def decode(kind: Any, data: bytes | str) -> Any:
    """The value a JSON document stands for; raises `Invalid` naming the first wrong field."""
    from pydantic import ValidationError

    try:
        return adapter(kind).validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "body"
        raise Invalid(field, _why(first["type"], first["msg"])) from error


def _why(kind: str, message: str) -> str:
    if kind in {"extra_forbidden", "unexpected_keyword_argument"}:
        return "this field is not known here"
    return message[:1].lower() + message[1:]
