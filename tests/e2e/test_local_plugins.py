"""Commands as plugins on a real server: they decide about mail, and get nothing that is not theirs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from mairust_core.plugins.for_authors import module_text
from tests.support.linking import allow_unsigned, manifest_text
from tests.support.mailbox_client import Dialogue
from tests.support.server import Server, Site, make_site

PATIENCE_S = 60.0
ANN = "user0@example.org"
SHELL, PYTHON, SPY = "com.example.hello", "com.example.casino", "com.example.spy"
CALLER = "com.example.caller"
HELLO = """\
#!/bin/sh
read -r request
echo '{"action": "deliver", "tags": ["hello"]}'
"""
CASINO = """\
from mairust_plugin import deliver, quarantine, reject, run


def answer(mail):
    if "casino" in mail.subject.lower():
        return reject("No casinos, please")
    if "prize" in mail.subject.lower():
        return quarantine("Nobody wins that")
    return deliver()


run(answer)
"""
THIEF = """\
import json, socket, subprocess, sys

def tried(what):
    try:
        return str(what())
    except BaseException as error:
        return type(error).__name__

kept = []

def send(port):
    kept.append(socket.create_connection(("127.0.0.1", port), timeout=1))
    kept[-1].sendall(b"stolen")

def write(path):
    with open(path, "w") as file:
        file.write(MARKER)

for line in sys.stdin:
    got = [tried(lambda: open(path).read()) for path in READ]
    for path in WRITTEN:
        tried(lambda: write(path))
    for port in PORTS:
        tried(lambda: send(port))
    tried(lambda: subprocess.Popen(["sh", "-c", "sleep 600; echo " + MARKER]))
    answer = {"action": "deliver", "tags": ["kept"], "annotations": {"got": got, "asked": json.loads(line)}}
    print(json.dumps(answer), flush=True)
"""
"""A connection that it gets it never closes: it stays to be seen."""
LATER = """\
import json, sys, urllib.request

callback = json.loads(sys.stdin.readline())["callback"]

def said(url, document):
    told = {"Authorization": "Bearer " + callback["token"], "Content-Type": "application/json"}
    try:
        request = urllib.request.Request(url, json.dumps(document).encode(), told)
        with urllib.request.urlopen(request) as answer:
            return [answer.status, json.loads(answer.read())]
    except OSError as error:
        return [0, repr(error)]

heard = {
    "metrics": said(callback["url"].partition("/callback/")[0] + "/metrics", {"metrics": {"asked": 3}}),
    "callback": said(callback["url"], {"action": "deliver", "tags": ["later"]}),
}
print(json.dumps({"action": "deliver", "annotations": heard}))
"""


def answer(site: Site, *arguments: object) -> Any:
    """The document a command prints."""
    done = site.command(*arguments, "--json")
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def send(server: Server, subject: str) -> str:
    """A mail to Ann over SMTP; the reply."""
    mail = f"Subject: {subject}\r\nMessage-ID: <{uuid4()}@example.com>\r\n\r\nA secret of Ann's.\r\n"
    with Dialogue(server.smtp) as client:
        reply = client.send("bob@example.com", [ANN], mail.encode())[ANN]
    return f"{reply.code} {reply.text}"


def put(site: Site, directory: Path, manifest: str, **files: str) -> None:
    """Write a plugin's files, link it, approve it."""
    directory.mkdir()
    directory.chmod(0o755)
    (directory / "plugin.toml").write_text(manifest)
    for name, text in files.items():
        file = directory / name.replace("__", ".")
        file.write_text(text)
        file.chmod(0o755)
    linked = answer(site, "plugin", "link", directory)
    answer(site, "plugin", "approve", linked["id"], "--yes")


def stored(site: Site, mailbox: str) -> list[dict[str, Any]]:
    """Ann's messages in a mailbox, newest first."""
    found: list[dict[str, Any]] = answer(site, "message", "list", "--account", ANN, "--mailbox", mailbox)[
        "items"
    ]
    return found


def told(site: Site, id_: str) -> dict[str, dict[str, Any]]:
    """What the trace of a mail says of its hooks, by plugin."""
    return {one["plugin"]: one for one in answer(site, "trace", id_)["events"] if one["kind"] == "hook"}


def until_tagged(site: Site, server: Server, tag: str) -> dict[str, Any]:
    """A mail that has a tag, from the moment on that the server follows what was approved (rule D3)."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        assert send(server, "Another").startswith("250")
        newest = stored(site, "INBOX")[0]
        if newest["tags"] == [tag]:
            return newest
        assert time.monotonic() < deadline


def until_refused(server: Server, subject: str, reply: str) -> None:
    """A mail is refused, by every worker: eight times one after another."""
    deadline, in_a_row = time.monotonic() + PATIENCE_S, 0
    while in_a_row < 8:
        in_a_row = in_a_row + 1 if send(server, subject) == reply else 0
        assert time.monotonic() < deadline


def test_local_plugins_tag_refuse_and_set_aside_mail(tmp_path: Path) -> None:
    """In shell and in Python: `hook test` explains, mail over SMTP, `trace`, `hook replay`."""
    site = make_site(tmp_path / "site")
    allow_unsigned(site.directory)
    with Server(site=site, workers=2) as server:
        assert send(server, "The first casino").startswith("250")
        once = 'protocol = "stdin"\ncommand = ["./hello.sh"]'
        shell = manifest_text(SHELL, permissions="write_tags = true", entry=once)
        put(site, tmp_path / "hello", shell, hello__sh=HELLO)
        python = manifest_text(
            PYTHON, permissions="read_headers = true", entry=_command("python3", "casino.py")
        )
        files = {"casino__py": CASINO, "mairust_plugin__py": module_text()}
        put(site, tmp_path / "casino", python, **files)

        mail = tmp_path / "casino.eml"
        mail.write_bytes(b"Subject: Casino\r\n\r\nCome in.\r\n")
        tried = answer(site, "hook", "test", PYTHON, "--message", mail, "--to", ANN)
        assert (tried["action"], tried["reply"]) == ("reject", "550 5.7.1 No casinos, please")
        assert tried["steps"][0]["payload"]["message"]["headers"] == [["Subject", "Casino"]]
        assert "body" not in tried["steps"][0]["payload"]["message"]

        until_tagged(site, server, "hello")
        until_refused(server, "A CASINO", "550 5.7.1 No casinos, please")
        assert send(server, "Your prize").startswith("250")
        assert send(server, "Lunch").startswith("250")
        lunch, *_, first = stored(site, "INBOX")
        assert (lunch["subject"], lunch["tags"]) == ("Lunch", ["hello"])
        [prize] = stored(site, "Quarantine")
        story = told(site, prize["id"])
        assert (story[PYTHON]["action"], story[PYTHON]["message"]) == ("quarantine", "Nobody wins that")
        assert story[SHELL]["effect"] == {"tags": ["hello"]}
        assert story[SHELL]["saw"] == []
        held = answer(site, "plugin", "show", SHELL)["sandbox"]
        assert story[SHELL]["missing"] == [one["layer"] for one in held["missing"]]
        assert tried["steps"][0]["notes"] == {
            "sandbox": story[SHELL]["sandbox"],
            "missing": story[SHELL]["missing"],
        }

        replayed = answer(site, "hook", "replay", f"{PYTHON}:pre_receive", "--account", ANN)["items"]
        by_subject = {one["subject"]: one["action"] for one in replayed}
        assert by_subject["The first casino"] == "reject"
        assert by_subject["Lunch"] == "deliver"
        assert stored(site, "INBOX")[-1] == first, "nothing became of it"


def test_a_local_plugin_cannot_read_keep_or_send_what_it_was_not_given(tmp_path: Path) -> None:
    """It tries: the data directory, the machine's files, its own directory, our ports, somebody else's."""
    site = make_site(tmp_path / "site")
    allow_unsigned(site.directory)
    marker = f"marker-{uuid4().hex}"
    token = site.directory / "admin.token"
    outside = [Path(tempfile.gettempdir()) / marker, Path("/dev/shm") / marker, Path("/var/tmp") / marker]
    directory = tmp_path / "spy"
    with Server(site=site, http="127.0.0.1:0") as server, _listening() as listener:
        http = int(server.ready["http"].rpartition(":")[2])
        ports = [listener.getsockname()[1], server.smtp[1], server.lmtp[1], http]
        thief = (
            f"MARKER = {marker!r}\nREAD = {[str(token), '/etc/passwd', '/proc/1/environ']!r}\n"
            f"WRITTEN = {[str(directory / 'x'), '/plugin/x', *map(str, outside)]!r}\nPORTS = {ports!r}\n"
        )
        put(
            site,
            directory,
            manifest_text(SPY, permissions="write_tags = true", entry=_command("python3", "spy.py")),
            spy__py=thief + THIEF,
        )
        before = {file.name: file.read_bytes() for file in directory.iterdir()}
        asked = until_tagged(site, server, "kept")
        listener.setblocking(False)
        assert (_connected_to(ports), _came(listener)) == (set(), 0)
        assert {file.name: file.read_bytes() for file in directory.iterdir()} == before
        assert [path for path in outside if path.exists()] == []
        event = json.dumps(told(site, asked["id"])[SPY])
        assert token.read_text().strip() not in event
        assert "root:" not in event
        assert "secret of Ann" not in event
        assert "Subject" not in event
        alone = f"MARKER = {marker!r}\nREAD = WRITTEN = []\nPORTS = {ports!r}\n"
        with _unheld(alone + THIEF):  # or all this would prove nothing
            assert (_connected_to(ports), _came(listener)) == ({*ports}, 1)
    assert _running(marker) == []


def test_rule_h2_a_local_plugin_hears_what_became_of_its_callback(tmp_path: Path) -> None:
    """And of its metrics: by the standard library's client, through the proxy."""
    site = make_site(tmp_path / "site")
    allow_unsigned(site.directory)
    with Server(site=site, http="127.0.0.1:0") as server:
        limits = (
            f'[limits]\ncpu_ms = 5000\nnetwork = "local-only"\nnetwork_allow = ["{server.ready["http"]}"]\n'
        )
        once = 'protocol = "stdin"\ncommand = ["python3", "later.py"]'
        may = "write_tags = true"
        manifest = manifest_text(CALLER, "post_receive", permissions=may, entry=once, more=limits)
        put(site, tmp_path / "later", manifest, later__py=LATER)
        deadline = time.monotonic() + PATIENCE_S
        while not (called := [one for one in stored(site, "INBOX") if one["tags"] == ["later"]]):
            assert time.monotonic() < deadline
            assert send(server, "Another").startswith("250")
        while CALLER not in (events := told(site, called[0]["id"])):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        heard = events[CALLER]["annotations"]
        assert {name: one[0] for name, one in heard.items()} == {"metrics": 200, "callback": 200}, heard


def _command(*words: str) -> str:
    return f'protocol = "stdin"\ncommand = {json.dumps(words)}\nmode = "worker"'


@contextmanager
def _listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@contextmanager
def _unheld(program: str) -> Iterator[None]:
    """Run a plugin outside of any sandbox until it has answered once, and end it with its children."""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        try:
            process.stdin.write(b"{}\n")
            process.stdin.flush()
            assert process.stdout.readline()
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _connected_to(ports: list[int]) -> set[int]:
    """Of these ports of this machine, those to which somebody holds a connection now (proc(5), net/tcp)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    held = {int(row[2].rpartition(":")[2], 16) for row in rows if row[3] in {"01", "08"}}
    return held & {*ports}


def _came(listener: socket.socket) -> int:
    """How many connected so far."""
    count = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def _running(marker: str) -> list[str]:
    """Processes with the marker in their command lines."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue  # it ended meanwhile
    return found
