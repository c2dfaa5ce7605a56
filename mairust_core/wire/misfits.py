"""What pydantic finds wrong, as an error of ours: the field by its name on the wire, never a value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from mairust_core.errors import Invalid
from mairust_core.wire.words import kinds_of

if TYPE_CHECKING:
    from pydantic import ValidationError

_QUOTED = re.compile("'([^']*)'")
_PLAIN = frozenset({"int", "str", "bool", "float", "datetime"})


def misfit(kind: Any, whole: str, error: ValidationError) -> Invalid:
    """The first thing wrong with what should be a `kind`; `whole` names it where no field of it is meant."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(_named(kind, first["loc"])) or whole
    detail = _DETAILS.get(first["type"])
    if detail is None:
        return Invalid(field, "not_fitting", why=first["msg"][:1].lower() + first["msg"][1:])
    expected = _QUOTED.findall(first.get("ctx", {}).get("expected", ""))
    return Invalid(field, detail, known=", ".join(expected))


def _named(kind: Any, location: Sequence[int | str]) -> Iterator[str]:
    """The names in a location; pydantic has also those of the types that a value may be one of."""
    for part in location:
        choices = kinds_of(kind)
        chosen = next((one for one in choices if kind is not one and _is_called(one, part)), None)
        if chosen is not None:
            kind = chosen
        elif not isinstance(part, str) or not ("[" in part or (len(choices) > 1 and part in _PLAIN)):
            kind = _inside(choices, part)
            yield str(part)


def _is_called(kind: Any, name: int | str) -> bool:
    return is_dataclass(kind) and getattr(kind, "__name__", "") == name


def _inside(choices: Sequence[Any], part: int | str) -> Any:
    """The type of one member of a value of one of these types; Any where there is no telling."""
    for one in choices:
        if is_dataclass(one):
            hints = get_type_hints(one)
            known = {field.name.rstrip("_"): hints[field.name] for field in fields(one)}
            return known.get(str(part), Any)
        if arguments := get_args(one):
            return arguments[-1] if get_origin(one) is dict else arguments[0]
    return Any


_DETAILS = {
    "bool_parsing": "not_flag",
    "bool_type": "not_flag",
    "dataclass_exact_type": "not_object",
    "dataclass_type": "not_object",
    "datetime_from_date_parsing": "not_time",
    "datetime_object_invalid": "not_time",
    "datetime_parsing": "not_time",
    "datetime_type": "not_time",
    "dict_type": "not_object",
    "enum": "no_such_choice",
    "extra_forbidden": "unknown_field",
    "int_from_float": "not_whole_number",
    "int_parsing": "not_whole_number",
    "int_parsing_size": "not_whole_number",
    "int_type": "not_whole_number",
    "list_type": "not_list",
    "missing": "missing",
    "string_type": "not_text",
    "string_unicode": "not_unicode",
    "tuple_type": "not_list",
    "unexpected_keyword_argument": "unknown_field",
}
"""The catalogue details of what pydantic finds."""
