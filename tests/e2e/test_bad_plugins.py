"""Plugins that misbehave on a real server: what a sender hears, and that nothing of it goes further (H1, H8).

A process in the sandbox and a web server of its own, each told by the subject of a mail what to do.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.linking import allow_unsigned, manifest_text
from tests.support.mailbox_client import Dialogue
from tests.support.processes import pss_bytes
from tests.support.server import Server, Site, make_site

PATIENCE_S = 60.0
ANN = "user0@example.org"
LOCAL, WEB, UNIX = "com.example.local", "com.example.web", "com.example.unix"
FAILED = "451 4.7.1 Try again later"
MAY = "read_headers = true\nwrite_tags = true"
SAID = r"""
    SAID = {
        "fine": b'{"action": "deliver", "tags": ["fine"]}',
        "accepts": b'{"action": "reject", "code": 250, "message": "250 ok"}',
        "closes": b'{"action": "reject", "code": 421, "message": "Go away"}',
        "smuggles": b'{"action": "reject", "message": "no\\r\\n250 2.0.0 stored 1\\r\\n221 bye"}',
        "half": b'{"action": "deliver", "tags": ["ha',
        "bytes": b'{"action": "deliver", "tags": ["\xff\xfe"]}',
        "list": b'["deliver"]',
        "unknown": b'{"action": "accept"}',
    }
    HUGE = b'{"action": "deliver", "metadata": {"x": "' + b"y" * (100 << 20) + b'"}}'

    def wanted(request):
        headers = dict(json.loads(request)["message"]["headers"])
        return headers.get("Subject", "").split()[-1]
"""
PROCESS = (
    """
    import json, os, sys, time
"""
    + SAID
    + """
    for line in sys.stdin:
        what = wanted(line)
        if what == "early":
            sys.exit(0)
        if what == "late":
            time.sleep(60)
        if what == "flood":
            for _ in range(3200):
                os.write(2, b"x" * 65536)
        out = HUGE if what == "huge" else SAID.get(what, SAID["fine"])
        while out:
            out = out[os.write(1, out):]
        if what == "half":
            sys.exit(0)
        os.write(1, b"\\n")
"""
)
SERVICE = (
    """
    import http.server, json, sys, time
"""
    + SAID
    + """
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            what = wanted(self.rfile.read(int(self.headers["content-length"])))
            body = HUGE if what == "huge" else SAID.get(what, SAID["fine"])
            if what == "early":
                return
            if what == "late":
                time.sleep(60)
            self.send_response({"moved": 307, "broken": 500, "busy": 429}.get(what, 200))
            self.send_header("content-type", "text/html" if what == "page" else "application/json")
            self.send_header("content-length", str(len(body) + (what == "half")))
            if what == "moved":
                self.send_header("location", sys.argv[1])
            self.end_headers()
            self.wfile.write(body)
        def log_message(self, *_):
            pass

"""
)
OVER_TCP = (
    SERVICE
    + """
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()
"""
)
OVER_UNIX = (
    SERVICE
    + """
    import socketserver
    server = socketserver.UnixStreamServer(sys.argv[1], Handler)
    print("ready", flush=True)
    server.serve_forever()
"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """A running server with both plugins, and a listener that nobody has business with."""

    site: Site
    server: Server
    elsewhere: socket.socket
    marker: str

    def replies(self, plugin: str, what: str) -> tuple[str, str]:
        """What a sender hears of a mail, and of its next command on the same connection."""
        mail = f"Subject: {plugin} {what}\r\nMessage-ID: <{uuid4()}@example.com>\r\n\r\nHello.\r\n"
        with Dialogue(self.server.smtp) as client:
            reply = client.send("bob@example.com", [ANN], mail.encode())[ANN]
            after = client.command(b"VRFY user0")
        return f"{reply.code} {reply.text}", f"{after.code}"

    def came(self) -> int:
        """How many connected to the listener so far."""
        count = 0
        while True:
            try:
                self.elsewhere.accept()[0].close()
            except BlockingIOError:
                return count
            count += 1

    def running(self) -> list[str]:
        """The processes of the local plugin, by the machine's process table."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if self.marker.encode() in path.read_bytes():
                    found.append(path.parent.name)
            except OSError:
                continue  # it ended meanwhile
        return found

    def until_gone(self, pids: Iterable[str]) -> None:
        """Wait until none of these processes is left: the reply goes out while the kernel ends them."""
        deadline, left = time.monotonic() + PATIENCE_S, set(pids)
        while not left.isdisjoint(self.running()):
            assert time.monotonic() < deadline, f"{left} were not ended"
            time.sleep(0.01)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One server for all of them."""
    directory = tmp_path_factory.mktemp("bad")
    site = make_site(directory / "site")
    allow_unsigned(site.directory)
    marker = f"marker-{uuid4().hex}"
    with socket.create_server(("127.0.0.1", 0)) as elsewhere, Server(site=site) as server:
        elsewhere.setblocking(False)
        made = House(site=site, server=server, elsewhere=elsewhere, marker=marker)
        with _service(elsewhere.getsockname()[1]) as port:
            _put(site, directory / "local", LOCAL, _local_text(marker), PROCESS)
            _put(site, directory / "web", WEB, _web_text(port))
            for plugin in ("local", "web"):
                _until_asked(made, plugin)
            yield made
    made.until_gone(made.running())


def _hook(word: str) -> str:
    return f'type = "pre_receive"\ntimeout_ms = 2000\nfilter = {{ subject_matches = "^{word} " }}'


def _local_text(marker: str) -> str:
    command = json.dumps(["python3", "plugin.py", marker])
    entry = f'protocol = "stdin"\nmode = "worker"\ncommand = {command}'
    limits = "[limits]\ncpu_ms = 5000\nmemory_mb = 512\n"
    return manifest_text(LOCAL, _hook("local"), permissions=MAY, entry=entry, more=limits)


def _web_text(port: int) -> str:
    entry = f'protocol = "http"\nendpoint = "http://127.0.0.1:{port}/"'
    limits = f'[limits]\nnetwork = "local-only"\nnetwork_allow = ["127.0.0.1:{port}"]\n'
    return manifest_text(WEB, _hook("web"), permissions=MAY, entry=entry, more=limits)


def _put(site: Site, directory: Path, id_: str, manifest: str, program: str = "") -> None:
    directory.mkdir()
    directory.chmod(0o755)
    (directory / "plugin.toml").write_text(manifest)
    (directory / "plugin.py").write_text(textwrap.dedent(program))
    for words in (["link", directory], ["approve", id_, "--yes"]):
        done = site.command("plugin", *words)
        assert done.returncode == 0, done.stderr.decode()


def _until_asked(house: House, plugin: str) -> None:
    """From the moment on that the server follows what was approved (rule D3)."""
    deadline = time.monotonic() + PATIENCE_S
    while not house.replies(plugin, "accepts")[0].startswith("550"):
        assert time.monotonic() < deadline


@contextmanager
def _service(elsewhere: int) -> Iterator[int]:
    """The web server in a process of its own; its port."""
    where = f"http://127.0.0.1:{elsewhere}/"
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(OVER_TCP), where], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def _tags(house: House) -> list[str]:
    """Those of Ann's newest message."""
    done = house.site.command("message", "list", "--account", ANN, "--limit", "1", "--json")
    found: list[str] = json.loads(done.stdout)["items"][0]["tags"]
    return found


@pytest.mark.parametrize("plugin", ["local", "web"])
def test_rule_f2_what_a_plugin_says_to_senders_is_ours_to_say(house: House, plugin: str) -> None:
    """`code: 250`, a 421 and line ends in `message`: the sender hears a refusal of one line, and no more."""
    assert house.replies(plugin, "accepts") == ("550 5.7.1 250 ok", "252")
    assert house.replies(plugin, "closes") == ("550 5.7.1 Go away", "252")
    assert house.replies(plugin, "smuggles") == ("550 5.7.1 Message refused by policy", "252")


@pytest.mark.parametrize("what", ["half", "bytes", "list", "unknown", "huge", "early", "late"])
@pytest.mark.parametrize("plugin", ["local", "web"])
def test_trap_h1_no_answer_is_a_temporary_failure(house: House, plugin: str, what: str) -> None:
    """And the next mail is answered as ever: three of these in a row are the mails' fault (rule E5)."""
    memory_bytes = pss_bytes([house.server.pid])
    before = set(house.running())
    assert house.replies(plugin, what) == (FAILED, "252")
    if plugin == "local" and what not in {"bytes", "list", "unknown"}:
        house.until_gone(before)
    assert pss_bytes([house.server.pid]) - memory_bytes < 64 << 20
    assert house.replies(plugin, "fine")[0].startswith("250 2.0.0 stored")
    assert _tags(house) == ["fine"]


def test_trap_h8_a_flood_beside_the_answer_ends_the_process(house: House) -> None:
    """Two hundred mebibytes on stderr are no answer."""
    house.replies("local", "fine")
    before = set(house.running())
    assert house.replies("local", "flood") == (FAILED, "252")
    assert before
    house.until_gone(before)


@pytest.mark.parametrize("what", ["moved", "broken", "busy", "page"])
def test_trap_h1_what_is_no_answer_of_a_web_server_is_a_temporary_failure(house: House, what: str) -> None:
    """A redirect, 500, 429, a page: and where the redirect leads nobody goes (trap H4)."""
    assert house.replies("web", what) == (FAILED, "252")
    assert house.came() == 0


def test_a_plugin_has_its_socket_where_the_server_made_room_for_it(house: House, tmp_path: Path) -> None:
    """A directory of the owner and its group; the plugin is asked there, and its word counts."""
    sockets = house.site.directory / "run" / "plugins"
    assert sockets.stat().st_mode & 0o777 == 0o750
    path = sockets / "p.sock"
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(OVER_UNIX), str(path)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    with process:
        try:
            assert process.stdout.readline()
            entry = f'protocol = "unix"\nendpoint = "unix:{path}"'
            _put(
                house.site,
                tmp_path / "unix",
                UNIX,
                manifest_text(UNIX, _hook("unix"), permissions=MAY, entry=entry),
            )
            _until_asked(house, "unix")
            assert house.replies("unix", "smuggles") == ("550 5.7.1 Message refused by policy", "252")
        finally:
            process.kill()
    assert house.replies("unix", "fine") == (FAILED, "252")
