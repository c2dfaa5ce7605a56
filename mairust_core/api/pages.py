"""`/api/v1/openapi.json` and the interactive page `/docs`, without anything from outside."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from mairust_core.api.routes import PREFIX

PAGE_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FILES = (
    ("/docs", "page.html", "text/html; charset=utf-8"),
    ("/docs/page.js", "page.js", "text/javascript; charset=utf-8"),
    ("/docs/page.css", "page.css", "text/css; charset=utf-8"),
)


def add_pages(app: FastAPI, document: Callable[[], dict[str, Any]]) -> None:
    """Add the document and the page that shows it and tries requests."""
    openapi = Response(json.dumps(document(), ensure_ascii=False), media_type="application/json")
    app.add_route(f"{PREFIX}/openapi.json", _fixed(openapi), methods=["GET"], include_in_schema=False)
    for path, name, media_type in _FILES:
        body = files(__package__).joinpath("docs_page", name).read_bytes()
        headers = {"content-type": media_type, "content-security-policy": PAGE_CSP}
        app.add_route(path, _fixed(Response(body, 200, headers)), methods=["GET"], include_in_schema=False)


def _fixed(response: Response) -> Callable[[Request], Any]:
    async def answer(_: Request) -> Response:
        return response

    return answer
