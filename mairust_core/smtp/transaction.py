"""One mail transaction while it is being said (RFC 5321 §3.3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mairust_core.model.envelope import Recipient
    from mairust_core.model.reply import Reply
    from mairust_core.smtp.data import Intake


@dataclass(slots=True, kw_only=True)
class Transaction:
    """What was said since MAIL."""

    mail_from: str | None = None
    smtputf8: bool = False
    body: str = ""
    recipients: list[Recipient] = field(default_factory=list)
    refused: bool = False
    """A recipient was refused."""
    intake: Intake | None = None
    """Content is coming."""
    failure: Reply | None = None
    """A chunk was refused before there was an intake; the following ones are, too."""
    counted: bool = False
    """It is in an outcome already, by a chunk that was refused."""
