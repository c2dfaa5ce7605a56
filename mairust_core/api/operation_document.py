"""The operations in the OpenAPI document: FastAPI makes it of routes whose signatures are the operations'.

These routes answer nothing. Requests are read by `edge`, more strictly than FastAPI would: limits, no unknown
key or parameter, nothing converted; and what FastAPI holds for them is no worker's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any, get_args

from fastapi import Body, Path, Query, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.responses import JSONResponse, Response

from mairust_core import wire
from mairust_core.api.bodies import NOTHING
from mairust_core.api.conditions import is_conditional
from mairust_core.api.paths import route_path
from mairust_core.api.problems import MEDIA_TYPE, title
from mairust_core.api.routes import prefix
from mairust_core.errors import (
    Conflict,
    Forbidden,
    Invalid,
    Locked,
    MaiRustError,
    StorageDown,
    TooLarge,
    TooMany,
    Unauthenticated,
    Usage,
)
from mairust_core.items import MEDIA_TYPE as ITEMS_TYPE
from mairust_core.model.forms import MAX_LIMIT
from mairust_core.model.moment import Moment
from mairust_core.operations import ANY, BytesIn, BytesOut, Operation, items_of
from mairust_core.wire.words import enum_of

PROBLEM = {"schema": {"$ref": "#/components/schemas/Problem"}}

_ALWAYS: tuple[type[MaiRustError], ...] = (Unauthenticated, Forbidden, TooMany, StorageDown)
_BEARER = HTTPBearer(
    scheme_name="ApiKey", description="An API key, `mk_<public id>_<secret>`.", auto_error=False
)
_OCTETS = {"type": "string", "format": "binary"}

_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Any text of the client's. Repeated with it within a day, the request is done once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}

_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": (
        "The ETag that a GET of this path without parameters gave, or several; made only if it is that "
        "still. `*`: whatever it is, and all that is met where the path has no GET. Where it has one, the "
        "key needs its scope, too: `read`, or that of administrators."
    ),
    "schema": {"type": "string"},
}

_ETAG = {
    "description": "Changes with the answer (RFC 9110 §8.8.3).",
    "schema": {"type": "string"},
    "required": True,
}


def describing(op: Operation) -> APIRoute:
    """A route by which FastAPI describes an operation."""
    streams = op.returns is BytesOut or items_of(op.returns) is not None
    return APIRoute(
        prefix(op) + route_path(op.path),
        _signed(op),
        methods={op.method},
        status_code=op.status,
        operation_id=op.id,
        name=op.id,
        tags=[op.noun],
        summary=op.summary.rstrip("."),
        description=_description(op),
        dependencies=[Security(_BEARER)],
        response_model=None if streams else op.answers,
        response_class=Response if streams else JSONResponse,
        response_description=HTTPStatus(op.status).phrase,
        responses=_tagged(op, _problems(op) | (_stream(op) if streams else {})),
        deprecated=op.deprecated is not None or None,
        openapi_extra=_extra(op),
    )


def _signed(op: Operation) -> Callable[..., Any]:
    """A function with the operation's parameters as FastAPI reads them; it is never called."""

    def endpoint() -> None:
        raise AssertionError("it is only described")

    kind = inspect.Parameter.KEYWORD_ONLY
    params = [
        inspect.Parameter(name, kind, annotation=Annotated[op.types[name], Path()]) for name in op.path_params
    ]
    params += [
        inspect.Parameter(p.name, kind, annotation=Annotated[_told(op, p.name), _said(p)], default=p.default)
        for p in op.query
    ]
    if op.body and op.body_type is not BytesIn and items_of(op.body_type) is None:
        default = None if _needs_no_body(op) else inspect.Parameter.empty
        params.append(
            inspect.Parameter(op.body, kind, annotation=Annotated[op.body_type, Body()], default=default)
        )
    endpoint.__signature__ = inspect.Signature(params)  # type: ignore[attr-defined]  # read by inspect
    return endpoint


def _told(op: Operation, name: str) -> Any:
    """The type of a query parameter, without the null that nobody can write, where no release told it."""
    kind = op.types[name]
    if Moment in get_args(kind):
        return Moment
    return enum_of(kind) if name in op.words else kind


def _said(param: inspect.Parameter) -> Any:
    """What the document says of a query parameter beside its type."""
    return Query(ge=1, le=MAX_LIMIT) if param.name == "limit" else Query()


def _needs_no_body(op: Operation) -> bool:
    """Whether a body without fields, which is what no body counts as, says enough."""
    try:
        wire.decode_request(op.body_type, NOTHING)
    except MaiRustError:
        return False
    return True


def _description(op: Operation) -> str:
    needs = f"Needs the scope `{op.scope.value}` at {op.reach.value} reach or wider."
    return f"{op.text}\n\n{needs}" if op.text else needs


def errors_of(op: Operation) -> tuple[type[MaiRustError], ...]:
    """Every kind of error the operation may answer with, by status."""
    found: set[type[MaiRustError]] = {*_ALWAYS, *op.errors}
    if op.path_params or op.query or op.body:
        found |= {Invalid, Usage}
    if op.body:
        found.add(TooLarge)
    if op.heeds_key:
        found |= {Conflict, Locked, Usage}
    if is_conditional(op):
        found.add(Usage)
    return tuple(sorted(found, key=lambda kind: (kind.status, kind.code)))


def _problems(op: Operation) -> dict[int | str, dict[str, Any]]:
    by_status: dict[int | str, list[str]] = {}
    for kind in errors_of(op):
        by_status.setdefault(kind.status, []).append(f"`{kind.code}`: {title(kind)}.")
    if op.body:
        by_status[415] = ["`usage`: The body has another media type."]
    if is_conditional(op):
        by_status[412] = ["`conflict`: It has no ETag of `If-Match`."]
    by_status["default"] = ["Anything else that went wrong."]
    return {
        status: {"description": " ".join(texts), "content": {MEDIA_TYPE: PROBLEM}}
        for status, texts in by_status.items()
    }


def _stream(op: Operation) -> dict[int | str, dict[str, Any]]:
    if items_of(op.returns) is not None:
        return {op.status: {"content": {ITEMS_TYPE: {"schema": _OCTETS}}}}
    headers = {
        "Repr-Digest": "`sha-256=:BASE64:` of the whole body (RFC 9530).",
        "Content-Disposition": "`attachment` with a file name.",
    }
    described = {
        name: {"description": text, "schema": {"type": "string"}, "required": True}
        for name, text in headers.items()
    }
    produced = (op.produces, *(["application/octet-stream"] if op.produces == ANY else ()))
    content = {one: {"schema": _OCTETS} for one in produced}
    return {op.status: {"content": content, "headers": described}}


def _tagged(op: Operation, responses: dict[int | str, dict[str, Any]]) -> dict[int | str, dict[str, Any]]:
    """The responses, those of what is read with an ETag, and with the one to a client that has it already."""
    if op.method != "GET" or items_of(op.returns) is not None:
        return responses
    answer = responses.get(op.status, {})
    tagged = answer | {"headers": {**answer.get("headers", {}), "ETag": _ETAG}}
    known = {"description": "It is what `If-None-Match` names; no body.", "headers": {"ETag": _ETAG}}
    return responses | {op.status: tagged, 304: known}


def _extra(op: Operation) -> dict[str, Any] | None:
    """What FastAPI does not see in the signature: a body of bytes, headers that an operation heeds."""
    found: dict[str, Any] = {}
    uploaded = op.accepts if op.body_type is BytesIn else (ITEMS_TYPE,)
    if op.body_type is BytesIn or items_of(op.body_type) is not None:
        found["requestBody"] = {"required": True, "content": {one: {"schema": _OCTETS} for one in uploaded}}
    if op.heeds_key:
        found["parameters"] = [_IDEMPOTENCY_KEY]
    if is_conditional(op):
        found["parameters"] = [_IF_MATCH]
    return found or None
