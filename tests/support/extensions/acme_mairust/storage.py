"""SQLite under another name."""

from __future__ import annotations

from mairust_core.store.sqlite import Sqlite


class AcmeStorage(Sqlite):
    """The database `acme:///PATH`: the embedded one."""

    def __init__(self, url: str) -> None:
        super().__init__(url.replace("acme:///", "sqlite:///", 1))
        self.url = url
