"""What an installed Python distribution may add to MaiRust: the specifications of its extensions.

A distribution joins with an entry point of the group `mairust`, which names a module or an object that has
functions marked `@hookimpl`, each with the name of a specification below and some or all of its parameters:

    [project.entry-points.mairust]
    acme = "acme_mairust"

Extensions are trusted: they run inside MaiRust's own processes, and installing one is the consent (rule G6).
Our own drivers implement the same specifications and are asked first, so none of ours can be replaced.
Which ones there are, and what becomes of one that is broken, is in `installed`; authors find more of each
specification in `docs/reference/extensions.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pluggy

from mairust_core.model.principal import Principal, ReachKind, Scope

if TYPE_CHECKING:
    from fastapi import APIRouter, Request
    from starlette.types import ASGIApp

    from mairust_core.app import Site
    from mairust_core.blobs import BlobStore
    from mairust_core.config import Settings
    from mairust_core.hooks.pool import Open
    from mairust_core.search.engine import Engine
    from mairust_core.store import StorageBackend

GROUP = "mairust"

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)
"""Marks the functions of an extension."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailHooks:
    """Hooks that a function of this process answers: told and heard like those of any other plugin.

    `plugin_toml` is the text of a plugin.toml with `protocol = "inprocess"`; it says id, hooks, permissions.
    `answer` gets the request of the hook protocol as a dict and returns the answer. It runs on a thread of
    its own, several calls at a time.
    """

    plugin_toml: str
    answer: Callable[[dict[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRouter:
    """Routes below `/api/v1/x/NAME`, for callers who have `scope` at `reach` or wider.

    `router` is a FastAPI `APIRouter` or any ASGI application.
    """

    name: str
    router: APIRouter | ASGIApp
    scope: Scope = Scope.ADMIN
    reach: ReachKind = ReachKind.SITE


def caller_of(request: Request) -> Principal:
    """Who makes this request of an `ApiRouter`: their scopes and reach, for `site_of(request).service`."""
    by: Principal = request.scope["mairust.by"]
    return by


def site_of(request: Request) -> Site:
    """The site on which an `ApiRouter` is asked; its services do all that the API and the commands do."""
    site: Site = request.scope["mairust.site"]
    return site


@hookspec(firstresult=True)
def open_storage(url: str) -> StorageBackend | None:
    """The database behind a `database.url` of another scheme than ours; nothing is connected yet."""


@hookspec(firstresult=True)
def open_blobs(driver: str, settings: Settings) -> BlobStore | None:
    """The blob store that `blobs.driver` names; `settings.blobs.options` are its own settings."""


@hookspec(firstresult=True)
def open_search(engine: str, settings: Settings) -> Engine | None:
    """The search engine that `search.engine` names; `settings.search.options` are its own settings."""


@hookspec(firstresult=True)
def open_transport(protocol: str) -> Open | None:
    """What opens a way to a plugin whose plugin.toml names this protocol; may block, and does so once."""


@hookspec
def mail_hooks() -> Iterable[MailHooks]:  # type: ignore[empty-body]  # pluggy calls no specification
    """Plugins that run inside this process."""


@hookspec
def api_routers() -> Iterable[ApiRouter]:  # type: ignore[empty-body]  # pluggy calls no specification
    """Routes of the HTTP API."""


@hookspec
def commands() -> Mapping[str, tuple[str, str]]:  # type: ignore[empty-body]  # pluggy calls no specification
    """Commands of `mairust` by name: `("module:app", "First line of its help.")`; imports nothing."""


OUR_COMMANDS = frozenset(
    {
        "init", "serve", "domain", "account", "alias", "mailbox", "message", "import", "export", "plugin",
        "hook", "job", "trace", "search", "index", "token", "backup", "restore", "status", "doctor", "audit",
        "secrets", "gc", "config", "db", "deliver", "completion", "key", "trust",
    }
)  # fmt: skip
"""The names that no extension's command can have: those of the command line, and those kept for it."""
