"""What every call passes on its way in, in this order, and its answer on its way out.

scope and reach → names and texts that can be → on DELETE room to write → words as members → noted for the
audit → the cursor opened → **the method** → the cursor sealed → less of it for whom may not read
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import fields, is_dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from mairust_core.errors import Invalid
from mairust_core.model.principal import Scope
from mairust_core.operations.asked import asking
from mairust_core.operations.cursors import paged
from mairust_core.operations.declared import Operation
from mairust_core.operations.streams import BytesIn, ItemsIn
from mairust_core.wire.words import chosen

if TYPE_CHECKING:
    from mairust_core.operations import Service

_SURROGATE = re.compile("[\ud800-\udfff]")


def call(op: Operation, method: Callable[..., Any], service: Service, given: dict[str, Any]) -> Any:
    """What an operation answers to these arguments; raises `Forbidden`, `Invalid`, the method's."""
    _require(op, service, given)
    if op.method == "DELETE":  # it writes too, and on a full disk has room kept for it (rule J3)
        service.site.make_room()
    given |= {name: chosen(op.types[name], name, given[name]) for name in op.words}
    with nullcontext() if op.method == "GET" else asking(given):
        found = paged(op, given, partial(method, service))
    if op.least is None or service.by.may(Scope.READ):
        return found
    return op.least(**{one.name: getattr(found, one.name) for one in fields(op.least)})


def call_encoded(op: Operation, service: Service, args: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """The same answer as JSON values, of an operation that has a method for that; `args` are its path's."""
    given = {**dict(zip(op.path_params, args, strict=True)), **options}
    _require(op, service, given)
    return paged(op, given, getattr(service, op.encoded))


def _require(op: Operation, service: Service, given: Mapping[str, Any]) -> None:
    service.by.require(op.scope, op.reach)
    require_names((name, given[name]) for name in op.path_params)
    require_text(given.items())


def require_names(values: Iterable[tuple[str, Any]]) -> None:
    """Raise `Invalid` where what is asked for has no name at all: a path that ends in a slash says none."""
    for name, value in values:
        if value == "":
            raise Invalid(name, "missing")


def require_text(values: Iterable[tuple[str, Any]]) -> None:
    """Raise `Invalid` for a text with NUL or half a character, which no database and no wire takes.

    `values` are names and values; dataclasses and tuples are looked into.
    """
    for name, value in values:
        if isinstance(value, str):
            if not value.isascii() and _SURROGATE.search(value):
                raise Invalid(name, "not_unicode")
            if "\0" in value:
                raise Invalid(name, "holds_nul")
        elif isinstance(value, tuple):
            require_text((name, item) for item in value)
        elif is_dataclass(value) and not isinstance(value, (BytesIn, ItemsIn)):
            require_text((field.name, getattr(value, field.name)) for field in fields(value))
