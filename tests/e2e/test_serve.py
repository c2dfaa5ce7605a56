"""`mairust serve` as an administrator and a service manager see it: start, signals, workers, certificates."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from tests.support import forks
from tests.support.mailbox_client import Dialogue, Lost
from tests.support.processes import pss_bytes
from tests.support.server import END_TIMEOUT_S, Server, Site, clean_environment, command_line, make_site

MAIL = b"Subject: hello\r\n\r\nbody\r\n"
PATIENCE_S = 20.0


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site with four accounts."""
    return make_site(tmp_path / "site")


def _until(happens: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not happens():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.05)


def _accepts(server: Server) -> bool:
    with contextlib.suppress(Lost), Dialogue(server.smtp) as client:
        return client.send("bob@example.com", ["user0@example.org"], MAIL)["user0@example.org"].code == 250
    return False


def test_a_bare_directory_becomes_a_site_with_private_files(tmp_path: Path) -> None:
    """`serve` on a fresh machine needs no file: what it makes is its owner's alone, the key in no log."""
    site = Site(directory=tmp_path / "fresh")
    with Server(afresh=True, site=site) as server:
        assert server.ready.keys() >= {"event", "smtp", "lmtp", "http", "pid"}
        key = (site.directory / "admin.token").read_text().strip()
        assert key.startswith("mk_")
        assert key not in server.stderr()
        assert "postgresql" in server.stderr().lower()  # rule D5
    modes = {name: (site.directory / name).stat().st_mode & 0o777 for name in ("admin.token", "master.key")}
    assert modes == {"admin.token": 0o600, "master.key": 0o600}
    assert site.directory.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_exit_0_and_takes_its_sockets_away(site: Site, number: int) -> None:
    """SIGTERM and SIGINT: exit 0 within the grace period; no stale socket is left behind."""
    with Server(afresh=True, site=site) as server:
        assert server.deliver.is_socket()
        os.kill(server.pid, number)
        assert server.wait() == 0
    assert not server.deliver.exists()


def test_a_stop_lets_an_open_mail_finish(site: Site) -> None:
    """A mail whose content is coming when the server is told to stop is stored and answered 250."""
    with Server(afresh=True, site=site) as server, Dialogue(server.smtp) as client:
        client.envelope("bob@example.com", ["user0@example.org"])
        assert client.command(b"DATA").code == 354
        os.kill(server.pid, signal.SIGTERM)
        client._write(MAIL + b".\r\n")
        assert client.answer().code == 250
        assert server.wait() == 0
    listed = json.loads(site.command("message", "list", "--account", "user0@example.org", "--json").stdout)
    assert [one["subject"] for one in listed["items"]] == ["hello"]


def test_systemd_hears_of_readiness_and_of_the_end(site: Site, tmp_path: Path) -> None:
    """`Type=notify`: READY=1 when every listener is bound, STOPPING=1 when it is told to stop."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE_S)
        for workers in (1, 2):
            with Server(
                afresh=True, site=site, workers=workers, env={"NOTIFY_SOCKET": str(tmp_path / "notify")}
            ) as server:
                assert manager.recv(100) == b"READY=1"
                assert server.terminate() == 0
                assert manager.recv(100) == b"STOPPING=1"


def test_a_second_server_on_the_same_directory_is_refused(site: Site) -> None:
    """Two servers would share one private socket: the second says so and exits 75, the first goes on."""
    with Server(afresh=True, site=site) as first:
        second = subprocess.run(
            command_line(site, "serve", "--smtp", "127.0.0.1:0", "--lmtp", "off", "--http", "off"),
            env=clean_environment(), capture_output=True, text=True, timeout=END_TIMEOUT_S, check=False,
        )  # fmt: skip
        assert second.returncode == 75
        assert str(site.directory) in second.stderr
        assert _accepts(first)


def test_a_port_in_use_is_named(site: Site) -> None:
    """The error says which listener, which address, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = site.command("serve", "--smtp", address, "--lmtp", "off", "--http", "off")
    assert done.returncode == 75
    assert address in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_listeners_move_to_unix_sockets_and_off(site: Site, tmp_path: Path) -> None:
    """Each listener can be a UNIX socket or off; the ready line says what they are."""
    lmtp = tmp_path / "lmtp.sock"
    with Server(afresh=True, site=site, options=("--lmtp", f"unix:{lmtp}")) as server:
        assert server.ready["lmtp"] == f"unix:{lmtp}"
        assert server.ready["http"] == "off"
        with Dialogue(lmtp, lmtp=True) as client:
            assert client.command(b"NOOP").code == 250
        assert server.terminate() == 0
    assert not lmtp.exists()


def test_a_data_directory_may_have_a_long_name(tmp_path: Path) -> None:
    """The private socket works where its path is longer than the kernel takes (107 bytes)."""
    site = make_site(tmp_path / ("d" * 120), accounts=1)
    with Server(afresh=True, site=site):
        done = subprocess.run(
            command_line(site, "deliver", "user0@example.org"),
            input=MAIL, env=clean_environment(), capture_output=True, timeout=END_TIMEOUT_S, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_crashed_worker_is_replaced_while_the_other_serves(site: Site) -> None:
    """SIGKILL to one of two workers: connections that wait for it are taken by its successor."""
    with Server(afresh=True, site=site, workers=2) as server:
        first = server.worker_pids
        assert len(first) == 2
        os.kill(first[0], signal.SIGKILL)
        assert all(_accepts(server) for _ in range(10))
        _until(lambda: len(server.worker_pids) == 2 and first[0] not in server.worker_pids, "a successor")
        assert first[1] in server.worker_pids
        assert server.terminate() == 0


def test_a_worker_that_cannot_be_started_again_is_tried_later(site: Site) -> None:
    """Nothing left to make it with, for a while: the other serves on, and who waits is greeted at last."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(afresh=True, site=site, workers=2))
        gone, left = server.worker_pids
        allowed = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (0, allowed[1]))
        os.kill(gone, signal.SIGKILL)
        _until(lambda: "cannot be started" in server.stderr(), "a start that fails")
        clients = [stack.enter_context(socket.create_connection(server.smtp, PATIENCE_S)) for _ in range(20)]
        _until(lambda: select.select(clients, [], [], 0)[0], "a greeting by the other")
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, allowed)
        assert [one.recv(4) for one in clients] == [b"220 "] * len(clients)
        assert left in server.worker_pids
        assert len(server.worker_pids) == 2
        assert server.terminate() == 0


def test_workers_end_with_their_supervisor(site: Site) -> None:
    """SIGKILL to the supervisor alone: its workers notice and end, the next start is clean."""
    with Server(afresh=True, site=site, workers=2) as server:
        workers = server.worker_pids
        os.kill(server.pid, signal.SIGKILL)
        _until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "the end of the workers")
        server.restart()
        assert _accepts(server)


ORPHAN = """
import os, sys
from mairust_core.config import load_settings
from mairust_core.observe.counters import Counters
from mairust_core.observe.logs import set_up
from mairust_core.serve.sockets import bind_all
from mairust_core.serve.supervisor import _work
off = dict.fromkeys(("smtp.listen", "lmtp.listen", "http.listen"), "off")
settings = load_settings(data_dir=sys.argv[1], env=dict(os.environ), overrides=off)
set_up("info", "text")
(alive, supervisor), (report, writing) = os.pipe(), os.pipe()
os.close(supervisor)
os.close(report)
with bind_all(settings) as sockets:
    sys.exit(_work(settings, sockets, Counters.alone(), writing, alive))
"""


def test_a_worker_whose_supervisor_died_before_it_was_ready_stops_in_good_order(site: Site) -> None:
    """It lets go of nobody in the middle: one line says why it stops."""
    done = forks.run(
        [sys.executable, "-c", ORPHAN, str(site.directory)], env=clean_environment(), timeout=END_TIMEOUT_S
    )
    said = done.stderr.decode()
    assert (done.returncode, said.count("the supervisor is gone")) == (0, 1), said
    assert "Traceback" not in said


def test_status_tells_the_server_that_runs(site: Site) -> None:
    """Its listeners, workers and processes, while it runs and no longer; SIGKILL leaves no lie behind."""
    with Server(afresh=True, site=site, workers=2) as server:
        assert _accepts(server)
        found = json.loads(site.command("status", "--json").stdout)
        told = found["server"]
        assert (told["pid"], told["workers"]) == (server.pid, 2)
        assert (told["smtp"], told["lmtp"], told["http"]) == (
            server.ready["smtp"], server.ready["lmtp"], server.ready["http"],
        )  # fmt: skip
        assert {one["pid"] for one in found["processes"]} >= set(server.worker_pids)
        assert found["mail"]["accepted_last_hour"] == 1
        workers = server.worker_pids
        os.kill(server.pid, signal.SIGKILL)
        _until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "the end of the workers")
        assert json.loads(site.command("status", "--json").stdout)["server"] is None


def test_r_db_2_a_site_that_outgrows_sqlite_is_told_at_the_start(tmp_path: Path) -> None:
    """In the log, once, with what mends it; a small site hears nothing of the kind."""
    site = make_site(tmp_path / "site", accounts=101)
    with Server(afresh=True, site=site, workers=2) as server:
        _until(lambda: "outgrows SQLite" in server.stderr(), "the warning")
        assert server.stderr().count("101 accounts") == 1
        assert "mairust init --database postgresql" in server.stderr()
    small = make_site(tmp_path / "small")
    with Server(afresh=True, site=small) as server:
        assert _accepts(server)
        assert "outgrows" not in server.stderr()


def test_rule_d3_a_change_is_in_force_within_a_second(site: Site) -> None:
    """A second after a command beside the server, a new account takes mail and a disabled one refuses."""
    with Server(afresh=True, site=site, workers=2) as server:
        assert _accepts(server)
        assert site.command("account", "add", "new@example.org").returncode == 0
        assert site.command("account", "disable", "user0@example.org").returncode == 0
        time.sleep(1.0)
        for _ in range(6):  # whichever worker answers
            with Dialogue(server.smtp) as client:
                answers = client.send("a@b.example", ["new@example.org", "user0@example.org"], MAIL)
            assert [answers[one].code for one in answers] in ([250, 550], [550, 250])
            assert answers["new@example.org"].code == 250


@pytest.fixture
def authority() -> trustme.CA:
    """Who signs the certificates of these tests."""
    return trustme.CA()


def _write(certificate: trustme.LeafCert, directory: Path) -> None:
    for pem, name in ((certificate.cert_chain_pems[0], "cert.pem"), (certificate.private_key_pem, "key.pem")):
        fresh = directory / f".{name}"
        pem.write_to_path(fresh)
        fresh.rename(directory / name)


@pytest.fixture
def tls_server(site: Site, tmp_path: Path, authority: trustme.CA) -> Iterator[Server]:
    """A server with STARTTLS and HTTPS, its certificate in `tmp_path`."""
    _write(authority.issue_cert("localhost", "127.0.0.1"), tmp_path)
    files = {"TLS_CERT": str(tmp_path / "cert.pem"), "TLS_KEY": str(tmp_path / "key.pem")}
    env = {f"MAIRUST_{section}__{name}": path for section in ("SMTP", "HTTP") for name, path in files.items()}
    with Server(afresh=True, site=site, env=env, http="127.0.0.1:0") as server:
        yield server


def _client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def _serial(address: tuple[str, int], authority: trustme.CA, *, smtp: bool) -> int:
    """The serial number of the certificate shown now."""
    context = _client_context(authority)
    if smtp:
        with smtplib.SMTP(*address, timeout=PATIENCE_S) as client:
            client.starttls(context=context)
            shown = client.sock.getpeercert()  # type: ignore[union-attr]  # an SSLSocket by now
    else:
        plain = socket.create_connection(address, PATIENCE_S)
        with context.wrap_socket(plain, server_hostname="localhost") as secured:
            shown = secured.getpeercert()
    assert shown is not None
    return int(str(shown["serialNumber"]), 16)


def test_starttls_and_https_follow_a_renewed_certificate(
    tls_server: Server, tmp_path: Path, authority: trustme.CA
) -> None:
    """New files are in force for the next connection, without a restart; a broken pair leaves the old."""
    http_host, _, http_port = tls_server.ready["http"].rpartition(":")
    https = (http_host, int(http_port))
    before = _serial(tls_server.smtp, authority, smtp=True)
    assert _serial(https, authority, smtp=False) == before
    _write(authority.issue_cert("localhost", "127.0.0.1"), tmp_path)
    after = _serial(tls_server.smtp, authority, smtp=True)
    assert after != before
    _until(lambda: _serial(https, authority, smtp=False) == after, "the renewal over HTTPS")
    (tmp_path / "key.pem").write_text("no key\n")
    assert _serial(tls_server.smtp, authority, smtp=True) == after
    os.kill(tls_server.pid, signal.SIGHUP)
    assert _serial(https, authority, smtp=False) == after


def test_https_answers_the_api_and_starttls_takes_mail(tls_server: Server, authority: trustme.CA) -> None:
    """The whole way over TLS: a key is good over HTTPS, and `Received` says that the mail came encrypted."""
    with smtplib.SMTP(*tls_server.smtp, timeout=PATIENCE_S) as client:
        client.starttls(context=_client_context(authority))
        client.sendmail("bob@example.com", ["user0@example.org"], MAIL)
    key = (tls_server.site.directory / "admin.token").read_text().strip()
    base = f"https://{tls_server.ready['http']}/api/v1"

    def fetch(path: str) -> bytes:
        asked = urllib.request.Request(base + path, headers={"Authorization": f"Bearer {key}"})
        with urllib.request.urlopen(asked, context=_client_context(authority), timeout=PATIENCE_S) as answer:
            return bytes(answer.read())

    (item,) = json.loads(fetch("/accounts/user0@example.org/messages"))["items"]
    received = fetch(f"/messages/{item['id']}/raw")
    assert b"with ESMTPS" in received
    assert b"TLSv1.3" in received


def test_an_unusable_certificate_stops_the_start(site: Site, tmp_path: Path) -> None:
    """Exit 78, naming the file; not a server without TLS."""
    (tmp_path / "cert.pem").write_text("nonsense\n")
    env = {
        "MAIRUST_SMTP__TLS_CERT": str(tmp_path / "cert.pem"),
        "MAIRUST_SMTP__TLS_KEY": str(tmp_path / "no.pem"),
    }
    for workers in ("1", "2"):
        listeners = ("--smtp", "127.0.0.1:0", "--lmtp", "off", "--http", "off")
        done = subprocess.run(
            command_line(site, "serve", *listeners, "--workers", workers),
            env=clean_environment(env), capture_output=True, text=True, timeout=END_TIMEOUT_S, check=False,
        )  # fmt: skip
        assert done.returncode == 78, done.stderr
        assert "pem" in done.stderr


def test_trap_s11_many_large_mails_at_once_keep_memory_bounded(site: Site) -> None:
    """Ten clients with 8 MiB each stream to disk: the process stays far below what they send together."""
    content = b"Subject: big\r\n\r\n" + b"x" * 76 + (b"\r\n" + b"y" * 76) * 107_000
    with Server(afresh=True, site=site) as server:
        idle = pss_bytes([server.pid, *server.committing_pids])
        peak = idle
        codes: list[int] = []

        def send(number: int) -> None:
            with Dialogue(server.smtp, timeout_s=60) as client:
                to = f"user{number % 4}@example.org"
                codes.append(client.send("bob@example.com", [to], content)[to].code)

        threads = [threading.Thread(target=send, args=(number,)) for number in range(10)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            peak = max(peak, pss_bytes([server.pid, *server.committing_pids]))
            time.sleep(0.05)
        assert codes == [250] * 10
        assert peak - idle < 60 << 20
