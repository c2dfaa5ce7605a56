"""Kinds that name something outside the process: files, hosts, networks, listeners, databases.

Nothing is looked up or opened here: whether it exists is found out by whoever uses it.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mairust_core.config.addresses import MAX_PORT, ListenAddress
from mairust_core.config.kinds import Plain, Unfit, words

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

SQLITE = "sqlite:///"
POSTGRESQL = "postgresql://"
MASK = "********"
MAX_SOCKET_PATH_OCTETS = 107  # sun_path of Linux without its NUL, unix(7)

_FOREIGN_URL = re.compile(r"(?!sqlite:|postgres)[a-z][a-z0-9+.-]*://\S*")
_SECRET = re.compile(r"password|secret", re.IGNORECASE)
_POSTGRESQL_URL = re.compile(
    r"""postgresql://
        (?:[^:/]*(?::[^@]*)?@)?                              # user and password
        (?:\[[0-9A-Fa-f:.]+\]|[^/:?@\[\]\s]+)?              # host
        (?::(?P<port>[0-9]{1,5}))?
        (?:/[^?]*)?(?:\?.*)?                                 # database, parameters
    """,
    re.VERBOSE,
)


def absolute(path: Path, base: Path) -> Path:
    """`path` from the root, without `..`, `~` being a home directory; raises ValueError without a home."""
    try:
        return Path(os.path.abspath(base / path.expanduser()))
    except RuntimeError as error:
        raise ValueError(str(error)) from error


class FilePath:
    """The path of a file or directory."""

    form: ClassVar[str] = "path"

    def parse(self, raw: object, base: Path, /) -> Path:
        """An absolute path."""
        try:
            return absolute(Path(words(str(raw) if isinstance(raw, Path) else raw, "path")), base)
        except ValueError as error:
            raise Unfit("path") from error


class HostName:
    """The name of a host, kept as its A-labels (RFC 5890 §2.3.2.1)."""

    form: ClassVar[str] = "host name"

    def parse(self, raw: object, _base: Path, /) -> str:
        """The name in lower case."""
        from mairust_core.errors import Invalid
        from mairust_core.model.address import fold_domain

        try:
            return fold_domain(words(raw, "hostname"))
        except (Invalid, UnicodeError) as error:
            raise Unfit("hostname") from error


class Listen:
    """Where a listener listens."""

    form: ClassVar[str] = '`"HOST:PORT"`, `"[IPV6]:PORT"`, `":PORT"`, `"unix:PATH"` or `"off"`'

    def parse(self, raw: object, base: Path, /) -> ListenAddress:
        """A listen address whose socket path, if it is one, is absolute."""
        try:
            found = raw if isinstance(raw, ListenAddress) else ListenAddress.parse(words(raw, "listen"))
            path = found.path and absolute(found.path, base)
        except ValueError as error:
            raise Unfit("listen") from error
        if path is not None and len(os.fsencode(path)) > MAX_SOCKET_PATH_OCTETS:
            raise Unfit("socket_path", path=path, limit=MAX_SOCKET_PATH_OCTETS)
        return replace(found, path=path)


class Networks:
    """A list of networks in CIDR form (RFC 4632 §3.1)."""

    form: ClassVar[str] = 'list of networks, as `["10.0.0.0/8", "fd00::/8"]`'

    def parse(self, raw: object, _base: Path, /) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks; unquoted text separates them by commas or spaces."""
        from ipaddress import ip_network

        if isinstance(raw, Plain):
            raw = raw.replace(",", " ").split()
        if not isinstance(raw, list | tuple):
            raise Unfit("networks")
        found = []
        for item in raw:
            try:
                found.append(ip_network(words(item, "networks")))
            except ValueError as error:
                raise Unfit("network", item=item) from error
        return tuple(found)


class HttpUrl:
    """The address of a web service."""

    form: ClassVar[str] = "`http://…` or `https://…`"

    def parse(self, raw: object, _base: Path, /) -> str:
        """An absolute http or https URL with a host."""
        from urllib.parse import urlsplit

        try:
            parts = urlsplit(words(raw, "http_url"))
            if parts.scheme in ("http", "https") and parts.hostname:
                return parts.geturl()
        except ValueError as error:
            raise Unfit("http_url") from error
        raise Unfit("http_url")


class DatabaseUrl:
    """The database of a site."""

    form: ClassVar[str] = (
        '`"sqlite:///PATH"`, `"postgresql://USER:PASSWORD@HOST/NAME"`, or what an extension offers'
    )

    def parse(self, raw: object, base: Path, /) -> str:
        """The URL; that of SQLite with an absolute path and nothing after it.

        One of another scheme where extensions are installed: whether one of them knows it shows when it is
        opened.
        """
        url = words(raw, "database_url")
        if url.startswith(POSTGRESQL):
            return _checked(url)
        if _FOREIGN_URL.fullmatch(url):
            from mairust_core.installed.points import entry_points

            if entry_points():
                return url
        path = url.removeprefix(SQLITE)
        if path == url or not path or path.startswith(":memory:") or "?" in path:
            raise Unfit("database_url")
        try:
            return f"{SQLITE}{absolute(Path(path), base)}"
        except ValueError as error:
            raise Unfit("database_url") from error


def _checked(url: str) -> str:
    """The same URL; `Unfit` unless it has the form that the driver reads, with a port that is one."""
    match = _POSTGRESQL_URL.fullmatch(url)
    if match is None or not 1 <= int(match["port"] or 5432) <= MAX_PORT:
        raise Unfit("database_url")
    return url


def hide(_: str) -> str:
    """What is shown of a secret: that there is one."""
    return MASK


def _without_secret(pair: str) -> str:
    from urllib.parse import unquote

    name, equals, value = pair.partition("=")
    return f"{name}={MASK}" if equals and value and _SECRET.search(unquote(name)) else pair


def hide_password(url: str) -> str:
    """A database URL that may be shown: the same without its password."""
    if url.startswith(SQLITE):
        return url
    head, mark, query = url.partition("?")
    scheme, slashes, rest = head.partition("://")
    login, at, host = rest.rpartition("@")
    if ":" in login:
        login = f"{login.partition(':')[0]}:{MASK}"
    query = "&".join(_without_secret(pair) for pair in query.split("&"))
    return f"{scheme}{slashes}{login}{at}{host}{mark}{query}"
