"""What `import` and `export` share: the account at the other end, the report, and how far it is."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from mairust_cli.output import Column, Columns, Output
from mairust_cli.session import Session
from mairust_cli.text import clean, size
from mairust_core.errors import Usage
from mairust_core.model.copies import (
    AskedCopies,
    ImportedCopy,
    MovedIn,
    MovedOut,
    NewCopy,
    NewFolders,
    Tally,
)
from mairust_core.model.mailbox import INBOX
from mairust_core.operations import Item, ItemsIn
from mairust_core.services.accounts import Accounts
from mairust_core.services.importing import Imports
from mairust_core.transfer.importing import RETRIES_S, Batches
from mairust_core.transfer.room import Room
from mairust_core.transfer.source import Fate
from mairust_core.transfer.telling import Told

SOME_FAILED = 3

IMPORTED: Columns[MovedIn] = (
    Column("Imported", lambda done: str(done.imported)),
    Column("Skipped", lambda done: str(done.skipped)),
    Column("Failed", lambda done: str(done.failed)),
    Column("Size", lambda done: size(done.bytes)),
    Column("Seconds", lambda done: f"{done.seconds:.1f}"),
)
EXPORTED: Columns[MovedOut] = (
    Column("Exported", lambda done: str(done.exported)),
    Column("Failed", lambda done: str(done.failed)),
    Column("Size", lambda done: size(done.bytes)),
    Column("Seconds", lambda done: f"{done.seconds:.1f}"),
)


class Account:
    """One account as the target of an import: on this machine in one stream, on a server in batches."""

    def __init__(self, session: Session, address: str, *, again: bool) -> None:
        self._imports = session.operations(Imports)
        self._accounts = session.operations(Accounts)
        self._address = address
        self._again = again
        self._remote = bool(session.server_url)

    def prepare(self, mailboxes: Sequence[str], subscribed: Sequence[str]) -> None:
        """Make mailboxes, and subscribe."""
        self._imports.prepare(
            self._address, NewFolders(mailboxes=tuple(mailboxes), subscribed=tuple(subscribed))
        )

    def known(self, mailbox: str, hashes: Sequence[bytes]) -> Sequence[int]:
        """What the ledger counts."""
        asked = AskedCopies(mailbox=mailbox, sha256=tuple(one.hex() for one in hashes))
        return self._imports.known(self._address, asked).copies

    def limits(self) -> Room:
        """What the account still takes."""
        account = self._accounts.show(self._address)
        asked = AskedCopies(mailbox=INBOX, sha256=())
        return Room(
            address=account.address,
            max_size_bytes=self._imports.known(self._address, asked).max_size_bytes,
            left_bytes=None if account.quota_bytes is None else account.quota_bytes - account.used_bytes,
        )

    def send(self, items: Iterator[Item[NewCopy]]) -> Iterator[ImportedCopy]:
        """Store messages."""
        if not self._remote:
            return self._batch(items)
        # what was added whatever the ledger says would be there twice if its answer was lost
        retries_s = () if self._again else RETRIES_S
        return Batches(lambda batch: self._batch(iter(batch)), retries_s=retries_s).send(items)

    def _batch(self, items: Iterator[Item[NewCopy]]) -> Iterator[ImportedCopy]:
        answers = self._imports.batch(self._address, ItemsIn(items=items), again=self._again).items
        return (answer.value for answer in answers)


@dataclass(kw_only=True)
class Report:
    """Where what was left out is told: a file of JSON lines, and stderr, which hears some of each kind."""

    output: Output
    file: IO[str] | None = None
    shown: Counter[Fate] = field(default_factory=Counter)
    account: str = ""
    denied: bool = False
    """Whether something may not be read, by what was told."""

    def tell(self, told: Told) -> None:
        """Write down what became of a message, a folder or a file that is not here as it was there."""
        why = told.reason.why(self.output.lang)
        self.denied |= told.outcome is Fate.FAILED and told.reason.denied
        if self.file is not None:
            line = {
                "path": told.path, "account": self.account, "mailbox": told.mailbox,
                "outcome": str(told.outcome), "code": told.reason.code, "why": why,
            }  # fmt: skip
            text = json.dumps(line, ensure_ascii=False)
            self.file.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
        if told.outcome is not Fate.SKIPPED and self.shown[told.outcome] < MAX_SHOWN:
            self.shown[told.outcome] += 1
            self.output.note(f"{clean(told.path)}: {clean(why)}")


MAX_SHOWN = 10
"""More failures, or more of what else is told, are in the report only."""


@contextmanager
def report(output: Output, path: str | None) -> Iterator[Report]:
    """The report of a run; raises `Usage` when its file cannot be written."""
    if path is None:
        yield Report(output=output)
        return
    try:
        file = open(path, "w", encoding="utf-8")  # noqa: SIM115 - closed below; only opening it may fail so
    except OSError as error:
        raise Usage("unwritable", path=path, why=error.strerror) from error
    with file:
        yield Report(output=output, file=file)


@contextmanager
def shown(
    output: Output, title: str, tally: Tally, expected: Callable[[], int | None]
) -> Iterator[Callable[[Tally], None]]:
    """Gives what tells people at a terminal how far a run is.

    It goes on from what `tally` counts; `expected` says how many messages come, and is asked only there.
    """
    begun, size_bytes = tally.messages, tally.size_bytes
    with output.progress(title, expected() if output.watched else None) as step:

        def show(now: Tally) -> None:
            nonlocal size_bytes
            more_bytes, size_bytes = now.size_bytes - size_bytes, now.size_bytes
            step.advance(now.messages - begun - step.done, size_bytes=more_bytes, at=now.mailbox)

        yield show


def cache_directory(session: Session) -> Path:
    """Where hashes of files are remembered: with the site, or in the user's cache beside a server."""
    if not session.server_url:
        return session.settings().data_dir / "cache" / "imports"
    cache = session.env.get("XDG_CACHE_HOME") or os.path.join(session.env.get("HOME", "/"), ".cache")
    return Path(cache) / "mairust" / "imports"
