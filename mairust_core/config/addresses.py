"""Where a listener listens: a TCP address, a UNIX socket, or nowhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

MAX_PORT = 65535
MAX_HOST_OCTETS = 253

_INET = re.compile(r"(?:\[(?P<six>[^\[\]]*)\]|(?P<name>[^:\[\]]*)):(?P<port>[0-9]{1,5})")
_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.(?!-)[A-Za-z0-9_-]{1,63})*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenAddress:
    """One place to listen at; `off` when all is empty.

    `host` empty with a `port` means every address of the machine, port 0 any free port.
    `path` is that of a UNIX socket.
    """

    host: str = ""
    port: int | None = None
    path: Path | None = None

    @classmethod
    def parse(cls, text: str) -> ListenAddress:
        """Read `HOST:PORT`, `[IPV6]:PORT`, `:PORT`, `unix:PATH` or `off`; raises ValueError."""
        if text == "off":
            return cls()
        if text.startswith("unix:"):
            return cls(path=_socket_path(text.removeprefix("unix:")))
        match = _INET.fullmatch(text)
        if match is None or int(match["port"]) > MAX_PORT:
            raise ValueError(f"{text[:80]!r} is not an address to listen at")
        if match["six"] is not None:
            return cls(host=_ipv6(match["six"]), port=int(match["port"]))
        return cls(host=_host(match["name"]), port=int(match["port"]))

    @property
    def off(self) -> bool:
        """Whether the listener is switched off."""
        return self.port is None and self.path is None

    def __str__(self) -> str:
        """The text that `parse` reads back."""
        if self.path is not None:
            return f"unix:{self.path}"
        if self.port is None:
            return "off"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _socket_path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError("a socket needs a path")
    return Path(text)


def _ipv6(text: str) -> str:
    from ipaddress import IPv6Address  # five milliseconds that the defaults need not pay

    return str(IPv6Address(text))


def _host(text: str) -> str:
    if not text:
        return ""
    if len(text) > MAX_HOST_OCTETS or not _HOST.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is not a host")
    if text.rpartition(".")[2].isdigit():  # no top-level domain is numeric: this is meant as IPv4
        from ipaddress import IPv4Address

        return str(IPv4Address(text))
    return text.lower()
