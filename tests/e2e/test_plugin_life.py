"""The life of plugins on a real server under load: upgraded, disabled and enabled, their secrets rotated.

Every mail is counted by its reply and by what was made of it; none may be lost for a change.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mairust_core.jobs.tasks import AT_ONCE
from tests.support.linking import allow_unsigned, manifest_text
from tests.support.mailbox_client import Answer, Dialogue
from tests.support.ports import free_port
from tests.support.server import Server, Site, clean_environment, make_site

PATIENCE_S = 150.0
ANN = "user0@example.org"
LOCAL, REMOTE = "com.example.versions", "com.example.signed"
MAIL = b"Subject: %s\r\nMessage-ID: <%s@example.com>\r\n\r\nAt noon.\r\n"
SENDERS = 3
FOLLOWED_S = 1.2
"""By then every worker has followed a change (rule D3: a second)."""
WORKER = """\
import json, sys, time

for line in sys.stdin:
    asked = json.loads(line)
    time.sleep(0.02)
    tag = VERSION if asked["hook"] == "pre_receive" else "later"
    print(json.dumps({"action": "deliver", "tags": [tag]}), flush=True)
    if asked["attempt"] == 1 and asked["hook"] == "pre_receive":
        sys.stderr.write(f"answered by {VERSION}\\n")  # in one piece: the log may be taken between two
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site on which plugins can be linked."""
    made = make_site(tmp_path_factory.mktemp("life") / "site")
    allow_unsigned(made.directory)
    return made


@pytest.fixture(scope="module")
def server(site: Site) -> Iterator[Server]:
    """Two workers that serve it, each with its own pools."""
    with Server(site=site, workers=2, http="127.0.0.1:0") as running:
        yield running


def answer(site: Site, *arguments: str) -> Any:
    """The document a command prints."""
    done = site.command(*arguments, "--json")
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def until(true: Callable[[], Any]) -> Any:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := true()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


class Load:
    """Mail that comes and comes, on some connections; each with its reply."""

    def __init__(self, server: Server, name: str) -> None:
        self._server = server
        self._name = name
        self._over = threading.Event()
        self.replies: dict[str, Answer] = {}
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(SENDERS)]

    def _send(self, sender: int) -> None:
        number = 0
        while not self._over.is_set():
            with Dialogue(self._server.smtp) as client:
                for _ in range(10):
                    id_ = f"{self._name}-{sender}-{number:06}"
                    content = MAIL % (id_.encode(), id_.encode())
                    self.replies[id_] = client.send("bob@example.com", [ANN], content)[ANN]
                    number += 1

    def more(self, count: int = 30) -> None:
        """Return after so many mails more."""
        enough = len(self.replies) + count
        until(lambda: len(self.replies) >= enough)

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Send for the length of a block."""
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join(PATIENCE_S)
                assert not thread.is_alive()


def tags(site: Site) -> dict[str, list[str]]:
    """The tags of every mail of Ann's, by its subject."""
    found = answer(site, "message", "list", "--account", ANN, "--all")["items"]
    return {one["subject"]: one["tags"] for one in found}


def write(directory: Path, version: str) -> Path:
    """A version of the local plugin; its processes are told by their command line."""
    directory.mkdir()
    (directory / "plugin.py").write_text(f'VERSION = "v{version}"\n' + WORKER)
    text = manifest_text(
        LOCAL,
        'type = "pre_receive"\ntimeout_ms = 5000',  # a busy machine opens no breaker
        "post_receive",
        version=version,
        entry=f'protocol = "stdin"\ncommand = ["python3", "plugin.py", "of-{version}"]\nmode = "worker"',
    )
    (directory / "plugin.toml").write_text(text)
    return directory


def alive(version: str) -> list[str]:
    """The processes of a version, as the machine's process table has them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if f"of-{version}".encode() in words and b"plugin.py" in words and words[0].endswith(b"python3"):
            found.append(path.parent.name)
    return found


@pytest.fixture(autouse=True)
def alone(site: Site) -> Iterator[None]:
    """A plugin that a test leaves would be asked in the next one, and answer nobody."""
    yield
    for id_ in (LOCAL, REMOTE):
        site.command("plugin", "remove", id_, "--yes")
    time.sleep(FOLLOWED_S)


def test_a_plugin_is_upgraded_disabled_and_enabled_without_losing_a_mail(
    site: Site, server: Server, tmp_path: Path
) -> None:
    """New calls go to new workers, running ones end, and the old workers with them; jobs wait meanwhile."""
    assert site.command("plugin", "link", write(tmp_path / "one", "1.0.0")).returncode == 0
    answer(site, "plugin", "approve", LOCAL, "--yes")
    load = Load(server, "upgrade")
    with load.flowing():
        until(lambda: alive("1.0.0"))
        load.more()
        assert site.command("plugin", "link", write(tmp_path / "two", "2.0.0")).returncode == 0
        until(lambda: alive("2.0.0"))
        load.more()
        until(lambda: not alive("1.0.0"))
        assert answer(site, "plugin", "disable", LOCAL)["state"] == "disabled"
        until(lambda: not alive("2.0.0"))
        load.more()
        assert answer(site, "plugin", "enable", LOCAL)["state"] == "enabled"
        until(lambda: alive("2.0.0"))
        load.more()
    assert {reply.code for reply in load.replies.values()} == {250}
    _finish_jobs(site)
    found = tags(site)
    assert set(load.replies) <= found.keys()
    mine = {subject: set(found[subject]) for subject in load.replies}
    by_version = {
        version: {one for one, its in mine.items() if version in its} for version in ("v1.0.0", "v2.0.0")
    }
    assert all(by_version.values())
    assert not by_version["v1.0.0"] & by_version["v2.0.0"]
    asked = by_version["v1.0.0"] | by_version["v2.0.0"]
    later = {one for one, its in mine.items() if "later" in its}
    assert later >= asked
    ended = len(later - asked)  # what it was just asked about when it was disabled
    assert ended <= 2 * SENDERS
    assert mine.keys() - later  # those that came while it was disabled
    _prove_figures(site, len(asked), ended)


def _finish_jobs(site: Site) -> None:
    """Let what waits for the plugin run now, and wait until all of it is done."""

    def done() -> bool:
        waiting = answer(site, "job", "list", "--kind", "hook", "--state", "ready", "--all")["items"]
        for one in waiting:
            site.command("job", "retry", one["id"])
        running = answer(site, "job", "list", "--kind", "hook", "--state", "running")["items"]
        return not waiting and not running

    until(done)
    assert answer(site, "job", "list", "--kind", "hook", "--state", "dead")["items"] == []


def _prove_figures(site: Site, asked: int, ended: int) -> None:
    """What the plugin did is told: calls, time, memory, processes, its log, and whose mail it saw."""
    shown = until(lambda: _counted(site, asked))
    # Calls under way end as the plugin is disabled: of mail that comes in, and of jobs in both workers.
    assert shown["usage"]["failures"] <= SENDERS + 2 * AT_ONCE
    assert shown["usage"]["skipped"] == 0
    assert shown["usage"]["wall_ms"] >= 20 * asked
    assert shown["usage"]["peak_memory_mb"] > 2
    assert shown["usage_today"]["calls"] <= shown["usage"]["calls"]
    assert shown["workers"]["alive"] >= 1
    lines = answer(site, "plugin", "logs", LOCAL, "--all")["items"]
    written = {one["text"] for one in lines if one["origin"] == "stderr"}
    assert written <= {"answered by v1.0.0", "answered by v2.0.0"}
    assert written
    accesses = answer(site, "plugin", "accesses", LOCAL, "--all")["items"]
    assert len({one["message_id"] for one in accesses}) == asked + ended
    assert {(one["account"], *one["saw"]) for one in accesses} == {(ANN, "headers")}
    assert {one["version"] for one in accesses} == {"1.0.0", "2.0.0"}


def _counted(site: Site, asked: int) -> Any:
    shown = answer(site, "plugin", "show", LOCAL)
    return shown if shown["usage"]["calls"] >= 2 * asked and shown["workers"] else None


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def templated(directory: Path, port: int, secret: str) -> Iterator[Callable[[int], int]]:
    """The template's server as it stands, with one secret; how often it answered with a status so far."""
    log = directory.with_suffix(".log")
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "server.py", str(port)],
            cwd=directory,
            stderr=file,
            env={**clean_environment(), "MAIRUST_PLUGIN_SECRET": secret},
        )
    try:
        until(lambda: _listens(port))
        yield lambda status: log.read_text().count(f'"POST /hook HTTP/1.1" {status} ')
    finally:
        process.kill()
        process.wait(PATIENCE_S)


def _made_from_the_template(site: Site, directory: Path, port: int) -> None:
    """An HTTP plugin that is asked before the reply, so that a refused signature is seen by who sends."""
    assert site.command("plugin", "new", directory, "--id", REMOTE, "--template", "http").returncode == 0
    toml = directory / "plugin.toml"
    toml.write_text(toml.read_text().replace("9000", str(port)).replace("post_receive", "pre_receive"))
    assert site.command("plugin", "link", directory).returncode == 0


def test_rule_g2_a_plugin_that_knows_only_the_old_secret_loses_no_mail(
    site: Site, server: Server, tmp_path: Path
) -> None:
    """In the grace period; after it refuses everything, until it is given the new secret."""
    site.command("plugin", "remove", LOCAL, "--yes")
    directory, port = tmp_path / "signed", free_port()
    _made_from_the_template(site, directory, port)
    secret = answer(site, "plugin", "approve", REMOTE, "--yes")["secret"]
    load = Load(server, "urgent-rotate")
    with templated(directory, port, secret) as answered, load.flowing():
        until(lambda: answered(200))
        load.more()
        rotated = answer(site, "plugin", "rotate-secret", REMOTE, "--grace", "8s")
        before, asked = dict(load.replies), answered(200)
        load.more()
        in_grace = dict(load.replies)
        assert (answered(401), len(in_grace) > len(before), answered(200) > asked) == (0, True, True)
        until(lambda: answered(401))
        until(lambda: any(one.code == 451 for one in [*load.replies.values()]))
    assert rotated["previous_valid_until"] is not None
    assert {reply.code for reply in in_grace.values()} == {250}
    with templated(directory, port, rotated["secret"]) as answered:
        site.command("hook", "reset", f"{REMOTE}:pre_receive")
        again = Load(server, "urgent-again")
        with again.flowing():
            until(lambda: any(one.code == 250 for one in [*again.replies.values()]))
        assert answered(200)
        until(lambda: answer(site, "secrets", "list", "--all")["items"])
    found = tags(site)
    seen = {subject for subject, its in found.items() if "urgent" in its}
    assert in_grace.keys() - before.keys() <= seen
