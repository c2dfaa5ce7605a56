"""Bytes on their way out: whole, provably, and never as a page."""

from __future__ import annotations

import base64
import hashlib
import random
import re

import pytest

from mairust_core.api.answers import RAW_CSP, download_headers
from mairust_core.model.account import Account
from mairust_core.operations import BytesOut
from tests.integration.api.conftest import MIB, Web

HTML_MAIL = b"Content-Type: text/html\r\n\r\n<script>alert(1)</script>"


def append(web: Web, account: Account, data: bytes) -> str:
    """Append a message and give its id."""
    where = f"/api/v1/accounts/{account.address}/messages"
    answer = web.client.post(where, content=data, headers={"content-type": "message/rfc822"})
    return str(answer.json()["id"])


@pytest.mark.parametrize("size", [0, 10, 2 * MIB])
@pytest.mark.parametrize("query", ["", "?original=true", "?original=false"])
def test_length_and_digest_fit_the_bytes(web: Web, ann: Account, size: int, query: str) -> None:
    """Content-Length and Repr-Digest (RFC 9530) are those of what is sent, in one piece or many."""
    data = (b"Subject: x\r\n\r\n" + b"0123456789abcdef" * (size // 16))[:size]
    answer = web.client.get(f"/api/v1/messages/{append(web, ann, data)}/raw{query}")
    assert answer.content == data
    assert answer.headers["content-length"] == str(size)
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"


def test_trap_a7_mail_is_never_a_page_of_ours(web: Web, ann: Account) -> None:
    """HTML mail is a download in a sandbox without script, whatever it holds."""
    answer = web.client.get(f"/api/v1/messages/{append(web, ann, HTML_MAIL)}/raw")
    assert answer.headers["content-type"] == "message/rfc822"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == RAW_CSP


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        ("image/png", "image/png"),
        ("text/html\r\nX-Evil: 1", "application/octet-stream"),
        ("nonsense", "application/octet-stream"),
        ("", "application/octet-stream"),
        ("text/plain; charset=\x00", "application/octet-stream"),
    ],
)
def test_a_content_type_from_a_mail_cannot_break_the_head(kind: str, sent: str) -> None:
    """Only a plain media type is repeated."""
    assert headers_of(content_type=kind)["content-type"] == sent


@pytest.mark.parametrize(
    "name", ['a"; filename="b.exe', "a\r\nX: y", "日本 語.pdf", "\ud800", "", "..", "x" * 300]
)
def test_a_file_name_from_a_mail_cannot_break_the_head(name: str) -> None:
    """Whatever the name, Content-Disposition stays one printable line (RFC 8187)."""
    value = headers_of(filename=name)["content-disposition"]
    assert re.fullmatch(
        r"attachment; filename=\"[A-Za-z0-9 ._-]*\"(; filename\*=UTF-8''[A-Za-z0-9%._~-]*)?", value
    )


def headers_of(filename: str = "1.eml", content_type: str = "message/rfc822") -> dict[str, str]:
    """The headers of a download."""
    return download_headers(
        BytesOut(chunks=iter(()), size_bytes=0, sha256=b"", filename=filename, content_type=content_type)
    )


def test_a_damaged_blob_is_told_not_sent(web: Web, ann: Account) -> None:
    """Stored bytes that changed are an error with a hint, never an answer (trap D6)."""
    files = web.site.settings.blobs.path / "files"
    before = set(files.rglob("*"))
    message_id = append(web, ann, random.randbytes(MIB + MIB // 2))
    [path] = [path for path in set(files.rglob("*")) - before if path.is_file()]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    answer = web.client.get(f"/api/v1/messages/{message_id}/raw?original=true")
    assert (answer.status_code, answer.json()["code"]) == (500, "damaged")
    assert "backup" in answer.json()["hint"]
