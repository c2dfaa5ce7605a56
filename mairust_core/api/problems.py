"""Errors as problem details (RFC 9457), in the language the client asks for."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from dataclasses import field as of_dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from mairust_core.errors import Forbidden, Invalid, MaiRustError, NotFound, Temporary, Unauthenticated, Usage
from mairust_core.i18n import LANGUAGES, catalogue, explain
from mairust_core.model.forms import Unset, unset
from mairust_core.model.principal import ReachKind

if TYPE_CHECKING:
    from mairust_core.operations import Operation

MEDIA_TYPE = "application/problem+json"
REFERENCE = "https://github.com/mairust/mairust/blob/main/docs/reference/rest.md"
RETRY_AFTER_S = 5

log = logging.getLogger("mairust.http")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What went wrong and how to mend it (RFC 9457 §3); `code` is the stable name, `hint` says what to do."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str
    field: str | Unset = of_dataclass(default_factory=unset)
    """What of the request is meant: a parameter, a member of the body (`filter.size_gt`), or `body`."""


class Fault(Exception):
    """An error of HTTP itself: it has another status than its class."""

    def __init__(self, status: int, error: MaiRustError, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, error)
        self.status = status
        self.error = error
        self.headers = headers or {}


def problem(request: Request, raised: MaiRustError | Fault) -> Response:
    """The response that tells of an error; what only the site's owner may know stays in the log."""
    error = raised.error if isinstance(raised, Fault) else raised
    headers = dict(raised.headers) if isinstance(raised, Fault) else {}
    status = raised.status
    request_id = request.scope["mairust.request_id"]
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s %s: %s", request_id, error.code, error)
    language = preferred(request.headers)
    found = describe(_fit_for(request, error), status, language)
    if field := _field_of(request, error):
        found["field"] = field
    headers |= _headers_of(error) | {"content-language": language}
    body = json.dumps(found, ensure_ascii=False).encode("utf-8", "replace")
    return Response(body, status, headers, media_type=MEDIA_TYPE)


def describe(error: MaiRustError, status: int, language: str) -> dict[str, Any]:
    """The members of a problem document."""
    what, hint = explain(error, language)
    return {
        "type": f"{REFERENCE}#{error.code}",
        "title": title(type(error)),
        "status": status,
        "detail": what,
        "code": error.code,
        "hint": hint,
    }


def _field_of(request: Request, error: MaiRustError) -> str:
    """The name on the wire of what is wrong; empty where the error is about something inside of it."""
    field = str(error.values.get("field", "")) if isinstance(error, Invalid) else ""
    op: Operation | None = request.scope.get("mairust.operation")
    if op is None or not field or error.detail in {"unknown_parameter", "unknown_field"}:
        return field
    return field if field.partition(".")[0] in op.wire_names else "body" if op.takes_stream else ""


def title(kind: type[MaiRustError]) -> str:
    """The summary of a kind of error, the same for every occurrence."""
    return (kind.__doc__ or kind.__name__).partition("\n")[0].partition(":")[0].rstrip(".;")


def _fit_for(request: Request, error: MaiRustError) -> MaiRustError:
    """The error itself for the site's own administrators, else a text without paths and addresses."""
    by = request.scope.get("mairust.by")
    inside = by is not None and by.reach.kind is ReachKind.SITE
    if inside or error.detail == "unexpected" or f"{error.code}.outside" not in catalogue("en"):
        return error
    return type(error)("outside")


def _headers_of(error: MaiRustError) -> dict[str, str]:
    if isinstance(error, Unauthenticated):
        # no error code where nothing of this scheme was sent (RFC 6750 §3.1)
        wrong = "" if error.detail in {"missing", "scheme"} else ', error="invalid_token"'
        return {"www-authenticate": f'Bearer realm="mairust"{wrong}'}
    if isinstance(error, Forbidden) and error.detail == "scope":
        return {"www-authenticate": 'Bearer realm="mairust", error="insufficient_scope"'}
    wait_s = error.values.get("retry_after_s", RETRY_AFTER_S)
    return {"retry-after": str(wait_s)} if isinstance(error, Temporary) else {}


def preferred(headers: Headers) -> str:
    """The best of our languages for an Accept-Language header (RFC 9110 §12.5.4); English when in doubt."""
    best, weight = LANGUAGES[0], 0.0
    for item in headers.get("accept-language", "")[:500].split(","):
        tag, _, quality = item.strip().partition(";")
        language = tag.split("-")[0].lower()
        q = _weight(quality)
        if language in LANGUAGES and q > weight:
            best, weight = language, q
    return best


def _weight(parameter: str) -> float:
    name, _, text = parameter.replace(" ", "").partition("=")
    if not name:
        return 1.0
    try:
        return float(text) if name == "q" else 0.0
    except ValueError:
        return 0.0


async def answer_framework(request: Request, error: Exception) -> Response:
    """What Starlette refuses by itself: no such route, or another method there (RFC 9110 §15.5.6, §9.3.7)."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == HTTPStatus.NOT_FOUND:
        return problem(request, NotFound("route", path=path[:200]))
    allowed = ", ".join(_allowed(request))
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and request.scope["method"] == "OPTIONS":
        return Response(status_code=204, headers={"allow": allowed})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        wrong = Usage("method", method=request.scope["method"], path=path[:200], allowed=allowed)
        return problem(request, Fault(error.status_code, wrong, {"allow": allowed}))
    return problem(request, Fault(error.status_code, Usage("http")))


def _allowed(request: Request) -> list[str]:
    methods = {"OPTIONS"}
    matching = [one for one in request.app.router.routes if one.matches(request.scope)[0] is not Match.NONE]
    named = [route for route in matching if "{" not in route.path]  # `/jobs/retry` is no `/jobs/{id}`
    for route in named or matching:
        methods |= route.methods or set()
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))
