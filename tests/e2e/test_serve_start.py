"""Several servers that want the same place: one has it, the others say so and end with 75."""

from __future__ import annotations

import json
import select
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from mairust_core.serve.sockets import Sockets
from mairust_core.smtp.binding import UnixPath, bind_tcp, bind_unix
from tests.support.server import END_TIMEOUT_S, Server, Site, clean_environment, command_line, make_site

NOWHERE = ("--smtp", "off", "--lmtp", "off", "--http", "off")


def _serve(site: Site, *options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command_line(site, "serve", *options),
        env=clean_environment(), capture_output=True, text=True, timeout=END_TIMEOUT_S, check=False,
    )  # fmt: skip


@contextmanager
def _serving(site: Site) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", *command_line(site, "serve", "--json", *NOWHERE)],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_that_another_servers_workers_share_is_in_use(tmp_path: Path, workers: int) -> None:
    """SO_REUSEPORT lets everybody of one user in; a second server must not get half of the first's mail."""
    with Server(site=make_site(tmp_path / "one", accounts=1), workers=2) as first:
        address = first.ready["smtp"]
        other = make_site(tmp_path / "two", accounts=1)
        done = _serve(other, "--smtp", address, "--lmtp", "off", "--http", "off", "--workers", workers)
    assert done.returncode == 75
    assert f"{address} is in use, so smtp cannot listen there" in done.stderr


def test_of_servers_that_start_on_one_fresh_directory_one_wins(tmp_path: Path) -> None:
    """Five at once: one gets ready, the others exit 75 and name the directory; its socket stays."""
    site = Site(directory=tmp_path / "fresh")
    with ExitStack() as stack:
        all_of_them = [stack.enter_context(_serving(site)) for _ in range(5)]
        ended = [one for one in all_of_them if _has_ended(one)]
        assert [one.returncode for one in ended] == [75] * 4
        for one in ended:
            assert one.stdout is not None
            assert "A server runs already" in json.loads(one.stdout.read())["error"]["message"]
        assert (site.directory / "run" / "deliver.sock").is_socket()
        delivered = site.command("account", "list")
        assert delivered.returncode == 0


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Wait for its one line: the winner's says that it is ready."""
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], END_TIMEOUT_S)[0]
    if b'"ready"' in process.stdout.peek(1):  # type: ignore[attr-defined]  # a BufferedReader
        return False
    process.wait(END_TIMEOUT_S)
    return True


@pytest.mark.parametrize("workers", [1, 2])
def test_two_listeners_on_one_port_are_named_both(tmp_path: Path, workers: int) -> None:
    """A fault of the configuration, 78: waiting does not mend it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    site = Site(directory=tmp_path / "site")
    same = ("--smtp", f"127.0.0.1:{port}", "--lmtp", f":{port}", "--http", "off", "--workers", workers)
    done = _serve(site, *same)
    assert done.returncode == 78
    assert f"lmtp cannot listen at :{port}: smtp of the same configuration listens there" in done.stderr
    path = f"unix:{tmp_path}/both"
    done = _serve(site, "--smtp", path, "--lmtp", "off", "--http", path)
    assert done.returncode == 78
    assert f"http cannot listen at {path}: smtp of" in done.stderr


def test_a_file_in_the_place_of_the_run_directory_is_told(tmp_path: Path) -> None:
    """78, with its path; not an unexpected error."""
    site = make_site(tmp_path / "site", accounts=1)
    (site.directory / "run").write_text("in the way\n")
    done = _serve(site, *NOWHERE)
    assert done.returncode == 78
    assert f"The directory {site.directory / 'run'} for sockets and locks cannot be used" in done.stderr
    assert "unexpected" not in done.stderr


def test_what_is_bound_listens_at_once(tmp_path: Path) -> None:
    """There is no moment in which another program could take it for stale or free."""
    with bind_unix(tmp_path / "one", 0o600), pytest.raises(OSError, match="in use"):
        bind_unix(tmp_path / "one", 0o600)
    (bound,) = bind_tcp("127.0.0.1", 0)
    with bound, pytest.raises(OSError, match="in use"):
        bind_tcp("127.0.0.1", bound.getsockname()[1], 2)


def test_a_socket_of_another_is_left_where_it_is(tmp_path: Path) -> None:
    """Closing takes away what was bound, not what has the same name by now."""
    sockets = Sockets(workers=1)
    ours = tmp_path / "lmtp"
    with bind_unix(ours, 0o600):
        sockets.paths.append(UnixPath.of(ours))
        ours.unlink()
        with bind_unix(ours, 0o600):
            sockets.close()
            assert ours.is_socket()
            UnixPath.of(ours).remove()
    assert not ours.exists()


def test_makers_of_one_site_make_one_key(tmp_path: Path) -> None:
    """Five `init` at once: all are done, and there is one first administrator, whose key is in the file."""
    site = Site(directory=tmp_path / "fresh")
    with ThreadPoolExecutor(5) as threads:
        done = list(threads.map(lambda _: site.command("init", "--json"), range(5)))
    assert [one.returncode for one in done] == [0] * 5, [one.stderr for one in done]
    listed = json.loads(site.command("token", "list", "--json").stdout)["items"]
    assert [token["name"] for token in listed] == ["first administrator"]
    assert (site.directory / "admin.token").read_text().startswith(f"mk_{listed[0]['id']}_")
