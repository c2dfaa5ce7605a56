"""One run of an export: the messages of an account into files that other programs read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from mairust_core.disk import is_full
from mairust_core.errors import Conflict, DiskFull, Usage
from mairust_core.i18n import Wording
from mairust_core.model.copies import ExportedCopy, Folders, Tally
from mairust_core.operations import Item
from mairust_core.transfer.names import UNFINISHED
from mairust_core.transfer.source import Fate, Reason
from mairust_core.transfer.telling import Told


class Writer(Protocol):
    """A form of mail on disk. Raises `OSError`."""

    def begin(self, mailbox: str) -> Reason | None:
        """Messages go into this mailbox from now on; why other programs do not show it, if they do not."""
        ...

    def add(self, copy: ExportedCopy, size_bytes: int, chunks: Iterable[bytes]) -> None:
        """Write one message."""
        ...

    def end(self) -> None:
        """Finish the mailbox."""
        ...

    def abort(self) -> None:
        """Leave what is there such that it can be read; raises nothing."""
        ...

    def subscribe(self, mailboxes: Iterable[str]) -> None:
        """Write down the subscriptions."""
        ...


class ExportRun:
    """One account, or one of its mailboxes, into a place where nothing is yet."""

    def __init__(
        self,
        path: Path,
        writer: Writer,
        *,
        tell: Callable[[Told], None],
        progress: Callable[[Tally], None],
    ) -> None:
        self.tally = Tally()
        self._path = path
        self._writer = writer
        self._tell = tell
        self._progress = progress

    def run(self, folders: Folders, items: Iterator[Item[ExportedCopy]], mailbox: str = "") -> Tally:
        """Write everything; durable when it returns. `items` come mailbox by mailbox.

        A damaged message is told and left out (trap D6). Raises `DiskFull`, and `Usage` when the place cannot
        be written to. What is broken off can be read, and is marked as unfinished in its directory.
        """
        left = [mailbox] if mailbox else list(folders.mailboxes)
        with self._failing(), self._unfinished():
            for name in left[:1]:
                self._begin(name)
            for item in items:
                while item.value.mailbox != self.tally.mailbox:
                    self._next(left, item.value.mailbox)
                self._add(item)
            while len(left) > 1:
                self._next(left, left[1])
            if left:
                self._writer.end()
            if not mailbox:
                self._writer.subscribe(folders.subscribed)
        return self.tally

    def _begin(self, mailbox: str) -> None:
        self.tally.mailbox = mailbox
        if (reason := self._writer.begin(mailbox)) is not None:
            self._tell(Told(path=mailbox, mailbox=mailbox, outcome=Fate.CHANGED, reason=reason))

    def _next(self, left: list[str], wanted: str) -> None:
        """Go on to the next mailbox; to `wanted` itself when it is newer than the list."""
        self._writer.end()
        del left[:1]
        if wanted not in left:
            left.insert(0, wanted)
        self._begin(left[0])

    def _add(self, item: Item[ExportedCopy]) -> None:
        copy, size_bytes = item.value, item.content.size_bytes or 0
        if copy.why:
            self.tally.failed += 1
            self._tell(
                Told(
                    path=str(copy.id), mailbox=copy.mailbox, outcome=Fate.FAILED,
                    reason=Reason.of("damaged", key="stored_damaged", why=copy.why),
                )
            )  # fmt: skip
        else:
            self._writer.add(copy, size_bytes, item.content.chunks)
            self.tally.done += 1
            self.tally.size_bytes += size_bytes
        self._progress(self.tally)

    @contextmanager
    def _unfinished(self) -> Iterator[None]:
        mark = self._path / UNFINISHED
        marked = self._path.is_dir()
        if marked:
            mark.write_text(f"{Wording('export.unfinished')}\n", "utf-8")
        try:
            yield
        except BaseException:
            self._writer.abort()
            raise
        os.sync()
        if marked:
            mark.unlink()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = error.strerror or type(error).__name__
            if is_full(error):
                raise DiskFull("export", path=self._path, why=why) from error
            raise Usage("unwritable", path=error.filename or self._path, why=why) from error


def require_free(path: Path) -> None:
    """Make a directory that is not there yet; raises `Conflict` when something is in it already."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        if (path / UNFINISHED).exists():
            raise Conflict("unfinished_export", path=path)
        if any(path.iterdir()):
            raise Conflict("not_empty", path=path)
    except FileExistsError as error:
        raise Conflict("not_empty", path=path) from error
    except OSError as error:
        raise Usage("unwritable", path=path, why=error.strerror) from error


def require_no_file(path: Path) -> None:
    """Raise `Conflict` when something has that name already."""
    if path.exists():
        raise Conflict("not_empty", path=path)
