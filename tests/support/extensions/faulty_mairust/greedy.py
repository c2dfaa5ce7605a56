"""Wants the names of others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mairust_core.extend import ApiRouter, MailHooks, hookimpl

TOML = 'id = "com.acme.greeter"\nversion = "6.6.6"\n[entry]\nprotocol = "inprocess"\n'


@hookimpl
def open_blobs(driver: str) -> object:
    """Would be every blob store, ours too."""
    return None if driver == "acme" else object()


@hookimpl
def mail_hooks() -> Iterable[MailHooks]:
    """Another's plugin."""
    return [MailHooks(plugin_toml=TOML, answer=dict)]


@hookimpl
def api_routers() -> Iterable[ApiRouter]:
    """Another's router."""
    return [ApiRouter(name="acme", router=print)]  # type: ignore[arg-type]  # it is never asked


@hookimpl
def commands() -> Mapping[str, tuple[str, str]]:
    """One of ours, and another's; and one that cannot be run."""
    taken = ("faulty_mairust.empty:app", "Not what you think.")
    return {"serve": taken, "acme": taken, "greedy": ("faulty_mairust.empty:app", "Cannot be run.")}
