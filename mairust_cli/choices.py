"""Words and filters as they are given to commands."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, TypeVar

from mairust_cli.words import parse_size
from mairust_core.errors import Invalid
from mairust_core.model.hook import Filter
from mairust_core.model.hook_forms import FilterForm

E = TypeVar("E", bound=StrEnum)

_SIZES = ("size_gt", "size_lt")
_FLAGS = {"true": True, "yes": True, "false": False, "no": False}


def choice(kind: type[E], field: str, text: str) -> E:
    """One of some words; raises `Invalid`."""
    try:
        return kind(text)
    except ValueError as error:
        raise Invalid(field, "not_choice", value=repr(text[:40]), known=", ".join(kind)) from error


def parse_filter(given: Iterable[str]) -> FilterForm:
    """The filter that `KEY=VALUE`s say, each once; sizes as `10M`. Raises `Invalid`."""
    found: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or key not in Filter.__dataclass_fields__ or key in found:
            known = ", ".join(Filter.__dataclass_fields__)
            raise Invalid("filter", "not_a_filter", value=repr(text[:80]), known=known)
        found[key] = _value(key, value)
    return FilterForm(**found)


def _value(key: str, text: str) -> object:
    if key in _SIZES:
        size = parse_size(text, f"filter.{key}")
        if size is None:
            raise Invalid(f"filter.{key}", "not_size", value=repr(text[:40]))
        return size
    if key == "has_attachments":
        if text not in _FLAGS:
            raise Invalid("filter.has_attachments", "not_flag")
        return _FLAGS[text]
    return text
