"""What `import` and `export` share: the account at the other end, the report, and how far it is."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

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
    Outcome,
    Tally,
)
from mairust_core.operations import Item, ItemsIn
from mairust_core.services.importing import Imports
from mairust_core.transfer.importing import RETRIES_S, Batches

if TYPE_CHECKING:
    from mairust_core.transfer.importing import Told

SOME_FAILED = 3
SHOWN_EVERY_S = 0.2

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
    """Where what was left out is told: a file of JSON lines, and on a terminal the first failures."""

    output: Output
    file: IO[str] | None = None
    shown: int = 0
    account: str = ""

    def tell(self, told: Told) -> None:
        """Write down one message that was skipped or failed."""
        if self.file is not None:
            line = {
                "path": told.path, "account": self.account, "mailbox": told.mailbox,
                "outcome": told.outcome.value, "code": told.code, "why": told.why,
            }  # fmt: skip
            text = json.dumps(line, ensure_ascii=False)
            self.file.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
        if told.outcome is Outcome.FAILED and self.shown < MAX_SHOWN:
            self.shown += 1
            self.output.note(f"{clean(told.path)}: {clean(told.why)}")


MAX_SHOWN = 10
"""Failures beyond these are in the report only."""


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


@dataclass(kw_only=True)
class Progress:
    """One line on a terminal that tells how far a run is; elsewhere nothing."""

    output: Output
    expected: int | None = None
    began_s: float = field(default_factory=time.monotonic)
    _shown_s: float = 0.0

    def __post_init__(self) -> None:
        self.visible = self.output.stderr.isatty() and not self.output.quiet and not self.output.json
        """Whether somebody sees it."""

    def expect(self, messages: int | None, tally: Tally) -> None:
        """So many messages are to come beyond those that `tally` counts."""
        self.expected = None if messages is None else tally.messages + messages

    @property
    def seconds(self) -> float:
        """How long it runs already."""
        return time.monotonic() - self.began_s

    def show(self, tally: Tally) -> None:
        """Tell how far it is, a few times a second."""
        if not self.visible:
            return
        now_s = time.monotonic()
        if now_s - self._shown_s < SHOWN_EVERY_S:
            return
        self._shown_s = now_s
        self._write(progress_line(tally, self.seconds, self.expected))

    def end(self) -> None:
        """Leave the terminal's line as it was."""
        if self._shown_s:
            self._write("")

    def _write(self, text: str) -> None:
        print(f"\r{text}\x1b[K", end="", file=self.output.stderr, flush=True)


def progress_line(tally: Tally, seconds: float, expected: int | None) -> str:
    """Messages, rates, time left, and where it is."""
    rate = tally.messages / seconds if seconds else 0.0
    words = [f"{tally.messages} messages", f"{rate:.0f}/s", f"{size(round(tally.size_bytes / seconds))}/s"]
    if expected and rate:
        left_s = max(0, round((expected - tally.messages) / rate))
        words.append(f"{left_s // 60}:{left_s % 60:02d} left")
    return ", ".join([*words, clean(tally.mailbox)])


def cache_directory(session: Session) -> Path:
    """Where hashes of files are remembered: with the site, or in the user's cache beside a server."""
    if not session.server_url:
        return session.settings().data_dir / "cache" / "imports"
    cache = session.env.get("XDG_CACHE_HOME") or os.path.join(session.env.get("HOME", "/"), ".cache")
    return Path(cache) / "mairust" / "imports"
