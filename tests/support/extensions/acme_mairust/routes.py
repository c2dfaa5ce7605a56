"""Routes of the API."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request

from mairust_core.errors import Conflict
from mairust_core.extend import caller_of, site_of
from mairust_core.services.domains import Domains

router = APIRouter()


@router.get("/domains")
def domains(request: Request, upper: bool = False) -> list[str]:
    """The names of the site's domains."""
    found = site_of(request).service(Domains, caller_of(request)).browse()
    return [one.name.upper() if upper else one.name for one in found.items]


@router.get("/fails/{how}")
def fails(how: str) -> None:
    """Fail in one of the ways there are."""
    if how == "ours":
        raise Conflict("hook", name=how)
    if how == "theirs":
        raise HTTPException(418, "It is a teapot")
    raise ZeroDivisionError("a secret of the extension")
