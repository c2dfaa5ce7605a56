"""From a method to its operation: what would make the three ways to it differ is refused here."""

from __future__ import annotations

import builtins
import inspect
import re
from dataclasses import fields, is_dataclass
from typing import Any, cast, get_args, get_type_hints

from mairust_core.model.forms import is_request
from mairust_core.operations import cursors
from mairust_core.operations.declared import Operation
from mairust_core.operations.streams import BytesIn, items_of
from mairust_core.wire.words import enum_of, kinds_of

_BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})
_SECRET = re.compile(r"password|secret|token$|^key$|passphrase")


def declare(noun: str, name: str, member: Any) -> Operation:
    """The operation that a method of a service is; raises `TypeError` where the three ways would differ."""
    declared = member.__declared__
    where = f"{noun}.{name}"
    doc = inspect.getdoc(member)
    if name in dir(builtins):
        raise TypeError(f"{where}: a method named after a builtin hides it from the annotations below it")
    if not doc:
        raise TypeError(f"{where}: an operation needs a docstring, its first line is the summary")
    summary, _, text = doc.partition("\n")
    if declared["encoded"] and declared["method"] != "GET":
        raise TypeError(f"{where}: only what is read has a second way to its answer")
    types = get_type_hints(inspect.unwrap(member))
    params = list(inspect.signature(member).parameters.values())[1:]
    path_params = tuple(re.findall(r"{(\w+)", declared["path"]))
    body, query = _sort_parameters(where, declared["method"], path_params, params, types)
    members = [one.name for one in fields(types[body])] if body and is_request(types[body]) else []
    member.__operation__ = Operation(
        **declared, noun=noun, name=name, summary=summary.strip(), text=text.strip(),
        path_params=path_params, query=query, body=body, types=types, least=_least(where, types["return"]),
        words=tuple(one.name for one in query if enum_of(types[one.name]) is not None),
        is_continued=cursors.FIELD in (*members, *(one.name for one in query)),
    )  # fmt: skip
    return cast(Operation, member.__operation__)


def _least(where: str, kind: Any) -> Any:
    """What somebody is told who may not read: the second of two kinds of answers."""
    kinds = kinds_of(kind)
    if len(kinds) == 1:
        return None
    if not (len(kinds) == 2 and all(map(is_dataclass, kinds))):
        raise TypeError(f"{where}: an answer is of one kind, or of one and of what is told without `read`")
    return kinds[1]


def _sort_parameters(
    where: str,
    method: str,
    path_params: tuple[str, ...],
    params: list[inspect.Parameter],
    types: dict[str, Any],
) -> tuple[str | None, tuple[inspect.Parameter, ...]]:
    if tuple(p.name for p in params[: len(path_params)]) != path_params:
        raise TypeError(f"{where}: the parameters of the path come first, in its order")
    rest = params[len(path_params) :]
    bodies = [p for p in rest if p.kind is not p.KEYWORD_ONLY]
    query = tuple(p for p in rest if p.kind is p.KEYWORD_ONLY)
    for param in (*params[: len(path_params)], *query):
        if _SECRET.search(param.name):
            raise TypeError(f"{where}: {param.name} would be a secret in a URL; put it into the request body")
    if len(bodies) > (1 if method in _BODY_METHODS else 0):
        raise TypeError(f"{where}: {method} takes the path's parameters and at most one body")
    body = bodies[0].name if bodies else None
    streams = body is not None and (types[body] is BytesIn or items_of(types[body]) is not None)
    if body and not streams and not is_request(types[body]):
        raise TypeError(f"{where}: the body must be a @request dataclass or BytesIn or ItemsIn")
    if body and not streams:
        _require_marked(where, types[body])
    if query and method in _BODY_METHODS and not streams:
        raise TypeError(f"{where}: {method} takes its options in the request dataclass")
    return body, query


def _require_marked(where: str, form: Any) -> None:
    """Raise `TypeError` for a field that sounds like a secret and would be told in the audit."""
    kinds = get_type_hints(form)
    for one in fields(form):
        if one.repr and _SECRET.search(one.name):
            raise TypeError(f"{where}: {one.name} would be a secret in the audit; mark it with repr=False")
        for inner in (kinds[one.name], *get_args(kinds[one.name])):
            if is_dataclass(inner):
                _require_marked(where, inner)
