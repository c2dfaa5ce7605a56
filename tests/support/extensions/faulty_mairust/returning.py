"""Returns what no specification allows."""

from __future__ import annotations

from collections.abc import Iterator

from mairust_core.extend import ApiRouter, MailHooks, hookimpl


@hookimpl
def open_storage() -> object:
    """No database."""
    return object()


@hookimpl
def open_blobs() -> str:
    """No blob store."""
    return "blobs"


@hookimpl
def open_search() -> object:
    """No engine."""
    return object()


@hookimpl
def open_transport() -> str:
    """No opener."""
    return "opener"


@hookimpl
def mail_hooks() -> list[object]:
    """No hooks, hooks without a function, hooks of another protocol, and hooks whose plugin.toml is none."""
    toml = 'id = "com.acme.odd"\nversion = "1.0.0"\n[entry]\nprotocol = "inprocess"\n'
    stdin = toml.replace('"inprocess"', '"stdin"\ncommand = ["./x"]')
    reserved = toml.replace("com.acme", "mairust")
    odd: list[object] = ["hooks", MailHooks(plugin_toml=toml, answer="greet")]  # type: ignore[arg-type]  # so
    return odd + [MailHooks(plugin_toml=one, answer=dict) for one in (stdin, reserved, "not toml")]


@hookimpl
def api_routers() -> Iterator[object]:
    """A router, one with a bad name, one that cannot be called, and an end too early."""
    yield "router"
    yield ApiRouter(name="../x", router=print)  # type: ignore[arg-type]  # as it says
    yield ApiRouter(name="odd", router="router")  # type: ignore[arg-type]  # as it says
    raise ZeroDivisionError("routers")


@hookimpl
def commands() -> dict[object, object]:
    """Names and values that are none."""
    return {
        1: ("m:app", "x"),
        "Odd": ("m:app", "x"),
        "odd": "m:app",
        "no-app": ("m", "x"),
        "red": ("m:a", "\x1b[31m"),
    }
