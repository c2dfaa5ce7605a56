# ruff: noqa: RUF009 - `setting` and `section` make dataclass fields, evaluated once on purpose
"""Every setting of MaiRust, one dataclass per section of the configuration.

A field's declaration carries its meaning, unit and default; `docs/reference/configuration.md` is made
from it. Values are final here: paths absolute, sizes in bytes, defaults worked out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mairust_core.config.addresses import ListenAddress
from mairust_core.config.kinds import (
    MIB,
    Choice,
    Driver,
    Flag,
    Names,
    Number,
    Options,
    OptionTable,
    Size,
    Text,
)
from mairust_core.config.origin import BUILT_IN, Origin
from mairust_core.config.resources import (
    SQLITE,
    DatabaseUrl,
    FilePath,
    HostName,
    HttpUrl,
    Listen,
    Networks,
    hide,
    hide_password,
)
from mairust_core.config.setting import Derived, Known, section, setting

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from mairust_core.config.document import Document

_DAY_S = 86_400
_DATA_DIR = "`$STATE_DIRECTORY`, else `$XDG_DATA_HOME/mairust`, else `~/.local/share/mairust`"


def _under_data_dir(*parts: str) -> Derived:
    return Derived(
        text="`DATA_DIR/" + "/".join(parts) + "`", value=lambda known: known["node.data_dir"].joinpath(*parts)
    )


def _this_host(_: Known) -> str:
    import socket  # ten milliseconds, and this asks no name server

    from mairust_core.config.kinds import Unfit

    try:
        return HostName().parse(socket.gethostname(), Path())
    except Unfit:
        return "localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """This machine and its processes."""

    data_dir: Path = setting(
        FilePath(),
        "Where the site keeps what it owns: database, blobs, keys, sockets.",
        default=Derived(text=_DATA_DIR, value=lambda known: known["node.data_dir"]),
        option="--data-dir",
    )
    hostname: str = setting(
        HostName(),
        "The name this server gives itself in greetings and trace headers (RFC 5321 §4.1.1.1).",
        default=Derived(text="the machine's own name, `localhost` when that is none", value=_this_host),
    )
    authserv_id: str = setting(
        HostName(),
        "The name under which `Authentication-Results` are ours; forged ones are hidden (RFC 8601 §2.5).",
        default=Derived(text="`node.hostname`", value=lambda known: known["node.hostname"]),
    )
    workers: int = setting(
        Number(1, 256), "Server processes that share the listeners.", default=1, option="--workers"
    )
    grace_s: int = setting(
        Number(0, 3600),
        "How long a stopping server waits for what is under way.",
        default=30,
        unit="seconds",
    )
    reserve_size: int = setting(
        Size(1 << 40),
        "Room kept on the disk of `data_dir` for deleting when that is full; at most 5 % of the disk.",
        default=32 * MIB,
        unit="bytes",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """What is known of the mail. SQLite is embedded; PostgreSQL is recommended for production."""

    url: str = setting(
        DatabaseUrl(),
        "The database; its password is never shown.",
        option="--database",
        default=Derived(
            text="`sqlite:///DATA_DIR/mairust.db`",
            value=lambda known: f"{SQLITE}{known['node.data_dir'] / 'mairust.db'}",
        ),
        mask=hide_password,
    )
    auto_upgrade: bool = setting(
        Flag(),
        "Whether `serve` migrates the schema by itself; without it, `mairust db upgrade` does.",
        default=Derived(
            text="`true` on SQLite, `false` on PostgreSQL",
            value=lambda known: str(known["database.url"]).startswith(SQLITE),
        ),
    )
    pool_size: int = setting(
        Number(1, 1000),
        "Connections to the database that one process keeps open; when all are busy it opens up to 32 more.",
        default=8,
    )
    trash_days: int = setting(
        Number(0, 36_500),
        "How long a deleted message can be undeleted; then collection deletes it for good.",
        default=30,
        unit="days",
    )

    @property
    def sqlite_path(self) -> Path | None:
        """The file of an SQLite database, None for any other."""
        return Path(self.url.removeprefix(SQLITE)) if self.url.startswith(SQLITE) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobsS3:
    """An S3-compatible blob store. Reserved: accepted, not used by this version."""

    endpoint_url: str | None = setting(HttpUrl(), "The service, when it is not AWS.")
    bucket: str | None = setting(Text(), "The bucket.")
    region: str | None = setting(Text(), "The region.")
    prefix: str | None = setting(Text(), "What every object's name begins with.")
    access_key: str | None = setting(Text(), "The access key; never shown.", mask=hide)
    secret_key: str | None = setting(Text(), "The secret key; never shown.", mask=hide)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blobs:
    """The bytes of the mail."""

    driver: str = setting(Driver(("fs",), later=("s3",)), "Which kind of blob store.", default="fs")
    path: Path = setting(
        FilePath(), "The directory of the `fs` blob store.", default=_under_data_dir("blobs")
    )
    in_flight_bytes: int = setting(
        Size(),
        "Mail that one process holds in memory while it is received; beyond it senders get 452.",
        default=128 * MIB,
        unit="bytes",
    )
    options: Options | None = setting(
        OptionTable(), "What the driver of an extension needs to know; never shown.", mask=hide
    )
    s3: BlobsS3 = section(BlobsS3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Finding mail."""

    engine: str = setting(
        Driver(("database",), later=("meilisearch", "opensearch", "elasticsearch")),
        "What answers searches.",
        default="database",
    )
    options: Options | None = setting(
        OptionTable(), "What the engine of an extension needs to know; never shown.", mask=hide
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Smtp:
    """The SMTP listener, and the limits of SMTP and LMTP sessions (RFC 5321 §4.5.3)."""

    listen: ListenAddress = setting(
        Listen(),
        "Where SMTP listens.",
        default=ListenAddress(host="127.0.0.1", port=2525),
        option="--smtp",
    )
    max_size: int = setting(
        Size(1 << 40), "The largest message taken, also by LMTP (RFC 1870).", default=50 * MIB, unit="bytes"
    )
    tls_cert: Path | None = setting(
        FilePath(), "Certificate chain for STARTTLS, PEM; needs `tls_key`. Read again when it changes."
    )
    tls_key: Path | None = setting(FilePath(), "Private key of `tls_cert`, PEM.")
    trusted_networks: tuple[IPv4Network | IPv6Network, ...] = setting(
        Networks(),
        "Peers whose PROXY, XCLIENT and XFORWARD are believed and which no address limit binds.",
        default=(),
    )
    proxy_protocol: bool = setting(
        Flag(), "Whether trusted peers begin each connection with a PROXY header.", default=False
    )
    bare_newlines: str = setting(
        Choice(("reject", "accept")),
        "Mail with a bare CR or LF, also by LMTP: refused with 550 5.6.11, or kept as it came.",
        default="reject",
    )
    max_recipients: int = setting(
        Number(100, 100_000),
        "Recipients of one mail; further ones get 452 (RFC 5321 §4.5.3.1.8).",
        default=1000,
    )
    max_connections: int = setting(
        Number(1, 100_000), "Connections of one process at a time; further ones get 421.", default=1000
    )
    connections_per_address: int = setting(
        Number(1, 100_000), "Connections of one address at a time.", default=50
    )
    idle_timeout_s: int = setting(
        Number(1, _DAY_S),
        "How long a session may be silent (RFC 5321 §4.5.3.2.7).",
        default=300,
        unit="seconds",
    )
    session_timeout_s: int = setting(
        Number(1, _DAY_S), "How long a session may last.", default=3600, unit="seconds"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lmtp:
    """The LMTP listener (RFC 2033), for a mail server in front."""

    listen: ListenAddress = setting(
        Listen(),
        "Where LMTP listens.",
        default=ListenAddress(host="127.0.0.1", port=2424),
        option="--lmtp",
    )
    trusted_networks: tuple[IPv4Network | IPv6Network, ...] = setting(
        Networks(),
        "Peers whose XCLIENT and XFORWARD are believed and which no address limit binds.",
        default=(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Http:
    """The HTTP listener of the API."""

    listen: ListenAddress = setting(
        Listen(),
        "Where HTTP listens.",
        default=ListenAddress(host="127.0.0.1", port=8025),
        option="--http",
    )
    tls_cert: Path | None = setting(
        FilePath(), "Certificate chain for HTTPS, PEM; needs `tls_key`. Read again when it changes."
    )
    tls_key: Path | None = setting(FilePath(), "Private key of `tls_cert`, PEM.")
    address_requests_per_minute: int = setting(
        Number(0, 10_000_000),
        "Requests of one address (IPv6: /64) to one process; those of ten seconds may come at once. 0: any.",
        default=6000,
        unit="requests per minute",
    )
    key_requests_per_minute: int = setting(
        Number(0, 10_000_000),
        "Requests of one API key to one process, wherever they come from. 0: any.",
        default=60_000,
        unit="requests per minute",
    )
    trusted_networks: tuple[IPv4Network | IPv6Network, ...] = setting(
        Networks(),
        "Peers which no limit by address binds, such as a proxy in front; nor does it loopback.",
        default=(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What hooks may take."""

    budget_ms: int = setting(
        Number(1, 600_000),
        "Time for all hooks of one mail; what has not answered by then answers `on_timeout`.",
        default=30_000,
        unit="milliseconds",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugins:
    """What plugins may be and do."""

    allow_unsigned: bool = setting(
        Flag(), "Whether plugins without a trusted signature may be installed.", default=False
    )
    sandbox: str = setting(
        Choice(("require", "off")),
        "`require` enables a local plugin only where its files and network can be isolated.",
        default="require",
    )
    socket_dir: Path = setting(
        FilePath(),
        "The directory that alone may hold UNIX sockets of plugins.",
        default=_under_data_dir("run", "plugins"),
    )
    callback_url: str | None = setting(
        Text(),
        "Where plugins reach this site's API, as https://mx.example.org; default: at the HTTP listener.",
    )
    private_networks: tuple[IPv4Network | IPv6Network, ...] = setting(
        Networks(),
        "Networks that are not public and where plugins may nevertheless be, or may reach what they name.",
        default=(),
    )
    extensions: tuple[str, ...] | None = setting(
        Names(), "The installed distributions whose extensions may run; default: all. None may with `[]`."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """What is done later: collection, schedules, what mail leaves to do."""

    workers: int = setting(
        Number(0, 256),
        "Jobs that this server runs at a time. With 0 it runs none; another node of the site must.",
        default=2,
    )
    done_days: int = setting(
        Number(1, 36_500), "How long jobs that are done can still be looked up.", default=7, unit="days"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """What is told about the work, and how long it is remembered."""

    log_level: str = setting(
        Choice(("debug", "info", "warning", "error")), "The least important messages logged.", default="info"
    )
    log_format: str = setting(Choice(("text", "json")), "How log lines look.", default="text")
    trace_days: int = setting(
        Number(1, 36_500), "How long the trace of a mail is kept.", default=14, unit="days"
    )
    audit_days: int = setting(Number(1, 36_500), "How long the audit log is kept.", default=365, unit="days")
    access_days: int = setting(
        Number(1, 36_500),
        "How long it is known which plugin saw which mail.",
        default=365,
        unit="days",
    )
    backup_days: int = setting(
        Number(0, 36_500),
        "How old the last backup may be before `doctor` warns. 0: any.",
        default=2,
        unit="days",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """How secrets are kept."""

    master_key_file: Path = setting(
        FilePath(), "The key that wraps all stored secrets.", default=_under_data_dir("master.key")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The configuration in force, and where each value comes from.

    `config_file` is the file that was read, None when there was none.
    """

    node: Node = section(Node)
    database: Database = section(Database)
    blobs: Blobs = section(Blobs)
    search: Search = section(Search)
    smtp: Smtp = section(Smtp)
    lmtp: Lmtp = section(Lmtp)
    http: Http = section(Http)
    hooks: Hooks = section(Hooks)
    plugins: Plugins = section(Plugins)
    jobs: Jobs = section(Jobs)
    telemetry: Telemetry = section(Telemetry)
    secrets: Secrets = section(Secrets)
    origins: Mapping[str, Origin] = field(repr=False, compare=False)
    document: Document | None = field(repr=False, compare=False)

    @property
    def data_dir(self) -> Path:
        """Where the site keeps what it owns."""
        return self.node.data_dir

    @property
    def packages_dir(self) -> Path:
        """Where this node has the files of plugin packages: a cache."""
        return (self.data_dir / "plugins").resolve()

    @property
    def config_file(self) -> Path | None:
        """The configuration file that was read."""
        return self.document.path if self.document else None

    def origin(self, key: str) -> Origin:
        """Where the value of `key` (`"smtp.listen"`) comes from, with the line when it is a file."""
        found = self.origins.get(key, BUILT_IN)
        if found.file is None or self.document is None:
            return found
        return replace(found, line=self.document.line(tuple(key.split("."))))
