"""A real MaiRust server for tests: its own process group, on free loopback ports, gone with the test.

    site = make_site(tmp_path / "site")
    with Server(site) as server:
        with Dialogue(server.smtp) as client: …          # tests.support.mailbox_client
        server.kill(); server.start()                    # SIGKILL, then again on the same directory

A site is made in this process through the services; the server is started as users start it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any

from mairust_core.app import Site as OpenSite
from mairust_core.app import opened
from mairust_core.config import Settings, load_settings
from mairust_core.first_run import create_site
from mairust_core.model.account import NewAccount
from mairust_core.model.domain import NewDomain
from mairust_core.model.principal import Principal
from mairust_core.services.accounts import Accounts
from mairust_core.services.domains import Domains
from tests.support import forks
from tests.support.processes import children, name_of, process_tree, state

CHECKOUT = Path(__file__).parents[2]
DOMAIN = "example.org"
READY_TIMEOUT_S = 60.0
END_TIMEOUT_S = 60.0
HEALTH_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
SMALL_RESERVE = {"MAIRUST_NODE__RESERVE_SIZE": "64KiB"}
"""A server of every test would keep 32 MiB."""
TESTER = Principal.local("tester")

_DIE_WITH_US = ("setpriv", "--pdeathsig", "KILL")


class ServerFailed(AssertionError):
    """The server did not get ready or did not end; the message carries the end of its stderr."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A data directory, and its database's URL when that is not the embedded one."""

    directory: Path
    database: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point MaiRust at this site's database."""
        return {"MAIRUST_DATABASE__URL": self.database} if self.database else {}

    def settings(self, **overrides: object) -> Settings:
        """Its settings; `smtp__max_size=…` overrides the key `smtp.max_size`."""
        keys = {name.replace("__", "."): value for name, value in overrides.items()}
        return load_settings(data_dir=self.directory, env=self.environment, overrides=keys)

    @contextlib.contextmanager
    def opened(self) -> Iterator[OpenSite]:
        """The site as a local command sees it, also while a server runs on it (rule D3)."""
        with opened(self.settings()) as site:
            yield site

    def command(self, *arguments: object) -> subprocess.CompletedProcess[bytes]:
        """Run one command of the command line on this site, whatever its exit code."""
        return forks.run(
            command_line(self, *arguments),
            env=clean_environment(self.environment),
            cwd=CHECKOUT,
            timeout=END_TIMEOUT_S,
        )


def addresses(count: int) -> list[str]:
    """The accounts of a site of `count`: `user0@example.org` and on."""
    return [f"user{number}@{DOMAIN}" for number in range(count)]


def make_site(
    directory: Path,
    *,
    database: str | None = None,
    accounts: int = 4,
    quotas: Mapping[str, int] | None = None,
) -> Site:
    """Make a site with one domain and `accounts` accounts; `quotas` in bytes, by address."""
    site = Site(directory=directory, database=database)
    create_site(site.settings(), "tester")
    with site.opened() as here:
        here.service(Domains, TESTER).add(NewDomain(name=DOMAIN))
        for address in addresses(accounts):
            new = NewAccount(address=address, quota_bytes=(quotas or {}).get(address))
            here.service(Accounts, TESTER).add(new)
    return site


def command_line(site: Site, *arguments: object) -> list[str]:
    """The command line of one MaiRust command on a site."""
    words = [str(argument) for argument in arguments]
    return [sys.executable, "-m", "mairust_cli.entry", "--data-dir", str(site.directory), *words]


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our environment without settings of MaiRust, plus `extra`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAIRUST_")}
    return {**kept, "PYTHONPATH": str(CHECKOUT), **(extra or {})}


@dataclass(kw_only=True)
class Server:
    """`mairust serve` on a site. As a context manager it starts, and ends by SIGKILL what still runs.

    `crash_at` names the step at which it kills itself (`mairust_core.observe.faults`); it holds for the next
    start only. `wrapper` is put before the command (strace, prlimit). `env` adds variables.
    `afresh` starts Python for it as a user does, and so does a wrapper; otherwise it is forked (`forks`).
    """

    site: Site
    workers: int = 1
    crash_at: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    wrapper: Sequence[str] = ()
    options: Sequence[str] = ()
    http: str = "off"
    afresh: bool = False
    ready: dict[str, Any] = field(default_factory=dict, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def stderr_file(self) -> Path:
        """What all its starts have said, beside the site."""
        return self.site.directory.with_name(self.site.directory.name + ".stderr")

    @property
    def smtp(self) -> tuple[str, int]:
        """Where it listens for SMTP."""
        return _host_and_port(self.ready["smtp"])

    @property
    def lmtp(self) -> tuple[str, int]:
        """Where it listens for LMTP."""
        return _host_and_port(self.ready["lmtp"])

    @property
    def deliver(self) -> Path:
        """The private socket of `deliver`."""
        return self.site.directory / "run" / "deliver.sock"

    @property
    def pid(self) -> int:
        """The process that printed the ready line: the server, or the supervisor of its workers."""
        return int(self.ready["pid"])

    @property
    def worker_pids(self) -> list[int]:
        """The workers below the supervisor, where there are several."""
        return children(self.pid)

    @property
    def committing_pids(self) -> list[int]:
        """The process of each worker that commits its mail, in the order of the workers."""
        return self._beside("committing")

    @property
    def jobs_pids(self) -> list[int]:
        """The process that runs the jobs; none while it starts, or where there is none."""
        return [one for keeper in self.keeper_pids for one in children(keeper) if name_of(one) == "jobs"]

    @property
    def keeper_pids(self) -> list[int]:
        """The process that starts the one of the jobs again."""
        return self._beside("jobs keeper")

    def _beside(self, name: str) -> list[int]:
        workers = [self.pid] if self.workers == 1 else self.worker_pids
        return [one for worker in workers for one in children(worker) if name_of(one) == name]

    @property
    def running(self) -> bool:
        """Whether the process started last is still there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it takes connections; raises `ServerFailed`."""
        with open(self.stderr_file, "ab") as stderr:
            popen = subprocess.Popen[bytes] if self._starts_python else forks.Popen[bytes]
            self._process = popen(
                self._command(),
                env=self._environment(),
                cwd=self.site.directory.parent,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )
        self.crash_at = ""
        self.ready = self._read_ready(self._process)

    def _command(self) -> list[str]:
        listeners = ("--smtp", "127.0.0.1:0", "--lmtp", "127.0.0.1:0", "--http", self.http)
        workers = ("--workers", self.workers)
        serve = command_line(self.site, "serve", "--json", *listeners, *workers, *self.options)
        if not self._starts_python:
            return serve
        # Twice: a tracer that dies would let its tracee live.
        return [*_DIE_WITH_US, *self.wrapper, *(_DIE_WITH_US if self.wrapper else ()), *serve]

    @property
    def _starts_python(self) -> bool:
        return self.afresh or bool(self.wrapper)

    def _environment(self) -> dict[str, str]:
        crash = {"MAIRUST_CRASH_AT": self.crash_at} if self.crash_at else {}
        return clean_environment({**SMALL_RESERVE, **self.site.environment, **crash, **self.env})

    def _read_ready(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], READY_TIMEOUT_S)
        line = process.stdout.readline() if readable else b""
        found: dict[str, Any] = json.loads(line) if line else {}
        if found.get("event") != "ready":
            raise self._failed(process, line.decode())
        return found

    def _failed(self, process: subprocess.Popen[bytes], said: str) -> ServerFailed:
        with contextlib.suppress(subprocess.TimeoutExpired):  # killed below
            process.wait(STOP_TIMEOUT_S)
        self.kill()
        return ServerFailed(f"exit {process.returncode}: {said.strip()} {self.stderr()}")

    def kill(self) -> None:
        """SIGKILL to its whole process group; returns when all of it is gone."""
        if self._process is None:
            return
        members = process_tree(self._process.pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._collect(self._process)
        _wait_until_gone(members)

    def terminate(self) -> int:
        """SIGTERM as an administrator sends it; the exit code."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        return self.wait()

    def wait(self, timeout_s: float = END_TIMEOUT_S) -> int:
        """Wait until it has ended by itself; the exit code, negative for a signal. Raises `ServerFailed`."""
        assert self._process is not None
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise ServerFailed(f"still running after {timeout_s} s: {self.stderr()}") from None
        return self._collect(self._process)

    def _collect(self, process: subprocess.Popen[bytes]) -> int:
        code = process.wait(END_TIMEOUT_S)
        if process.stdout is not None:
            process.stdout.close()
        return code

    def restart(self) -> None:
        """Start again on the same directory; what still ran is killed."""
        self.kill()
        self.start()

    def stderr(self) -> str:
        """The end of what it said."""
        return self.stderr_file.read_text(errors="replace")[-4000:].strip() or "nothing on stderr"


def health(server: Server) -> int:
    """Whether it takes mail: the status that a load balancer hears."""
    host, port = _host_and_port(server.ready["http"])
    with contextlib.closing(HTTPConnection(host, port, timeout=HEALTH_TIMEOUT_S)) as connection:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status


def wait_for_health(server: Server, status: int) -> None:
    """Wait until it says so."""
    deadline = time.monotonic() + HEALTH_TIMEOUT_S
    while (found := health(server)) != status:
        assert time.monotonic() < deadline, f"{found} stays, {status} was to come"
        time.sleep(0.1)


def _wait_until_gone(pids: Sequence[int]) -> None:
    """Until then a killed process still holds its locks and maps its files."""
    deadline = time.monotonic() + END_TIMEOUT_S
    while any(not _gone(pid) for pid in pids):
        if time.monotonic() > deadline:
            raise ServerFailed(f"killed and still there: {pids}")
        time.sleep(0.002)


def _gone(pid: int) -> bool:
    """Whether no thread is left; the first one may be a zombie that shows while others still end."""
    if state(pid) not in {"", "Z"}:
        return False
    try:
        return len(os.listdir(f"/proc/{pid}/task")) <= 1
    except FileNotFoundError:
        return True


def _host_and_port(shown: str) -> tuple[str, int]:
    host, _, port = shown.rpartition(":")
    return host.strip("[]"), int(port)
