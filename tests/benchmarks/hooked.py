"""``mairust`` with hooks from a file: ``python -m tests.benchmarks.hooked FILE serve …``.

The file is a JSON list of ``{"name", "url", "sender"}``, perhaps with ``"type"``: hooks at a URL, for mail
from senders that match; with ``"directory"`` in place of ``"url"`` they are workers of ``plugin.py`` there.
They see headers and preview, with ``"sees": "headers"`` nothing more than the headers. Nothing else differs
from ``mairust``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

from mairust_core import app
from mairust_core.app import Site
from mairust_core.config import Settings
from mairust_core.hooks.book import MemoryBook, Registered
from mairust_core.model.hook import Filter, Hook, HookType
from mairust_core.model.plugin import (
    Body,
    Entry,
    Limits,
    Network,
    Permissions,
    ProcessMode,
    Protocol,
    Runnable,
)
from mairust_core.serve import worker

SEEN = {"headers": Body.NONE, "preview": Body.PREVIEW}


def registered(one: dict[str, str]) -> Registered:
    """The hook of one entry."""
    plugin = _worker(one) if "directory" in one else _service(one)
    hook = Hook(
        name=f"{plugin.id}:{one.get('type', 'pre_receive')}",
        type=HookType(one.get("type", "pre_receive")),
        plugin=plugin.id,
        filter=Filter(sender_matches=one["sender"]),
    )
    return Registered(hook=hook, plugin=plugin)


def _service(one: dict[str, str]) -> Runnable:
    return Runnable(
        id=f"com.example.{one['name']}",
        version="1.0.0",
        entry=Entry(protocol=Protocol.HTTP, endpoint=one["url"]),
        permissions=_permissions(one),
        limits=Limits(network=Network.LOCAL_ONLY, network_allow=(urlsplit(one["url"]).netloc,)),
    )


def _worker(one: dict[str, str]) -> Runnable:
    command = ("python3", "plugin.py")
    return Runnable(
        id=f"com.example.{one['name']}",
        version="1.0.0",
        entry=Entry(protocol=Protocol.STDIN, command=command, mode=ProcessMode.WORKER),
        permissions=_permissions(one),
        limits=Limits(),
        directory=Path(one["directory"]),
    )


def _permissions(one: dict[str, str]) -> Permissions:
    seen = SEEN[one.get("sees", "preview")]
    return Permissions(read_headers=True, read_body=seen, write_tags=True, move_message=True)


def main(file: str) -> None:
    """Be ``mairust`` on a site with these hooks."""
    book = MemoryBook(*map(registered, json.loads(Path(file).read_text())))
    open_site = app.open_site

    def with_hooks(settings: Settings) -> Site:
        site = open_site(settings)
        site.hook_book = book
        return site

    vars(worker)["open_site"] = with_hooks
    from mairust_cli.entry import main as entry

    sys.argv[1:] = sys.argv[2:]
    entry()


if __name__ == "__main__":
    main(sys.argv[1])
