"""Changing mail and taking it apart over plain HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from mairust_core.api.answers import RAW_CSP
from mairust_core.model.account import Account
from tests.integration.api.conftest import Web
from tests.integration.api.test_downloads import append

PAGE = b"<script>alert(1)</script>"


def mail(content_type: str, name: str = "evil") -> bytes:
    """A message whose only attachment is a page that calls itself something."""
    return (
        b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: "
        + content_type.encode()
        + b'\r\nContent-Disposition: attachment; filename="'
        + name.encode()
        + b'"\r\n\r\n'
        + PAGE
        + b"\r\n--b--\r\n"
    )


def patch(web: Web, message_id: str, body: Any) -> httpx.Response:
    """Change a message."""
    return web.client.patch(f"/api/v1/messages/{message_id}", json=body)


@pytest.mark.parametrize(
    "content_type",
    ["text/html", "TEXT/HTML; charset=x", "application/xhtml+xml", "image/svg+xml", "text/xml",
     "application/javascript", "text/xsl", "text/ecmascript", "nonsense", "application/octet-stream"],
)  # fmt: skip
def test_trap_a7_no_attachment_is_a_page_of_ours(web: Web, ann: Account, content_type: str) -> None:
    """What a browser might run comes as octets, as a download, in a sandbox, and is not sniffed."""
    message_id = append(web, ann, mail(content_type))
    for path in ("attachments/1", "parts/1"):
        answer = web.client.get(f"/api/v1/messages/{message_id}/{path}")
        assert answer.content == PAGE
        kind = "text/plain" if content_type == "nonsense" else "application/octet-stream"
        assert answer.headers["content-type"] in {kind, "application/octet-stream"}
        assert answer.headers["content-disposition"].startswith('attachment; filename="evil"')
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == RAW_CSP


@pytest.mark.parametrize("kind", ["image/png", "application/pdf", "text/plain", "text/calendar"])
def test_other_attachments_keep_their_type(web: Web, ann: Account, kind: str) -> None:
    """A client may show what is harmless."""
    answer = web.client.get(f"/api/v1/messages/{append(web, ann, mail(kind))}/attachments/1")
    assert answer.headers["content-type"] == kind


def test_trap_a7_text_and_html_go_out_as_plain_text(web: Web, ann: Account) -> None:
    """HTML mail is text to be read, never rendered."""
    message_id = append(web, ann, b"Content-Type: text/html\r\n\r\n" + PAGE)
    for path in ("text", "html"):
        answer = web.client.get(f"/api/v1/messages/{message_id}/{path}")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["content-disposition"].startswith("attachment;")
        assert answer.headers["content-security-policy"] == RAW_CSP


def test_a_long_or_evil_file_name_stays_one_header(web: Web, ann: Account) -> None:
    """However many characters the sender wrote."""
    message_id = append(web, ann, mail("image/png", "../" + "x" * 3000))
    answer = web.client.get(f"/api/v1/messages/{message_id}/attachments/1")
    assert answer.status_code == 200
    assert len(answer.headers["content-disposition"]) < 1200
    assert "/" not in answer.headers["content-disposition"].partition("filename*=")[0]


def test_a_change_names_only_what_changes(web: Web, ann: Account) -> None:
    """Absent is not null: null is refused but for names of metadata."""
    message_id = append(web, ann, b"Subject: x\r\n\r\n")
    done = patch(web, message_id, {"add_flags": ["\\Seen"], "tags": ["a"], "metadata": {"n": {"x": None}}})
    assert (done.status_code, done.json()["flags"], done.json()["tags"]) == (200, ["\\Seen"], ["a"])
    assert patch(web, message_id, {}).json() == done.json()
    wrongs: tuple[Any, ...] = (
        {"flags": None}, {"flags": "\\Seen"}, {"mailbox": None}, {"nope": 1}, {"tags": "unset"},
        {"mailbox": 1}, {"metadata": []}, {"add_flags": [1]}, [],
    )  # fmt: skip
    for wrong in wrongs:
        refused = patch(web, message_id, wrong)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid"), wrong
        assert "[" not in refused.json()["detail"].partition(":")[0]


def test_a_parameter_with_several_values_is_given_several_times(web: Web, ann: Account) -> None:
    """Where one value is expected, two are an error."""
    where = f"/api/v1/accounts/{ann.address}/messages"
    query = "?flag=%5CSeen&flag=%24Junk&tag=a%20b&tag=c%26d&date=2026-01-02T03:04:05.678%2B09:00"
    headers = {"content-type": "message/rfc822"}
    made = web.client.post(where + query, content=b"Subject: x\r\n\r\n", headers=headers).json()
    assert (made["flags"], made["tags"]) == (["\\Seen", "$Junk"], ["a b", "c&d"])
    assert made["received_at"] == "2026-01-01T18:04:05.678Z"
    twice = web.client.get(f"{where}?tag=c%26d&tag=x")
    assert (twice.status_code, twice.json()["code"]) == (400, "usage")
    found = web.client.get(f"{where}?tag=c%26d&deleted=false&since=2026-01-01T00:00:00Z").json()
    assert [item["id"] for item in found["items"]] == [made["id"]]
    assert web.client.get(f"{where}?since=yesterday").status_code == 422


def test_mailbox_names_travel_in_query_and_body(web: Web, ann: Account) -> None:
    """Never in the path, where a slash would mean something."""
    where = f"/api/v1/accounts/{ann.address}/mailboxes"
    assert web.client.post(where, json={"name": "a/b & c"}).status_code == 201
    assert web.client.patch(where, json={"name": "a/b & c", "to": "ü/d"}).json()["name"] == "ü/d"
    assert web.client.delete(where, params={"name": "ü/d"}).json() == {"name": "ü/d", "removed": True}
    assert web.client.delete(where, params={"name": "ü/d"}).status_code == 404


def test_delete_says_until_when(web: Web, ann: Account) -> None:
    """Contract §1: the id, and that it is removed."""
    message_id = append(web, ann, b"Subject: x\r\n\r\n")
    first = web.client.delete(f"/api/v1/messages/{message_id}").json()
    assert (first["id"], first["removed"]) == (message_id, True)
    assert first["undelete_until"].endswith("Z")
    assert web.client.post(f"/api/v1/messages/{message_id}/undelete").json()["deleted_at"] is None
    gone = web.client.delete(f"/api/v1/messages/{message_id}?now=true").json()
    assert gone == {"id": message_id, "removed": True, "undelete_until": None}
    assert web.client.delete(f"/api/v1/messages/{message_id}").status_code == 404
