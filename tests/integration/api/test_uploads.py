"""Messages on their way in: bounded, complete, or not there at all."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator

import pytest

from mairust_core.api.edge import Bounds
from mairust_core.model.account import Account
from tests.integration.api.conftest import MIB, Web
from tests.support.raw_http import Answer, RawConnection

LIMIT = 2 * MIB
RFC822 = {"content-type": "message/rfc822"}


def messages_of(web: Web, account: Account) -> int:
    """How many messages the account has."""
    return int(web.client.get(f"/api/v1/accounts/{account.address}").json()["messages"])


def head(web: Web, account: Account, *more: str) -> bytes:
    """The head of an append."""
    lines = [
        f"POST /api/v1/accounts/{account.address}/messages HTTP/1.1",
        "Host: x",
        web.bearer,
        "Content-Type: message/rfc822",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, LIMIT - 1, LIMIT])
def test_rule_b4_any_size_up_to_the_limit_is_kept(web: Web, ann: Account, size: int) -> None:
    """In memory or through a file, with or without a length: the bytes are the same."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    data = random.Random(seed).randbytes(size)
    where = f"/api/v1/accounts/{ann.address}/messages"

    def pieces() -> Iterator[bytes]:
        yield from (data[at : at + 100_000] for at in range(0, size, 100_000))

    for content in (data, pieces()):
        appended = web.client.post(where, content=content, headers=RFC822)
        assert appended.status_code == 201, appended.text
        raw = web.client.get(f"/api/v1/messages/{appended.json()['id']}/raw?original=true")
        assert raw.content == data
    assert messages_of(web, ann) == 2


def test_a_length_over_the_limit_is_refused_before_the_body(web: Web, ann: Account) -> None:
    """The answer comes while the client still waits for a 100 (RFC 9110 §10.1.1)."""
    with RawConnection(web.http.url) as connection:
        connection.send(head(web, ann, f"Content-Length: {LIMIT + 1}", "Expect: 100-continue"))
        refused = connection.answer()
    assert (refused.status, refused.json["code"]) == (413, "too_large")
    assert f"larger than {LIMIT} bytes" in refused.json["detail"]


def test_a_body_over_the_limit_is_refused_while_it_is_read(web: Web, ann: Account) -> None:
    """Chunks without end are refused at the limit; what still comes is thrown away, the connection lives."""
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    with RawConnection(web.http.url) as connection:
        connection.send(head(web, ann, "Transfer-Encoding: chunked"))
        for _ in range(LIMIT // 0x10000 + 1):
            connection.send(chunk)
        refused = connection.answer()
        assert (refused.status, refused.json["code"]) == (413, "too_large")
        connection.send(chunk * 40 + b"0\r\n\r\n")
        connection.send(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.answer().body == b"up\n"
    assert messages_of(web, ann) == 0


@pytest.mark.parametrize(
    ("framing", "sent"),
    [
        ("Content-Length: 100", b"Subject: half\r\n"),
        ("Content-Length: 100", b""),
        ("Transfer-Encoding: chunked", b"f\r\nSubject: half\r\n\r\n"),
        ("Transfer-Encoding: chunked", b"f\r\nSubject:"),
        (f"Content-Length: {LIMIT}", bytes(LIMIT - 1)),
    ],
    ids=["length", "nothing", "between chunks", "inside a chunk", "through a file"],
)
def test_an_early_disconnect_stores_nothing(web: Web, ann: Account, framing: str, sent: bytes) -> None:
    """Half a message is no message, however its length was told."""
    before = web.http.log.read_text().count("went away")
    with RawConnection(web.http.url) as connection:
        connection.send(head(web, ann, framing) + sent)
        time.sleep(0.05)
    web.wait_for_log("went away", before + 1)
    assert messages_of(web, ann) == 0


def test_request_smuggling_is_refused(web: Web, ann: Account) -> None:
    """Two lengths, or a length beside chunks, are no request (RFC 9112 §6.3)."""
    for framing in (
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: xchunked",),
        ("Content-Length: -5",),
    ):
        with RawConnection(web.http.url) as connection:
            connection.send(head(web, ann, *framing) + b"0\r\n\r\nGET /health/live HTTP/1.1\r\n\r\n")
            assert connection.answer().status == 400
            assert connection.rest() == b""
    assert messages_of(web, ann) == 0


def test_an_upload_without_a_key_is_not_read(web: Web, ann: Account) -> None:
    """The key is checked before the body: who has none does not fill the disk."""
    with RawConnection(web.http.url) as connection:
        request = head(web, ann, "Content-Length: 1000000", "Expect: 100-continue")
        connection.send(request.replace(web.bearer.encode(), b"X-Nothing: x"))
        assert connection.answer().status == 401


def test_more_uploads_than_places_are_sent_away(web: Web, ann: Account) -> None:
    """Waiting uploads are bounded: the next one gets 429 at once, and a place once one is free."""
    request = head(web, ann, "Content-Length: 10", "Expect: 100-continue")
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(RawConnection(web.http.url)) for _ in range(Bounds().uploads)]
        for connection in waiting:
            connection.send(request)
        for connection in waiting:
            assert connection.sock.recv(100).startswith(b"HTTP/1.1 100")
        refused = upload(web, request)
        assert (refused.status, refused.json["code"]) == (429, "too_many")
        assert int(refused.headers["retry-after"]) > 0
        assert web.client.get("/api/v1/domains").status_code == 200
        waiting[0].send(b"0123456789")
        assert waiting[0].answer().status == 201
        assert upload(web, request).status == 201


def upload(web: Web, request: bytes) -> Answer:
    """One upload of ten bytes on a connection of its own."""
    with RawConnection(web.http.url) as connection:
        connection.send(request.replace(b"Expect: 100-continue\r\n", b"") + b"0123456789")
        return connection.answer()


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "message/rfc822; charset=x"]
)
def test_only_mail_is_appended(web: Web, ann: Account, kind: str) -> None:
    """What a form or a browser would send is refused by its type, with the type to use."""
    refused = web.client.post(
        f"/api/v1/accounts/{ann.address}/messages", content=b"x", headers={"content-type": kind}
    )
    assert (refused.status_code, refused.json()["code"]) == (415, "usage")
    assert "message/rfc822" in refused.json()["hint"]


def test_json_over_the_limit_is_refused_while_it_is_read(web: Web) -> None:
    """A JSON body ends at 1 MiB, announced or not."""

    def pieces() -> Iterator[bytes]:
        yield b'{"name": "'
        yield from (b"x" * MIB for _ in range(2))

    refused = web.client.post(
        "/api/v1/domains", content=pieces(), headers={"content-type": "application/json"}
    )
    assert (refused.status_code, refused.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff", b'{"name": "a.x", "name": "b.x"}', b'{"name": NaN}', b"[" * 200_000]
)
def test_broken_json_is_refused(web: Web, body: bytes) -> None:
    """Nothing but one plain JSON object gets through."""
    refused = web.client.post("/api/v1/domains", content=body, headers={"content-type": "application/json"})
    assert refused.status_code in (400, 422)
    assert refused.headers["content-type"] == "application/problem+json"
