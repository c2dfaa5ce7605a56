"""How much one client may ask for, and how long it may take (trap S4)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one listener; sizes in bytes, times in seconds."""

    max_size_bytes: int = 50 << 20
    """One mail, dots unstuffed; advertised by SIZE (RFC 1870 §4)."""
    max_recipients: int = 1000
    """Per transaction; RFC 5321 §4.5.3.1.8 asks for at least 100."""
    line_bytes: int = 2048
    """One command line with its CRLF; RFC 5321 §4.5.3.1.4 says 512, extensions add theirs (§2.2.1)."""
    path_bytes: int = 512
    """One reverse-path or forward-path; RFC 5321 §4.5.3.1.3 says 256, rewritten senders are longer."""
    max_hops: int = 100
    """`Received` fields; more are a loop (RFC 5321 §6.3)."""
    max_errors: int = 20
    """5xx replies since the last accepted mail; the next one ends the session (RFC 5321 §4.3.2, 421)."""
    max_junk_commands: int = 100
    """Commands that bring no mail nearer (NOOP, RSET, VRFY …) since the last accepted mail."""
    max_transactions: int = 100_000
    """MAIL commands per session."""
    max_connections: int = 1000
    """Open at once, all clients together."""
    connections_per_address: int = 50
    """Open at once from one address; not for loopback, UNIX sockets and trusted networks (rule J2)."""
    idle_s: float = 300
    """Waiting for a command (RFC 5321 §4.5.3.2.7), or for the client to read our reply."""
    data_idle_s: float = 180
    """Waiting for the next block of content (RFC 5321 §4.5.3.2.5)."""
    data_grace_s: float = 60
    """Content may be slower than `data_bytes_per_s` for this long."""
    data_bytes_per_s: float = 100
    """Slower content on average ends the session."""
    session_s: float = 3600
    """A whole session, whatever it does."""
    handshake_s: float = 30
    """TLS handshake, PROXY header."""
    linger_s: float = 5
    """From our last reply to the hard end of the connection."""
