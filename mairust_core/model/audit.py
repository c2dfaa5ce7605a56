"""Audit entries: who changed what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mairust_core.model.ids import Id


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One administrative change.

    `actor` is `local:USER` for a command on the site's machine, `token:ID` for an API key; `operation` is
    NOUN.VERB, `subject` a name, an address or an id, never a secret.
    """

    id: Id
    at: datetime
    actor: str
    operation: str
    subject: str
