"""Audit entries: who changed what."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mairust_core.model.ids import Id


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryDetails:
    """What exactly a change was, by the names of the API.

    `asked` is what the request gave: its parameters and the members of its body, without secrets and without
    bytes; of a package or a list that was sent, what it turned out to be. `before` is what of it was there
    before, of something that was removed all that is worth knowing; empty where nothing was. `cut` says that
    this was longer than 4 KiB: values that end in `…` are the beginnings of what they were, as text.
    """

    asked: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One administrative change.

    `actor` is `local:USER` for a command on the site's machine, `token:ID` for an API key; `operation` is
    NOUN.VERB, `subject` a name, an address or an id, never a secret. `details` is null where nothing was
    kept: for what the server did by itself, and for entries of older versions.
    """

    id: Id
    at: datetime
    actor: str
    operation: str
    subject: str
    # an older server tells none
    details: EntryDetails | None = None
