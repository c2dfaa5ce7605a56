"""Everything that an extension can add, as small as it can be; built as a wheel and installed by tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mairust_core.extend import ApiRouter, MailHooks, hookimpl

if TYPE_CHECKING:
    from mairust_core.blobs import BlobStore
    from mairust_core.config import Settings
    from mairust_core.hooks.pool import Open
    from mairust_core.search.engine import Engine
    from mairust_core.store import StorageBackend

NAME = "acme"
GREETER = """
id = "com.acme.greeter"
version = "1.0.0"

[entry]
protocol = "inprocess"

[permissions]
read_headers = true
write_tags = true

[[hooks]]
type = "pre_delivery"
filter = { subject_matches = "hello" }
"""


@hookimpl
def open_storage(url: str) -> StorageBackend | None:
    """A database `acme:///PATH`."""
    if not url.startswith(f"{NAME}:///"):
        return None
    from .storage import AcmeStorage

    return AcmeStorage(url)


@hookimpl
def open_blobs(driver: str, settings: Settings) -> BlobStore | None:
    """A file for each blob, in the directory that `blobs.options` names."""
    if driver != NAME:
        return None
    from .blobs import DirectoryBlobs

    return DirectoryBlobs.of(settings.blobs)


@hookimpl
def open_search(engine: str, settings: Settings) -> Engine | None:
    """An index of lines, in the file that `search.options` names."""
    if engine != NAME:
        return None
    from .search import LineEngine

    return LineEngine((settings.search.options or {})["file"])


@hookimpl
def open_transport(protocol: str) -> Open | None:
    """Plugins whose answer stands in a file."""
    if protocol != NAME:
        return None
    from .transport import FileTransport

    return FileTransport


@hookimpl
def mail_hooks() -> Iterable[MailHooks]:
    """A plugin that greets."""
    return [MailHooks(plugin_toml=GREETER, answer=greet)]


def greet(request: dict[str, Any]) -> Mapping[str, Any]:
    """Tag a mail, and say in a second tag what was told of it."""
    told = "-".join(sorted(request["message"]))
    return {"action": "deliver", "tags": ["greeted", f"told-{told}"], "flags": ["\\Flagged"]}


@hookimpl
def api_routers() -> Iterable[ApiRouter]:
    """What the site's domains are called, for administrators."""
    from .routes import router

    return [ApiRouter(name=NAME, router=router)]


@hookimpl
def commands() -> Mapping[str, tuple[str, str]]:
    """`mairust acme`."""
    return {NAME: ("acme_mairust.command:app", "Count the domains of the site.")}
