"""A FastAPI router of an extension as an application, whose refusals are problems as all of ours are.

FastAPI is loaded for who brings such a router: without one no worker holds it.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from mairust_core.api.problems import Fault, answer_framework, problem
from mairust_core.errors import BY_CODE, Invalid, MaiRustError, Usage


def application(title: str, router: APIRouter) -> FastAPI:
    """The router as an application; raises whatever making it raises."""
    made = FastAPI(title=title, docs_url=None, redoc_url=None, redirect_slashes=False)
    made.include_router(router)
    made.openapi()  # what it cannot describe is told now
    made.add_exception_handler(HTTPException, _answer_http)
    made.add_exception_handler(RequestValidationError, _answer_invalid)
    made.add_exception_handler(MaiRustError, _answer_ours)
    made.add_exception_handler(Exception, _answer_unexpected)
    return made


async def _answer_http(request: Request, error: Exception) -> Response:
    """What a router refuses with FastAPI's own exception: its status, and its words where it has some."""
    assert isinstance(error, HTTPException)
    said = str(error.detail)
    if error.status_code in (404, 405) and said == HTTPStatus(error.status_code).phrase:
        return await answer_framework(request, error)
    kinds = (kind for kind in BY_CODE.values() if kind.status == error.status_code)
    told = MaiRustError.from_wire(next(kinds, Usage).code, said, "")
    return problem(request, Fault(error.status_code, told, dict(error.headers or {})))


async def _answer_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first: dict[str, Any] = dict(error.errors()[0])
    where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    return problem(request, Invalid(where, str(first["msg"])))


async def _answer_ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, MaiRustError)
    return problem(request, error)


async def _answer_unexpected(request: Request, _: Exception) -> Response:
    """The error itself goes on to the guard, which logs it."""
    return problem(request, MaiRustError("unexpected", request_id=request.scope["mairust.request_id"]))
