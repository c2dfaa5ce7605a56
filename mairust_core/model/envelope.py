"""What a mail says outside of itself: who sent it to whom, over which connection (RFC 5321 §2.3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mairust_core.model.principal import DEFAULT_TENANT


class Road(StrEnum):
    """How a mail came in."""

    SMTP = "smtp"
    LMTP = "lmtp"
    DELIVER = "deliver"
    APPEND = "append"
    IMPORT = "import"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """The client as far as it is known: None where a front server did not tell (rule J2)."""

    road: Road
    ip: str | None = None
    port: int | None = None
    helo: str = ""
    esmtp: bool = False
    tls: str = ""
    """TLS version and cipher, empty in clear."""
    session_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """One RCPT TO: the address as given, and the accounts its mail goes to."""

    address: str
    accounts: tuple[int, ...]
    tenant_id: int = DEFAULT_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One mail transaction; `mail_from` is empty for the null sender `<>`."""

    mail_from: str
    recipients: tuple[Recipient, ...]
    connection: Connection
    received_at: datetime
    smtputf8: bool = False
    body: str = ""
    """The BODY= parameter: 7BIT, 8BITMIME, BINARYMIME or empty."""
