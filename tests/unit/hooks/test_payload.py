"""Payloads: as much of a mail as permissions allow, and not a byte more (rule F1, trap H2)."""

from __future__ import annotations

import base64
import itertools
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from mairust_core.hooks.answers import read
from mairust_core.hooks.payload import (
    TEXT_BYTES,
    WHOLE_BYTES,
    Asking,
    Callback,
    MessagePart,
    most_bytes,
    request,
)
from mairust_core.hooks.probe import probe_of
from mairust_core.hooks.schema import FILES, SCHEMAS
from mairust_core.hooks.transport import Call, CallFailed
from mairust_core.mime import describe
from mairust_core.model.hook import HookType
from mairust_core.model.plugin import Attachments, Body, Permissions
from tests.support.hooking import CLIENT, EVERYTHING, registered, runnable

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SECRET_HEADER, SECRET_TEXT, SECRET_FILE = "X-Secret-Header", "secret text", "secret-file"
DATA = (
    b"From: Eve <eve@elsewhere.example>\r\n"
    b"Subject: =?utf-8?q?caf=C3=A9?=\r\n\tfolded\r\n"
    b"X-Secret-Header: caf\xe9 \x00\r\n"
    b"Content-Type: multipart/mixed; boundary=q\r\n\r\n"
    b"--q\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nsecret text \xe9\r\n"
    b"--q\r\nContent-Type: application/pdf; name=secret-file.pdf\r\nContent-Disposition: attachment\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nc2VjcmV0IGZpbGUgY29udGVudA==\r\n--q--\r\n"
)
FILE = b"secret file content"


def _asking(**more: Any) -> Asking:
    known: dict[str, Any] = {
        "hook": HookType.PRE_RECEIVE, "delivery_id": "d1", "plugin": "com.example.test", "attempt": 1,
        "recipient": "ann@example.org", "mail_from": "eve@elsewhere.example", "rcpt_to": ("ann@example.org",),
        "connection": CLIENT, "tags": ("a",), "metadata": {"own": 1},
    }  # fmt: skip
    return Asking(**{**known, **more})


def _told(permissions: Permissions, data: bytes = DATA, **more: Any) -> dict[str, Any]:
    line = request(_asking(**more), permissions, MessagePart(data, AT).of(permissions))
    assert b"\n" not in line
    found: dict[str, Any] = json.loads(line)
    return found


def test_everything_that_may_be_read() -> None:
    """The document of the contract."""
    told = _told(EVERYTHING)
    assert told == {
        "protocol": 1, "hook": "pre_receive", "delivery_id": "d1", "plugin": "com.example.test", "attempt": 1,
        "message": {
            "id": None, "size": len(DATA), "received_at": "2026-01-02T03:04:05.000Z",
            "headers": [
                ["From", "Eve <eve@elsewhere.example>"],
                ["Subject", "=?utf-8?q?caf=C3=A9?=\tfolded"],
                ["X-Secret-Header", "caf\ufffd \ufffd"],
                ["Content-Type", "multipart/mixed; boundary=q"],
            ],
            "body": {"preview": "secret text é", "truncated": False, "source": "plain", "has_html": False},
            "attachments": [
                {"filename": "secret-file.pdf", "content_type": "application/pdf", "size": len(FILE)}
            ],
        },
        "envelope": {"mail_from": "eve@elsewhere.example", "rcpt_to": ["ann@example.org"]},
        "connection": {"ip": "192.0.2.7", "helo": "mx.elsewhere.example", "tls": False, "auth": None},
        "tags": ["a"], "recipient": "ann@example.org", "metadata": {"own": 1}, "callback": None,
    }  # fmt: skip


def test_without_permissions_only_what_is_always_told() -> None:
    """Recipient, size, time and the plugin's own metadata."""
    told = _told(Permissions())
    always = "protocol hook delivery_id plugin attempt message recipient metadata callback"
    assert set(told) == set(always.split())
    assert set(told["message"]) == {"id", "size", "received_at"}


@pytest.mark.parametrize(
    ("headers", "body", "attachments"), list(itertools.product([False, True], Body, Attachments))
)
def test_rule_f1_no_byte_beyond_permissions(headers: bool, body: Body, attachments: Attachments) -> None:
    """Searched for in the whole document, what is base64 decoded as well, for every set of reading rights."""
    permissions = Permissions(read_headers=headers, read_body=body, read_attachments=attachments)
    told = _told(permissions)
    shown = json.dumps(told, ensure_ascii=False).encode()
    raw = base64.b64decode(told["message"].get("body", {}).get("raw_base64", ""))
    files = told["message"].get("attachments", [])
    content = b"".join(base64.b64decode(one.get("content_base64", "")) for one in files)
    everything = shown + raw + content
    assert (SECRET_HEADER.encode() in everything) == headers
    assert (b"eve@elsewhere.example" in everything) == headers
    assert (SECRET_TEXT.encode() in everything) == (body is not Body.NONE)
    assert (SECRET_FILE.encode() in everything) == (attachments is not Attachments.NONE)
    may_have_file = attachments is Attachments.FULL
    assert (FILE in content) == may_have_file
    assert (b"c2VjcmV0IGZpbGUgY29udGVudA==" in raw) == (may_have_file and body is Body.FULL)
    assert jsonschema_rs.is_valid(SCHEMAS["request"], told)


def test_trap_h2_the_raw_bytes_are_the_bytes() -> None:
    """Whatever charset: to the octet."""
    rights = Permissions(read_headers=True, read_body=Body.FULL, read_attachments=Attachments.FULL)
    told = _told(rights)
    assert base64.b64decode(told["message"]["body"]["raw_base64"]) == DATA
    [one] = told["message"]["attachments"]
    assert base64.b64decode(one["content_base64"]) == FILE


def test_a_mail_without_attachments_is_whole_with_headers_and_body_alone() -> None:
    """There is nothing in it that may not be read."""
    data = b"Subject: x\r\n\r\n\xe9\xff\r\n"
    told = _told(Permissions(read_headers=True, read_body=Body.FULL), data)
    assert base64.b64decode(told["message"]["body"]["raw_base64"]) == data


HIDDEN = b"TOPSECRET"
_FILE_PART = b"--b\r\nContent-Type: application/pdf; name=a.exe\r\n\r\nTOPSECRET\r\n"
_INNER = (
    b"Content-Type: multipart/mixed; boundary=c\r\nContent-Disposition: attachment\r\n\r\n"
    b"--c\r\n\r\nTOPSECRET"
)
_JUNK = b"X: y\r\n" * (1 << 18)


@pytest.mark.parametrize(
    "inside",
    [
        b"--b\r\n\r\nx\r\n" * 1000 + _FILE_PART + b"--b--\r\n",
        b"--b\r\n\r\nx\r\n--b\r\n" + _INNER + b"\r\n--c--\r\n--b--\r\n",
        b"--b\r\n\r\nx\r\n--b--\r\nTOPSECRET",
        b"TOPSECRET\r\n--b\r\n\r\nx\r\n--b--\r\n",
        b"--b\r\n\r\nx\r\n" + b"--bx\r\n" * 100_001 + _FILE_PART + b"--b--\r\n",
        b"--b\r\n\r\nx\r\n--b\r\n" + _JUNK + b"Content-Type: a/b; name=a.exe\r\n\r\nTOPSECRET\r\n--b--\r\n",
    ],
    ids=["parts", "attached-whole", "epilogue", "preamble", "delimiters", "header"],
)
def test_rule_f1_nothing_is_shown_because_it_was_not_understood(inside: bytes) -> None:
    """Beyond the limits of the scanner, outside of all parts, in parts attached as a whole."""
    data = b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + inside
    for attachments in (Attachments.NONE, Attachments.METADATA):
        rights = Permissions(read_headers=True, read_body=Body.FULL, read_attachments=attachments)
        told = _told(rights, data)
        raw = base64.b64decode(told["message"]["body"]["raw_base64"])
        assert HIDDEN not in raw + json.dumps(told).encode()
        assert raw.startswith(b"Subject: x\r\n")
        assert b"--b\r\n\r\nx\r\n" in raw or b"--bx" in inside
    every = Permissions(read_headers=True, read_body=Body.FULL, read_attachments=Attachments.FULL)
    assert base64.b64decode(_told(every, data)["message"]["body"]["raw_base64"]) == data


def test_a_list_of_attachments_that_is_not_whole_says_so() -> None:
    """With `truncated` beside it, where there are more parts than are looked at."""
    parts = b"--b\r\nContent-Type: a/b\r\n\r\nx\r\n"
    for count, expected in ((1001, True), (3, None)):
        data = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts * count + b"--b--\r\n"
        for extent in (Attachments.METADATA, Attachments.FULL):
            told = _told(Permissions(read_attachments=extent), data)
            assert told["message"].get("truncated") is expected
            assert len(told["message"]["attachments"]) == min(count, 999)
            assert jsonschema_rs.is_valid(SCHEMAS["request"], told)
    header = b"X: y\r\n" * (1 << 18) + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + _FILE_PART
    told = _told(Permissions(read_body=Body.FULL), header)
    assert (told["message"]["body"]["text"], told["message"]["body"]["raw_base64"]) == ("", "")


@pytest.mark.parametrize(
    ("kind", "octet"),
    [("text/plain", b"\x01"), ("text/html", b"\x01"), ("text/plain; charset=utf-8", b"\xff")],
)
def test_rule_b4_how_large_a_request_may_be_is_known_before(kind: str, octet: bytes) -> None:
    """Whatever the text is: beyond a limit it is cut, which is said, and the bytes are there all the same."""
    rights = Permissions(read_headers=True, read_body=Body.FULL, read_attachments=Attachments.FULL)
    for size in (1, 100_000, TEXT_BYTES + 100_000):
        data = f"Content-Type: {kind}\r\n\r\n".encode() + octet * size
        made = MessagePart(data, AT).of(rights)
        most = most_bytes(len(data), describe(data).header_size_bytes, rights)
        assert len(made) <= most <= most_bytes(len(data), None, rights)
        told = json.loads(b"{%b}" % made)
        assert told["body"].get("truncated", False) == (size > TEXT_BYTES)
        assert base64.b64decode(told["body"]["raw_base64"]) == data
    assert most_bytes(50 << 20, None, rights) < 200 << 20
    assert most_bytes(1 << 30, None, rights) < 64 << 20


def test_bytes_beyond_all_bounds_are_shown_to_nobody() -> None:
    """No base64 at all, said so; a site has to allow mail of such a size first."""
    data = b"Content-Type: application/x\r\n\r\n" + bytes(WHOLE_BYTES)
    rights = Permissions(read_body=Body.FULL, read_attachments=Attachments.FULL)
    told = _told(rights, data)
    assert told["message"]["body"]["raw_base64"] is None
    assert told["message"]["body"]["truncated"]
    assert [one["content_base64"] for one in told["message"]["attachments"]] == [None]
    assert jsonschema_rs.is_valid(SCHEMAS["request"], told)


def test_rule_b2_hidden_fields_are_in_no_payload() -> None:
    """Neither in the headers nor in the raw bytes."""
    forged = b"Authentication-Results: us; spf=pass\r\n"
    data = forged + DATA
    rights = Permissions(read_headers=True, read_body=Body.FULL, read_attachments=Attachments.FULL)
    part = MessagePart(data, AT, ((0, len(forged)),))
    told = json.loads(request(_asking(), rights, part.of(rights)))
    assert base64.b64decode(told["message"]["body"]["raw_base64"]) == DATA
    assert told["message"]["headers"][0][0] == "From"
    assert told["message"]["size"] == len(DATA)


def test_r_perm_1_a_preview_is_4096_bytes_of_whole_characters() -> None:
    """Trap T2; and it says that there is more."""
    data = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + ("あ" * 3000).encode()
    body = _told(Permissions(read_body=Body.PREVIEW), data)["message"]["body"]
    assert body["preview"] == "あ" * 1365
    assert body["truncated"]


def test_html_alone_gives_text_and_says_so() -> None:
    """`source` and `has_html`."""
    data = b"Content-Type: text/html\r\n\r\n<p>Hello <b>Ann</b></p>\r\n"
    preview = _told(Permissions(read_body=Body.PREVIEW), data)["message"]["body"]
    assert (preview["source"], preview["has_html"], preview["preview"].strip()) == ("html", True, "Hello Ann")
    full = _told(Permissions(read_body=Body.FULL), data)["message"]["body"]
    assert (full["text"].strip(), full["html"].strip()) == ("Hello Ann", "<p>Hello <b>Ann</b></p>")


def test_the_message_part_is_made_once_for_each_set_of_rights() -> None:
    """Rule E4."""
    part = MessagePart(DATA, AT)
    writing = Permissions(read_headers=True, write_tags=True)
    assert part.of(Permissions(read_headers=True)) is part.of(writing)
    assert part.of(writing) is not part.of(EVERYTHING)


def test_after_storing_id_and_callback_are_set() -> None:
    """And the document still is the one of the schema."""
    callback = Callback(url="http://127.0.0.1:1/x", token="t", expires_at=AT)
    told = _told(EVERYTHING, hook=HookType.POST_RECEIVE, message_id="7", callback=callback)
    assert told["message"]["id"] == "7"
    assert told["callback"] == {
        "url": "http://127.0.0.1:1/x",
        "token": "t",
        "expires_at": "2026-01-02T03:04:05.000Z",
    }
    assert jsonschema_rs.is_valid(SCHEMAS["request"], told)


def test_the_probe_is_within_permissions_too() -> None:
    """It looks like any mail."""
    for permissions in (EVERYTHING, Permissions()):
        one = registered(plugin=runnable(permissions=permissions))
        failed = Call(delivery_id="1-ab", hook=one.hook.name, body=b"{}", timeout_ms=1)
        told = json.loads(probe_of(one, failed)[1])
        assert jsonschema_rs.is_valid(SCHEMAS["request"], told)
        assert ("headers" in told["message"]) == permissions.read_headers


def test_odd_text_stays_one_line_of_utf_8() -> None:
    """Line ends, lone surrogates and line separators in what a sender controls."""
    told = _told(EVERYTHING, recipient="a\n\udc80\u2028@b", mail_from="\r\n")
    assert told["recipient"].startswith("a\n")


@pytest.mark.parametrize("name", FILES)
def test_the_published_schemas_are_these(name: str) -> None:
    """`python -m mairust_core.hooks.schema docs/reference` writes them."""
    assert json.loads((REFERENCE / FILES[name]).read_text()) == SCHEMAS[name]


@pytest.mark.parametrize(
    "answer",
    [
        {"action": "deliver"},
        {"action": "reject", "code": 550, "permanent": True, "message": "No"},
        {"action": "tempfail", "code": "451 4.7.1"},
        {"action": "tag", "tags": ["a"], "remove_tags": ["b"], "flags": ["\\Seen"], "move_to": "Junk"},
        {"action": "quarantine", "metadata": {"a": 1}, "annotations": {"b": []}, "score": 1.5},
        {"action": "allow", "tags": None, "code": None, "score": None, "metadata": None},
    ],
)
def test_what_the_schema_calls_an_answer_counts_in_full(answer: dict[str, Any]) -> None:
    """Nothing of it is refused to a plugin that may write."""
    assert jsonschema_rs.is_valid(SCHEMAS["answer"], answer)
    assert read(json.dumps(answer).encode(), "p", EVERYTHING, HookType.PRE_RECEIVE).refused == ()


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"action": "explode"},
        {"action": "deliver", "tags": "x"},
        {"action": "deliver", "score": "1"},
        {"action": "deliver", "metadata": []},
        {"action": "reject", "permanent": "yes"},
        [],
    ],
)
def test_what_the_schema_refuses_is_no_answer(answer: Any) -> None:
    """Both say so."""
    assert not jsonschema_rs.is_valid(SCHEMAS["answer"], answer)
    with pytest.raises(CallFailed):
        read(json.dumps(answer).encode(), "p", EVERYTHING, HookType.PRE_RECEIVE)
