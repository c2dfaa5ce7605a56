"""What an import reads from: folders with messages, whatever form they have on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mairust_core.errors import MaiRustError
from mairust_core.i18n import explain, say
from mairust_core.transfer.payload import Payload


class Unusable(Exception):
    """One message, or one folder, is left out; `code` is stable, `why` says it to people.

    The text is `import.CODE` of the screens, or that of `key`, filled with `values`.
    """

    def __init__(self, code: str, /, *, key: str = "", **values: object) -> None:
        super().__init__(code, values)
        self.code = code
        self._key = key or code
        self._values = values

    def why(self, lang: str = "en") -> str:
        """The reason in a language."""
        return say(f"import.{self._key}", lang, **self._values)


class Refusal(Unusable):
    """A message, or a source, that an error of ours stands for."""

    def __init__(self, error: MaiRustError) -> None:
        super().__init__(error.code)
        self._error = error

    def why(self, lang: str = "en") -> str:
        """The error in a language."""
        return " ".join(explain(self._error, lang)).strip()


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
    error: Unusable


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

    def messages(self) -> Iterator[Found | Broken]:
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

    def notes(self) -> tuple[str, ...]:
        """What was seen and left alone, for people."""
        ...
