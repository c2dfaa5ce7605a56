"""Offers a router of which no application can be made, and an application that is none of FastAPI's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter

from mairust_core.extend import ApiRouter, hookimpl


class Unroutable(APIRouter):
    """Has no routes to give."""

    def __getattribute__(self, name: str) -> Any:
        if name == "routes" and "on_startup" in vars(self):
            raise ValueError("no routes today")
        return super().__getattribute__(name)


async def plain(scope: Any, receive: Any, send: Any) -> None:
    """Answer nothing."""


@hookimpl
def api_routers() -> Iterable[ApiRouter]:
    """Both."""
    return [ApiRouter(name="odd", router=Unroutable()), ApiRouter(name="plain", router=plain)]
