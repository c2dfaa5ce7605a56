"""The routes of extensions, `/api/v1/x/NAME`: behind the same keys and limits as every other (rule G6).

They are not in our OpenAPI document, which is the same for every site of a version. A FastAPI router has a
document of its own at `/api/v1/x/NAME/openapi.json`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mairust_core.api.edge import Edge
from mairust_core.api.problems import Fault, answer_framework, problem
from mairust_core.api.routes import PREFIX
from mairust_core.errors import BY_CODE, Invalid, MaiRustError, Usage
from mairust_core.installed.extensions import Extensions
from mairust_core.installed.faults import FaultKind
from mairust_core.installed.offers import read_routers

if TYPE_CHECKING:
    from mairust_core.app import Site
    from mairust_core.extend import ApiRouter

EXTENDED = f"{PREFIX}/x"


def applications(found: Extensions) -> dict[str, tuple[ApiRouter, ASGIApp]]:
    """The routers that extensions bring and their applications, by name; what is wrong with one is noted."""
    made: dict[str, tuple[ApiRouter, ASGIApp]] = {}
    for name, (extension, one) in read_routers(found).items():
        try:
            made[name] = one, _application(one)
        except Exception as error:
            found.note(extension, FaultKind.ANSWER, f"api_routers: {name}: {error}")
    return made


def add_extended(app: FastAPI, site: Site, edge: Edge) -> None:
    """Add the routes of every extension that may speak."""
    for name, (one, inner) in applications(site.joined.extensions).items():
        app.mount(f"{EXTENDED}/{name}", _Guarded(one, inner, site, edge), name)


def _application(one: ApiRouter) -> ASGIApp:
    """The router as an application; raises whatever making it raises."""
    if not isinstance(one.router, APIRouter):
        return one.router
    inner = FastAPI(title=one.name, docs_url=None, redoc_url=None, redirect_slashes=False)
    inner.include_router(one.router)
    inner.openapi()  # what it cannot describe is told now
    inner.add_exception_handler(HTTPException, _answer_http)
    inner.add_exception_handler(RequestValidationError, _answer_invalid)
    inner.add_exception_handler(MaiRustError, _answer_ours)
    inner.add_exception_handler(Exception, _answer_unexpected)
    return inner


class _Guarded:
    """An application of others: asked only by those who may, and whatever it does is its own failure."""

    def __init__(self, one: ApiRouter, inner: ASGIApp, site: Site, edge: Edge) -> None:
        self._one = one
        self._inner = inner
        self._site = site
        self._edge = edge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        async def serve(request: Request) -> Response:
            await self._edge.admit(request, self._one.scope, self._one.reach)
            scope["mairust.site"] = self._site
            await self._inner(scope, receive, noting)
            if not started:
                raise RuntimeError(f"the router {self._one.name} gave no answer")
            return Response()

        response = await self._edge.guarded(f"x/{self._one.name}", serve)(Request(scope, receive))
        if not started:
            await response(scope, receive, send)


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
