"""One JSON form for every value that crosses an edge: REST, `--json`, the remote proxy.

Encoding is plain Python, so that a local command needs no validation library; decoding validates with
pydantic and is used by the API for requests and by the remote proxy for answers only.

misfits.py   what does not fit, as an error of ours
newer.py     answers of a newer server
words.py     parameters that take one of a few words
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Any, get_args

from mairust_core.errors import Invalid, Usage
from mairust_core.model.forms import UNSET
from mairust_core.model.ids import Id
from mairust_core.wire import newer
from mairust_core.wire.misfits import misfit
from mairust_core.wire.words import chosen, enum_of

if TYPE_CHECKING:
    from pydantic import TypeAdapter


def encode(value: Any) -> Any:
    """The JSON-ready form: ids are strings, times RFC 3339 in UTC, unset fields left out."""
    kind: Any = type(value)
    return _encoder(kind)(value)


@lru_cache(maxsize=256)
def _encoder(kind: Any) -> Callable[[Any], Any]:
    """How values of exactly this type are encoded: looked up once, lists have thousands of them."""
    if issubclass(kind, Enum):
        return _value_of
    if issubclass(kind, Id):
        return _digits
    if is_dataclass(kind):
        return _object_encoder(tuple((field.name, field.name.rstrip("_")) for field in fields(kind)))
    if issubclass(kind, (list, tuple, frozenset, set)):
        return lambda items: [encode(item) for item in items]
    if issubclass(kind, dict):
        return lambda found: {str(key): encode(item) for key, item in found.items()}
    return encode_time if issubclass(kind, datetime) else _itself


def _object_encoder(names: tuple[tuple[str, str], ...]) -> Callable[[Any], Any]:
    def encode_object(value: Any) -> dict[str, Any]:
        return {wire: encode(item) for name, wire in names if (item := getattr(value, name)) is not UNSET}

    return encode_object


def _itself(value: Any) -> Any:
    return value


def _value_of(value: Enum) -> Any:
    return value.value


def _digits(value: Id) -> str:
    return str(int(value))


def encode_time(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, such as 2026-11-22T10:55:37.120Z.

    A time that is beyond the years 1 to 9999 there is told in its own zone.
    """
    with suppress(OverflowError):
        at = at.astimezone(UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


_TEXTS = {
    int: (re.compile(r"-?[0-9]+"), "not_whole_number"),
    bool: (re.compile("true|false", re.IGNORECASE), "not_flag"),  # libraries of Python write `True`
    datetime: (
        re.compile(r"[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-5][0-9].*"),
        "not_query_time",
    ),
}
"""How parameters of these types are written, and what is said of others."""
MAX_DIGITS = 40
"""More than any number that means something here; reading much longer ones costs time."""

# made once: `json.dumps` with any option of its own makes one for every call
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def dumps(value: Any) -> bytes:
    """The JSON document of a value, UTF-8, without spaces; half a character becomes `?` (RFC 8259 §8.1)."""
    return _ENCODER.encode(encode(value)).encode("utf-8", "replace")


def render(value: Any) -> bytes:
    """As `dumps`, of JSON values, by a library that a server has loaded anyway: four times as fast."""
    from pydantic_core import to_json

    return to_json(value)


@lru_cache(maxsize=256)
def adapter(kind: Any) -> TypeAdapter[Any]:
    """The validator of a type, made once."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def decode(kind: Any, data: bytes | str) -> Any:
    """The value that another MaiRust's JSON stands for: keys not known here are left out, words stay.

    Raises `Invalid` naming the first wrong field.
    """
    return _validated(kind, "body", lambda: newer.reader(kind).validate_json(data))


def decode_request(kind: Any, data: bytes) -> Any:
    """The request a client's JSON stands for, strictly: nothing converted, nothing twice, nothing unknown.

    Raises `Usage` when it is not JSON as RFC 8259 recommends it, `Invalid` naming the first wrong field.
    """
    require_plain_json(data)
    return _validated(kind, "body", lambda: adapter(kind).validate_json(data, strict=True))


def decode_value(kind: Any, found: Any) -> Any:
    """The value that loaded JSON stands for, nothing converted; raises `Invalid`."""
    return _validated(kind, "item", lambda: adapter(kind).validate_json(_ENCODER.encode(found), strict=True))


def decode_text(kind: Any, name: str, text: str) -> Any:
    """The value of a path or query parameter, written as in JSON; raises `Invalid` naming it."""
    if kind is str:
        return text
    if enum_of(kind) is not None:
        return chosen(kind, name, text)
    for plain, (form, detail) in _TEXTS.items():
        if (kind is plain or plain in get_args(kind)) and not form.fullmatch(text):
            raise Invalid(name, detail)
    try:
        return _validated(kind, name, lambda: adapter(kind).validate_strings(text))
    except Invalid as error:
        raise Invalid(name, "not_query_time") if error.detail == "not_time" else error from None


def require_plain_json(data: bytes) -> None:
    """Raise `Usage` unless this is one JSON document in UTF-8, each key once, every number finite."""
    try:
        json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_once,
            parse_constant=_finite,
            parse_float=_finite,
            parse_int=_short,
        )
    except UnicodeDecodeError as error:
        raise Usage("json", why=f"byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise Usage("json", why="it is nested too deeply") from None
    except ValueError as error:
        raise Usage("json", why=str(error)) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice[:80]!r} is there twice")
    return found


def _short(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number has more than {MAX_DIGITS} digits")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text[:80]} is not a finite number")
    return value


def _validated(kind: Any, whole: str, validate: Callable[[], Any]) -> Any:
    from pydantic import ValidationError

    try:
        return validate()
    except ValidationError as error:
        refused = misfit(kind, whole, error)
    # The validation error holds the values given, a password among them: it must not be the cause.
    raise refused
