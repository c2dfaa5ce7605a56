"""The remote proxy against servers that are not what they should be."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from mairust_core.errors import (
    Forbidden,
    IncompleteStream,
    MaiRustError,
    NotFound,
    Temporary,
    Unreachable,
    Usage,
)
from mairust_core.model.account import Account
from mairust_core.operations import BytesIn
from mairust_core.remote import Server, remote
from mairust_core.services.domains import Domains
from mairust_core.services.messages import Messages
from tests.integration.api.conftest import Web

DATA = b"Subject: x\r\n\r\n" * 1000
DIGEST = base64.b64encode(hashlib.sha256(DATA).digest()).decode()


@contextlib.contextmanager
def answering(answer: bytes, tls: trustme.CA | None = None) -> Iterator[str]:
    """A server that says these bytes to everyone and closes; gives its host and port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):  # the listener is closed: the test is over
            while True:
                connection = listener.accept()[0]
                with connection:
                    _say(connection, answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


@contextlib.contextmanager
def server_that_says(answer: bytes) -> Iterator[Server]:
    """A server as the proxy knows it, which says these bytes to everyone."""
    with answering(answer) as where, Server(url=f"http://{where}", token="mk_a_b", timeout_s=5) as server:
        yield server


def _say(connection: socket.socket, answer: bytes) -> None:
    """Answer one request and end; a close with bytes unread would take the answer back."""
    request = b""
    while b"\r\n\r\n" not in request:
        request += connection.recv(1 << 16)
    connection.sendall(answer)
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(1 << 16):
        pass


def download(answer: bytes) -> bytes:
    """What a download from a server that answers so gives."""
    with server_that_says(answer) as server:
        return b"".join(remote(Messages, server).raw("1").chunks)


def head(*lines: str) -> bytes:
    """The head of a 200."""
    return "\r\n".join(["HTTP/1.1 200 OK", "Connection: close", *lines, "", ""]).encode()


LENGTH, GOOD = f"Content-Length: {len(DATA)}", f"Repr-Digest: sha-256=:{DIGEST}:"


def test_a_whole_download_is_given() -> None:
    """Length and digest fit: the bytes are the bytes."""
    assert download(head(LENGTH, GOOD) + DATA) == DATA
    assert download(head(LENGTH, f"Repr-Digest: md5=:AA==:, sha-256=:{DIGEST}:") + DATA) == DATA


@pytest.mark.parametrize(
    "answer",
    [
        head(LENGTH, GOOD) + DATA[:-1],
        head(LENGTH, GOOD),
        head(LENGTH, GOOD) + DATA[:-1] + b"!",
        head(f"Content-Length: {len(DATA) - 1}", GOOD) + DATA[:-1],
    ],
    ids=["cut", "nothing", "changed", "shorter"],
)
def test_a_download_that_is_not_whole_is_never_taken_for_one(answer: bytes) -> None:
    """The end raises, whatever was cut or changed on the way (exit code 75)."""
    with pytest.raises(IncompleteStream) as refused:
        download(answer)
    assert refused.value.exit_code == 75


NO_SUCH = b"HTTP/1.1 404 x\r\nContent-Type: application/problem+json\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        head(LENGTH) + DATA,
        head(GOOD) + DATA,
        head(LENGTH, "Repr-Digest: sha-256=:AAAA:") + DATA,
        head("Content-Length: 5", "Content-Type: text/html") + b"<p>x ",
        b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\n<p>x ",
        NO_SUCH + b'Content-Length: 13\r\n\r\n{"code": "x"}',
        NO_SUCH + b"Content-Length: 4\r\n\r\nnull",
        b"220 mail.example ESMTP\r\n",
        b"",
        b"\x00" * 5000,
    ],
    ids=range(11),
)
def test_who_is_not_mairust_is_told_as_such(answer: bytes) -> None:
    """Redirects are not followed; an answer that no MaiRust gives is Unreachable, for both kinds of call."""
    with pytest.raises(Unreachable) as refused:
        download(answer)
    assert "127.0.0.1" in str(refused.value)
    with server_that_says(answer) as server, pytest.raises(Unreachable):
        remote(Domains, server).show("x.example")


def test_an_answer_without_a_field_is_not_mairust() -> None:
    """JSON of another shape is told with the operation and the field."""
    body = b'{"id": "1", "name": "x.example"}'
    answer = head(f"Content-Length: {len(body)}", "Content-Type: application/json") + body
    wrong = pytest.raises(Unreachable, match=r"domains\.show, accounts: it is missing")
    with server_that_says(answer) as server, wrong:
        remote(Domains, server).show("x.example")


def test_a_later_server_s_keys_and_codes_are_understood() -> None:
    """Unknown keys of an answer are ignored; a problem keeps its text."""
    body = b'{"id": "1", "name": "x.example", "accounts": 0, "created_at": "2027-01-01T00:00:00Z", "red": 1}'
    answer = head(f"Content-Length: {len(body)}", "Content-Type: application/json") + body
    with server_that_says(answer) as server:
        assert remote(Domains, server).show("x.example").name == "x.example"


def test_nobody_there_is_unreachable() -> None:
    """A closed port, a silent server: Unreachable, which may be tried again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        silent = Server(url=f"http://127.0.0.1:{port}", token="mk_a_b", timeout_s=0.2)
        with silent, pytest.raises(Unreachable, match=r"no answer for 0\.2 s"):
            remote(Domains, silent).browse()
    with Server(url=f"http://127.0.0.1:{port}", token="mk_a_b") as server, pytest.raises(Temporary):
        remote(Domains, server).browse()


def test_a_missing_unix_socket_is_unreachable() -> None:
    """Nothing listens at the path: told as such."""
    wrong = pytest.raises(Unreachable, match=r"/nonexistent/http\.sock does not answer")
    with Server(url="unix:/nonexistent/http.sock", token="mk_a_b") as server, wrong:
        remote(Domains, server).browse()


@pytest.mark.parametrize(
    "url",
    ["", "mx.example.org", "ftp://x", "http://", "https://u:p@x", "https://x/?a=1", "http://x:y", "unix:x"],
)
def test_what_is_no_address_of_a_server_is_a_usage_error(url: str) -> None:
    """The address is checked before anything is sent; a password in it is not repeated."""
    with pytest.raises((Usage, Forbidden)) as refused:
        Server(url=url, token="mk_a_b")
    assert "u:p" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["http://mx.example.org", "http://192.0.2.1:8025", "http://localhost.evil.example"]
)
def test_rule_g4_a_key_does_not_travel_in_the_clear(url: str) -> None:
    """Plain http only to this machine."""
    with pytest.raises(Forbidden, match="plain http"):
        Server(url=url, token="mk_a_b")


@pytest.mark.parametrize(
    "url", ["http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1", "https://x:1/"]
)
def test_rule_g4_loopback_and_https_are_fine(url: str) -> None:
    """These may have a key."""
    assert "mk_a_b" not in repr(Server(url=url, token="mk_a_b"))


@pytest.mark.parametrize("url", ["https://x/api/v1", "https://x/api/v1/"])
def test_the_address_of_the_api_is_that_of_its_server(url: str) -> None:
    """Whoever copied it from an example for curl means the same; a socket may have any path."""
    assert Server(url=url, token="mk_a_b").url == "https://x"
    assert Server(url="unix:/run/api/v1", token="mk_a_b").url == "unix:/run/api/v1"


def test_an_upload_that_lies_about_its_length_stores_nothing(web: Web, ann: Account) -> None:
    """Too few or too many chunks are refused by the client, and the server keeps no half message."""
    with Server(url=web.http.url, token=web.key) as server:
        for announced in (5, 15):
            content = BytesIn(chunks=iter([b"0123", b"456789"]), size_bytes=announced)
            with pytest.raises(IncompleteStream):
                remote(Messages, server).append(ann.address, content)
        assert remote(Messages, server).browse(ann.address).items == ()


def test_a_failing_source_stores_nothing(web: Web, ann: Account) -> None:
    """An error while the chunks are made ends the call with that error."""

    def chunks() -> Iterator[bytes]:
        yield b"Subject: half"
        raise RuntimeError("the disk went away")

    with Server(url=web.http.url, token=web.key) as server:
        with pytest.raises(RuntimeError, match="went away"):
            remote(Messages, server).append(ann.address, BytesIn(chunks=chunks()))
        assert remote(Messages, server).browse(ann.address).items == ()


def test_the_unix_socket_serves_the_same(web: Web, ann: Account) -> None:
    """`unix:/PATH` in place of a host."""
    with Server(url=f"unix:{web.http.unix}", token=web.key) as server:
        found = remote(Messages, server).browse(ann.address)
        assert found.items == ()


def test_errors_come_in_the_language_asked_for(web: Web) -> None:
    """`language` reaches the server."""
    server = Server(url=web.http.url, token=web.key, language="ja")
    with server, pytest.raises(NotFound) as refused:
        remote(Domains, server).show("unknown.example")
    assert str(refused.value).startswith("ドメイン unknown.example はありません。")


def test_every_code_comes_back_as_its_class() -> None:
    """What a server reports is raised as the same class, also where its constructor takes more."""
    for code in ("invalid", "incomplete_stream", "newer_site", "a code of next year"):
        error = MaiRustError.from_wire(code, "What.", "How.")
        assert str(error) == "What. How."
        assert error.code in (code, "failed")


def test_a_remote_call_loads_neither_database_nor_web_framework(web: Web) -> None:
    """The proxy starts quickly and works where no database library is."""
    code = (
        "import sys; from mairust_core.remote import Server, remote; "
        "from mairust_core.services.domains import Domains; "
        f"s = Server(url={web.http.url!r}, token={web.key!r}); "
        "print(remote(Domains, s).browse(limit=1)); s.close(); "
        "print(sorted({m.split('.')[0] for m in sys.modules} & "
        "{'sqlalchemy', 'alembic', 'fastapi', 'starlette', 'uvicorn', 'psycopg', 'argon2', 'aiosmtpd'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("trusted", [True, False])
def test_https_trusts_the_authority_named(tmp_path: Path, trusted: bool) -> None:
    """`ca_file` decides whom to believe; another certificate is refused with a hint."""
    mine, other = trustme.CA(), trustme.CA()
    (mine if trusted else other).cert_pem.write_to_path(tmp_path / "ca.pem")
    with (
        _over_tls(mine) as port,
        Server(url=f"https://127.0.0.1:{port}", token="mk_a_b", ca_file=tmp_path / "ca.pem") as server,
    ):
        if trusted:
            assert b"".join(remote(Messages, server).raw("1").chunks) == DATA
        else:
            with pytest.raises(Unreachable, match="--ca-file"):
                remote(Messages, server).raw("1")


def test_a_ca_file_that_is_none_is_told(tmp_path: Path) -> None:
    """A wrong file is named before anything is sent."""
    server = Server(url="https://127.0.0.1:1", token="mk_a_b", ca_file=tmp_path / "none.pem")
    with server, pytest.raises(Unreachable, match=r"none\.pem"):
        remote(Domains, server).browse()


@contextlib.contextmanager
def _over_tls(authority: trustme.CA) -> Iterator[int]:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with (
            contextlib.suppress(OSError),  # the client refuses, or the test is over
            context.wrap_socket(listener.accept()[0], server_side=True) as connection,
        ):
            connection.recv(1 << 16)
            connection.sendall(head(LENGTH, GOOD) + DATA)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        thread.join(10)
