"""The proxy repeats what may be repeated when a connection breaks, and nothing else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from uuid import uuid4

import pytest

from mairust_core.errors import NotFound, Unreachable
from mairust_core.model.account import Account
from mairust_core.model.domain import NewDomain
from mairust_core.operations import BytesIn
from mairust_core.remote import Server, remote
from mairust_core.services.domains import Domains
from mairust_core.services.messages import Messages
from tests.integration.api.conftest import Web

MAIL = b"Subject: repeated\r\n\r\n"


class Cutting:
    """A proxy before a server that cuts the connection, some times, once the server has answered."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.left = 0
        self.requests = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with closing(client):
                self._one(client)

    def _one(self, client: socket.socket) -> None:
        """One request of one connection: small ones come whole in what is there."""
        self.requests += 1
        with socket.create_connection(self._target, 10) as server:
            head, body = _request(client)
            server.sendall(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + body)
            answer = b""
            while piece := server.recv(1 << 16):
                answer += piece
        if self.left:
            self.left -= 1
            return
        client.sendall(answer.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))


def _request(client: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(1 << 16)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
    )
    chunked = b"transfer-encoding: chunked" in head.lower()
    while (len(body) < length) if not chunked else not body.endswith(b"0\r\n\r\n"):
        body += client.recv(1 << 16)
    return head + b"\r\n\r\n", body


@pytest.fixture
def cutting(web: Web) -> Iterator[Cutting]:
    """The proxy before the server."""
    proxy = Cutting(web.http.url)
    yield proxy
    proxy.close()


@pytest.fixture
def server(web: Web, cutting: Cutting) -> Iterator[Server]:
    """The server behind it, as the remote proxy sees it."""
    with Server(url=cutting.url, token=web.key, timeout_s=20) as made:
        yield made


@pytest.mark.parametrize("cuts", [0, 1, 2])
def test_what_creates_is_done_once_however_often_the_answer_is_lost(
    web: Web, server: Server, cutting: Cutting, cuts: int
) -> None:
    """The server had done it each time; the answer is that of the first."""
    cutting.left = cuts
    made = remote(Domains, server).add(NewDomain(name=f"cut{uuid4().hex[:10]}.example"))
    assert cutting.requests == cuts + 1
    assert made == remote(Domains, server).show(made.name)


def test_reading_is_repeated_too(web: Web, server: Server, cutting: Cutting) -> None:
    """It changes nothing."""
    cutting.left = 2
    assert remote(Domains, server).browse(limit=1) is not None
    assert cutting.requests == 3


def test_it_gives_up_after_three_times(server: Server, cutting: Cutting) -> None:
    """And says that the server does not answer."""
    cutting.left = 99
    with pytest.raises(Unreachable, match="does not answer"):
        remote(Domains, server).browse(limit=1)
    assert cutting.requests == 3


def test_what_changes_without_creating_is_not_repeated(server: Server, cutting: Cutting) -> None:
    """Whether it was done is not known, and doing it again could be wrong."""
    cutting.left = 1
    with pytest.raises(Unreachable):
        remote(Domains, server).remove("gone.example")
    assert cutting.requests == 1


def test_an_answer_is_an_answer(server: Server, cutting: Cutting) -> None:
    """A refusal is told at once."""
    with pytest.raises(NotFound):
        remote(Domains, server).show("gone.example")
    assert cutting.requests == 1


@pytest.mark.parametrize(
    ("chunks", "repeated"), [(lambda: [MAIL], True), (lambda: iter([MAIL]), False)], ids=["list", "stream"]
)
def test_a_message_is_sent_again_when_it_is_still_there(
    web: Web,
    ann: Account,
    server: Server,
    cutting: Cutting,
    chunks: Callable[[], list[bytes]],
    repeated: bool,
) -> None:
    """A stream that was read is not; either way it is stored once."""
    cutting.left = 1
    call = remote(Messages, server)
    if repeated:
        assert call.append(ann.address, BytesIn(chunks=chunks(), size_bytes=len(MAIL))).subject == "repeated"
    else:
        with pytest.raises(Unreachable):
            call.append(ann.address, BytesIn(chunks=chunks(), size_bytes=len(MAIL)))
    found = web.client.get(f"/api/v1/accounts/{ann.address}/messages").json()["items"]
    assert len(found) == 1
