"""What an import reads from: folders with messages, whatever form they have on disk."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from mairust_core.errors import MaiRustError
from mairust_core.i18n import Wording, explain
from mairust_core.transfer.payload import Payload


class SystemWords(str):
    """What the system says of an error, in a text; it still knows which one it was."""

    __slots__ = ("errno",)
    errno: int | None

    @classmethod
    def of(cls, error: OSError, *, lower: bool = False) -> SystemWords:
        """The words of an error, on wish in lower case."""
        text = error.strerror or type(error).__name__
        words = cls(text.lower() if lower else text)
        words.errno = error.errno
        return words


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something was left out or changed; `code` is stable, `why` says it to people.

    The text is that of an error of ours, else `import.KEY` of the screens filled with `values`.
    """

    code: str
    values: Mapping[str, object] = field(default_factory=dict)
    key: str = ""
    error: MaiRustError | None = None

    @classmethod
    def of(cls, code: str, /, *, key: str = "", **values: object) -> Reason:
        """A reason with its values; `key` where the text is not that of its code."""
        return cls(code, values, key or code)

    @classmethod
    def refused(cls, error: MaiRustError) -> Reason:
        """A reason for which an error of ours stands."""
        return cls(error.code, error=error)

    @property
    def wording(self) -> Wording:
        """Its text, where it is no error of ours."""
        return Wording(f"import.{self.key}", **self.values)

    @property
    def denied(self) -> bool:
        """Whether the system said that somebody else may do that, whatever language it is told in."""
        values = self.values if self.error is None else self.error.values
        return any(map(_is_denial, values.values()))

    def why(self, lang: str = "en") -> str:
        """The reason in a language."""
        if self.error is not None:
            return " ".join(explain(self.error, lang)).strip()
        return self.wording.in_(lang)


def _is_denial(value: object) -> bool:
    if isinstance(value, Wording):
        return any(map(_is_denial, value.values.values()))
    return isinstance(value, SystemWords) and value.errno in {errno.EACCES, errno.EPERM}


class Fate(StrEnum):
    """What became of what is told; the word of the report."""

    SKIPPED = "skipped"
    """A message that the ledger counts already."""
    FAILED = "failed"
    """A message, or a source, that was left out."""
    RENAMED = "renamed"
    """A folder that is kept under another name."""
    CHANGED = "changed"
    """What came, yet not for certain with every keyword as it was, or not parted as its mbox said."""
    LEFT = "left"
    """A file, or a directory, that does not look like mail and was left alone."""


class Unusable(Exception):
    """One message cannot be had; `reason` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class Found(Protocol):
    """One message in a source, which may not have been read yet."""

    @property
    def path(self) -> str:
        """Where it is, as a report names it."""
        ...

    @property
    def size_bytes(self) -> int:
        """About how long it is; known without reading it."""
        ...

    @property
    def key(self) -> bytes:
        """By what its hash is remembered; empty when it has to be read again."""
        ...

    def flags(self) -> tuple[str, ...]:
        """System flags and keywords."""
        ...

    def received_at(self) -> datetime:
        """When it was received, as far as its place tells."""
        ...

    def load(self) -> Payload:
        """Its bytes; raises `Unusable`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A message, or a folder, that cannot be read at all."""

    path: str
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """Something that is to be told and is no failure; `fate` is what became of it."""

    path: str
    reason: Reason
    fate: Fate


def unfinished(mark: Path) -> Aside:
    """An export of ours that was broken off, by the file that marks it."""
    return Aside(path=str(mark), reason=Reason.of("unfinished"), fate=Fate.CHANGED)


class Folder(Protocol):
    """Messages that lie together."""

    @property
    def mailbox(self) -> str:
        """The mailbox it is."""
        ...

    @property
    def called(self) -> str:
        """What it is called there."""
        ...

    @property
    def path(self) -> str:
        """Where it is."""
        ...

    def messages(self) -> Iterator[Found | Broken | Aside]:
        """Its messages, in the order of their arrival."""
        ...


class Source(Protocol):
    """Everything one account gets."""

    @property
    def path(self) -> str:
        """Where it begins."""
        ...

    def folders(self) -> Iterable[Folder]:
        """Its folders, INBOX first."""
        ...

    def subscribed(self) -> tuple[str, ...]:
        """The mailboxes subscribed to."""
        ...

    def expected(self) -> int | None:
        """About how many messages there are; None when only reading all of it would tell."""
        ...

    def left(self) -> tuple[Broken | Aside, ...]:
        """What was seen and is in no folder, known once all folders were asked for."""
        ...
