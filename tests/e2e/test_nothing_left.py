"""A server that ran out of descriptors, threads or memory says so, in the words of its catalogues."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.raw_http import Answer, RawConnection
from tests.support.server import Server, make_site


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that nobody has asked anything yet, and which was started as users start it."""
    with Server(afresh=True, site=make_site(tmp_path / "site"), http="127.0.0.1:0") as running:
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
