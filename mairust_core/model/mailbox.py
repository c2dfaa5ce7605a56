"""Mailboxes."""

from __future__ import annotations

from dataclasses import dataclass

INBOX = "INBOX"
QUARANTINE = "Quarantine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """A mailbox as IMAP STATUS tells it (RFC 9051 §6.3.11)."""

    name: str
    messages: int
    unseen: int
    uidvalidity: int
    uidnext: int
