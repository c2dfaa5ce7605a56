"""A server that ran out of descriptors, threads or memory says so, in the words of its catalogues."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.raw_http import Answer, RawConnection
from tests.support.server import END_TIMEOUT_S, Server, clean_environment, make_site

STACK_BYTES = 512 << 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that nobody has asked anything yet, and which was started as users start it."""
    with Server(afresh=True, site=make_site(tmp_path / "site"), http="127.0.0.1:0") as running:
        yield running


@pytest.fixture
def roomy(tmp_path: Path) -> Iterator[Server]:
    """A server whose threads need so much address space that a limit on it stops them and nothing else."""
    wrapper = ("prlimit", f"--stack={STACK_BYTES}:")
    with Server(wrapper=wrapper, site=make_site(tmp_path / "site"), http="127.0.0.1:0") as running:
        yield running


def _ask(connection: RawConnection, path: str, language: str, key: str = "") -> Answer:
    authorization = f"Authorization: Bearer {key}\r\n" if key else ""
    connection.send(
        f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Language: {language}\r\n{authorization}\r\n".encode()
    )
    return connection.answer()


@pytest.mark.parametrize(("language", "said"), [("en", "Send it as"), ("ja", "として送って")])
def test_without_descriptors_an_error_still_has_its_text(server: Server, language: str, said: str) -> None:
    """The catalogues are read before it listens: what is refused when no file can be opened is a problem."""
    with RawConnection(f"http://{server.ready['http']}") as connection:
        assert _ask(connection, "/health/live", language).status == 200
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (3, 3))
        answer = _ask(connection, "/api/v1/accounts", language)
    assert (answer.status, answer.headers["content-type"]) == (401, "application/problem+json")
    assert said in answer.json["hint"]
    assert "Errno 24" not in server.stderr()


def test_without_threads_the_api_goes_on_with_those_it_has(roomy: Server) -> None:
    """Requests wait for one another; none fails, and nothing is reported as a fault of ours."""
    server = roomy
    key = (server.site.directory / "admin.token").read_text().strip()
    with open(f"/proc/{server.pid}/statm") as file:
        now_bytes = int(file.read().split()[0]) * resource.getpagesize()
    connections = [RawConnection(f"http://{server.ready['http']}") for _ in range(40)]
    try:
        resource.prlimit(
            server.pid, resource.RLIMIT_AS, (now_bytes + STACK_BYTES // 2, resource.RLIM_INFINITY)
        )
        with ThreadPoolExecutor(40) as clients:
            answers = [*clients.map(lambda one: _ask(one, "/api/v1/domains", "en", key), connections)]
    finally:
        for connection in connections:
            connection.close()
    assert [one.status for one in answers] == [200] * 40
    assert "Traceback" not in server.stderr()


SERVE_IN_LITTLE = """
import resource, sys, threading
import mairust_core.api, mairust_core.serve.worker, mairust_core.first_run
from mairust_cli.main import run
with open("/proc/self/statm") as file:
    now_bytes = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now_bytes + (700 << 20), resource.RLIM_INFINITY))
threading.stack_size(256 << 20)
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_that_gets_too_few_threads_says_so_and_exits_75(tmp_path: Path, workers: int) -> None:
    """One line that names what ran out, and no traceback."""
    site = make_site(tmp_path / "site", accounts=1)
    serve = ("--data-dir", str(site.directory), "serve", "--json", "--workers", str(workers))
    listeners = ("--smtp", "127.0.0.1:0", "--lmtp", "off", "--http", "127.0.0.1:0")
    done = subprocess.run(
        [sys.executable, "-c", SERVE_IN_LITTLE, *serve, *listeners],
        env=clean_environment(), capture_output=True, text=True, timeout=END_TIMEOUT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 75, done.stderr
    assert "Traceback" not in done.stderr
    said = json.loads(done.stdout)["error"]["message"] if workers == 1 else done.stderr
    assert "The machine gives no further thread or process (limits that are set: " in said
    assert "ulimit -v " in said
