"""`/api/v1/openapi.json` and the interactive page `/docs`, without anything from outside."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mairust_core.api.routes import PREFIX

DOCUMENT = files(__package__).joinpath("docs_page", "openapi-v1.json")
"""The OpenAPI document as `document` makes it: a worker that made it anew would hold 16 MB for that."""

PAGE_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FILES = (
    ("/docs", "page.html", "text/html; charset=utf-8"),
    ("/docs/page.js", "page.js", "text/javascript; charset=utf-8"),
    ("/docs/page.css", "page.css", "text/css; charset=utf-8"),
)


def page_routes() -> list[Route]:
    """The document and the page that shows it and tries requests."""
    found = [Route(f"{PREFIX}/openapi.json", _document)]
    for path, name, media_type in _FILES:
        body = files(__package__).joinpath("docs_page", name).read_bytes()
        headers = {"content-type": media_type, "content-security-policy": PAGE_CSP}
        found.append(Route(path, _fixed(Response(body, 200, headers))))
    return found


async def _document(_: Request) -> Response:
    """Read for who asks, which is seldom: it is most of a megabyte."""
    return Response(DOCUMENT.read_bytes(), media_type="application/json")


def _fixed(response: Response) -> Callable[[Request], Any]:
    async def answer(_: Request) -> Response:
        return response

    return answer
