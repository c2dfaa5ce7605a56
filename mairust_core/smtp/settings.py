"""What a listener needs to know."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mairust_core.model.envelope import Road
from mairust_core.smtp.limits import Limits
from mairust_core.smtp.trusted import TrustedNetworks

if TYPE_CHECKING:
    from mairust_core.tls import CertificateStore

BareNewlines = Literal["reject", "accept"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSettings:
    """One listener: who we are, which protocol it speaks, whom it trusts."""

    hostname: str
    road: Road = Road.SMTP
    """SMTP, LMTP, or DELIVER: LMTP with content by BDAT for the owner of the site (rule D4)."""
    limits: Limits = field(default_factory=Limits)
    trusted: TrustedNetworks = field(default_factory=TrustedNetworks)
    proxy_protocol: bool = False
    """Connections of trusted peers begin with a PROXY header."""
    bare_newlines: BareNewlines = "reject"
    """Content with a CR or LF alone is refused, or kept as it is; neither ends it (trap S1)."""
    certificates: CertificateStore | None = None
    """Offers STARTTLS when given."""
    owner_uid: int = field(default_factory=os.getuid)
    """Who may use a DELIVER socket, besides root."""
