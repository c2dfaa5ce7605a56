"""Commands against a server of an earlier version: cursors are its own words, whatever they look like."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from mairust_cli.candidates import find
from tests.support.command_line import Run

NAMES = [f"{letter}.example" for letter in "abcdefg"]


class OlderServer(ThreadingHTTPServer):
    """Lists domains as the first release did: any text is a cursor, the name after which a page begins."""

    daemon_threads = True

    def __init__(self) -> None:
        self.cursors: list[str] = []
        super().__init__(("127.0.0.1", 0), _Answers)

    def page(self, cursor: str, limit: int) -> dict[str, object]:
        """What follows a name."""
        self.cursors.append(cursor)
        rest = [name for name in NAMES if name > cursor]
        items = [
            {"id": "1", "name": name, "created_at": "2026-01-01T00:00:00Z", "accounts": 0, "aliases": 0}
            for name in rest[:limit]
        ]
        return {"items": items, "next_cursor": rest[limit - 1] if len(rest) > limit else None}


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, OlderServer)
        asked = {name: found[0] for name, found in parse_qs(urlsplit(self.path).query).items()}
        body = json.dumps(self.server.page(asked.get("cursor", ""), int(asked.get("limit", "50")))).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> Iterator[OlderServer]:
    """One that listens, and that commands work on."""
    monkeypatch.setenv("MAIRUST_TOKEN", "mk_0_0")
    with OlderServer() as server:
        monkeypatch.setenv("MAIRUST_SERVER", f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_all_follows_its_cursors(older: OlderServer, run: Run) -> None:
    """Each goes back as it came."""
    found = run("domain", "list", "--all", "--limit", "3", "--json").json
    assert [one["name"] for one in found["items"]] == NAMES
    assert older.cursors == ["", "c.example", "f.example"]


def test_a_page_is_continued_by_hand(older: OlderServer, run: Run) -> None:
    """Also with a cursor that a newer server would refuse."""
    first = run("domain", "list", "--limit", "2", "--json").json
    rest = run("domain", "list", "--limit", "9", "--cursor", first["next_cursor"], "--json").json
    assert [one["name"] for one in (*first["items"], *rest["items"])] == NAMES


def test_completion_finds_names_there(older: OlderServer) -> None:
    """The cursor that it makes up sorts before every name: the list begins at its first."""
    assert find("domains", "e.ex", []) == ["e.example"]
    assert older.cursors[0].startswith(".")
