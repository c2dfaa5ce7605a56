"""The same command here and on a server: the same document, the same words, the same exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mairust_cli.main import run
from tests.support.command_line import Ran, environment_of_mairust, process
from tests.support.server import Server, Site, make_site

MAIL = b"From: Ann <ann@example.net>\nSubject: here and there\n\n\x00 any \xff bytes\r.\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server over a site of four accounts."""
    site = make_site(tmp_path_factory.mktemp("remote") / "site")
    with Server(site=site, http="127.0.0.1:0") as running:
        yield running


class Twice:
    """Runs a command on the local site and on the server that runs on it.

    The command runs in this process, unless it reads stdin; the server is one of its own in any case.
    """

    def __init__(self, server: Server, home: Path, capture: pytest.CaptureFixture[bytes]) -> None:
        self.site = server.site.directory
        self.home = home
        self.capture = capture
        self.url = f"http://{server.ready['http']}"

    def here(self, *arguments: str, stdin: bytes | None = None) -> Ran:
        return self._ran(stdin, *arguments, "--data-dir", str(self.site))

    def there(self, *arguments: str, stdin: bytes | None = None) -> Ran:
        token = str(self.site / "admin.token")
        return self._ran(stdin, *arguments, "--server", self.url, "--token-file", token)

    def _ran(self, stdin: bytes | None, *arguments: str) -> Ran:
        if stdin is not None:
            return process(self.home, *arguments, stdin=stdin)
        self.capture.readouterr()
        code = run(arguments)
        written = self.capture.readouterr()
        return Ran(code=code, stdout=written.out, stderr=written.err.decode())

    def same(self, *arguments: str) -> Ran:
        here, there = self.here(*arguments), self.there(*arguments)
        assert here == there
        return there


@pytest.fixture
def twice(
    server: Server,
    tmp_path: Path,
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> Twice:
    """Here and there, with an empty home directory and nothing of MaiRust's in the environment."""
    for name in environment_of_mairust():
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LANG", "C.UTF-8")
    return Twice(server, tmp_path, capsysbinary)


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["plain", "json"])
@pytest.mark.parametrize(
    ("call", "code"),
    [
        (["domain", "list"], 0),
        (["domain", "show", "example.org"], 0),
        (["domain", "show", "nope.example"], 4),
        (["domain", "add", "example.org"], 5),
        (["domain", "add", "not a domain"], 2),
        (["domain", "list", "--limit", "0"], 2),
        (["account", "list", "--all"], 0),
        (["account", "show", "user0@example.org"], 0),
        (["account", "add", "x@nowhere.example"], 4),
        (["alias", "list"], 0),
        (["mailbox", "list", "--account", "user0@example.org"], 0),
        (["message", "list", "--account", "user1@example.org"], 0),
        (["message", "list", "--account", "user1@example.org", "--mailbox", "a/b %2F"], 4),
        (["message", "show", "1"], 4),
        (["message", "show", "no-id"], 2),
        (["token", "list"], 0),
        (["trace"], 0),
        (["trace", "4711"], 4),
        (["trace", "neither"], 2),
        (["trace", "<a/b%2F@x>", "--lang", "ja"], 4),
        (["trace", "--since", "tomorrow"], 2),
        (["audit", "list"], 0),
        (["audit", "list", "--operation", "accounts", "--limit", "2"], 0),
        (["doctor"], 0),
        (["doctor", "--lang", "ja"], 0),
        (["domain", "show", "nope.example", "--lang", "ja"], 4),
        (["account", "remove", "user0@example.org"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_is_the_same_here_and_there(
    twice: Twice, call: list[str], code: int, form: list[str]
) -> None:
    """Its results, its errors and its exit code."""
    assert twice.same(*call, *form).code == code


def test_what_is_changed_there_is_seen_here(twice: Twice) -> None:
    """And the other way round, while the server runs (rule D3)."""
    added = twice.there("domain", "add", "remote.example", "--json").json
    assert twice.here("domain", "show", "remote.example", "--json").json == added
    assert twice.here("domain", "remove", "remote.example", "--yes").code == 0
    assert twice.there("domain", "show", "remote.example").code == 4


def test_bytes_travel_untouched_both_ways(twice: Twice) -> None:
    """Appended there, shown there and here: NUL, bare CR and 8-bit bytes and all."""
    mail = MAIL + b"x" * (1 << 20)
    added = twice.there("message", "append", "-", "--account", "user2@example.org", "--json", stdin=mail).json
    for form in ("--original", "--raw"):
        assert twice.same("message", "show", added["id"], form).stdout == mail
    twice.same("message", "show", added["id"])
    twice.same("message", "show", added["id"], "--json")


def test_a_key_created_there_works_until_it_is_revoked(twice: Twice) -> None:
    """Within its scope: reading is allowed, adding exits 77."""
    issued = twice.there("token", "create", "--name", "reader", "--scope", "read", "--json").json
    extra = {"MAIRUST_TOKEN": issued["key"], "MAIRUST_SERVER": twice.url}
    assert process(twice.home, "domain", "list", extra=extra).code == 0
    assert process(twice.home, "domain", "add", "x.example", extra=extra).code == 77
    assert twice.there("token", "revoke", issued["token"]["id"]).code == 0
    wrong = {"MAIRUST_TOKEN": "mk_0000000000000000_wrong", "MAIRUST_SERVER": twice.url}
    refused = process(twice.home, "domain", "list", "--json", extra=wrong)
    assert (refused.code, refused.json["error"]["code"]) == (77, "unauthenticated")
    assert issued["key"] not in refused.stderr


def test_a_command_of_this_machine_ignores_the_servers_variable(twice: Twice) -> None:
    """With a note on stderr and the local result on stdout."""
    extra = {"MAIRUST_SERVER": "https://mx.example.org"}
    checked = process(twice.home, "db", "check", "--data-dir", str(twice.site), extra=extra)
    assert checked.code == 0
    assert "MAIRUST_SERVER is ignored" in checked.stderr
    assert checked.stdout == twice.here("db", "check").stdout


def test_deliver_hands_the_message_to_the_running_server(twice: Twice) -> None:
    """Exit 0, and it is there at once; twice the same is stored once (rule C4)."""
    mail = b"Message-ID: <pipe@example.net>\nSubject: by pipe\n\nhi\n"
    for _ in range(2):
        assert twice.here("deliver", "user3@example.org", "--from", "x@example.net", stdin=mail).code == 0
    listed = twice.there("message", "list", "--account", "user3@example.org", "--json").json["items"]
    assert [message["subject"] for message in listed] == ["by pipe"]


def test_serve_creates_the_site_and_says_where_it_listens(tmp_path: Path) -> None:
    """Contract §2 and rule D5: on a fresh machine it needs nothing, and says which store it runs."""
    site = Site(directory=tmp_path / "fresh" / "site")
    (tmp_path / "fresh").mkdir()
    with Server(site=site, http="127.0.0.1:0") as server:
        assert server.ready["event"] == "ready"
        assert set(server.ready) == {"event", "smtp", "lmtp", "http", "pid"}
        assert not server.ready["http"].endswith(":0")
        listed = site.command("domain", "list", "--json").stdout
        assert json.loads(listed) == {"items": [], "next_cursor": None}
        told = server.stderr_file.read_text()
        assert "SQLite" in told
        assert "postgresql://" in told
        assert (site.directory / "admin.token").read_text().strip() not in told
        assert (site.directory / "admin.token").stat().st_mode & 0o777 == 0o600
        assert site.directory.stat().st_mode & 0o777 == 0o700
        assert server.terminate() == 0


def test_serve_keeps_stdout_for_its_one_line(tmp_path: Path) -> None:
    """An address in use: no document but the error's, exit 75; a wrong one: exit 2."""
    site = make_site(tmp_path / "site", accounts=0)
    with Server(site=site) as server:
        other = make_site(tmp_path / "other", accounts=0)
        taken = other.command(
            "serve", "--json", "--smtp", server.ready["smtp"], "--lmtp", "off", "--http", "off"
        )
        assert taken.returncode == 75
        assert json.loads(taken.stdout)["error"]["code"] == "locked"
    wrong = site.command("serve", "--smtp", "nowhere")
    assert wrong.returncode == 2
    assert wrong.stdout == b""
    assert b"--smtp" in wrong.stderr


def test_a_site_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    """Every command says so and exits 78."""
    site = make_site(tmp_path / "site", accounts=0)
    with site.opened() as here, here.storage.write() as tx:
        tx.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for command in (["domain", "list"], ["db", "check"], ["serve", "--smtp", "off", "--lmtp", "off"]):
        told = site.command(*command)
        assert told.returncode == 78, command
        assert b"newer" in told.stderr
