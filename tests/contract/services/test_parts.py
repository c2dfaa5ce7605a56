"""Text, HTML, parts and attachments, locally and over HTTP: decoded right, to the octet, never as a page."""

from __future__ import annotations

import hashlib

import pytest

from mairust_core.errors import Invalid, NotFound
from mairust_core.model.account import Account
from mairust_core.operations import BytesOut
from mairust_core.services.messages import Messages
from tests.contract.services.test_messages import MAIL, put
from tests.contract.services.words import Ops

PNG = bytes(range(256))
LAYERED = (
    b"From: a@x.example\r\nSubject: parts\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n"
    b"--m\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n"
    b"--a\r\nContent-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$BF|K\\8l\x1b(B\r\n"
    b"--a\r\nContent-Type: text/html; charset=shift_jis\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>=93=FA=96{</p><script>x()</script>\r\n--a--\r\n"
    b"--m\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n"
    b"Content-Disposition: attachment; filename*=UTF-8''%E5%9B%B3%2F..%2Fa.png\r\n\r\n"
    b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v\r\n"
    b"MDEyMzQ1Njc4OTo7PD0+P0BBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWltcXV5f\r\n"
    b"YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn+AgYKDhIWGh4iJiouMjY6P\r\n"
    b"kJGSk5SVlpeYmZqbnJ2en6ChoqOkpaanqKmqq6ytrq+wsbKztLW2t7i5uru8vb6/\r\n"
    b"wMHCw8TFxsfIycrLzM3Oz9DR0tPU1dbX2Nna29zd3t/g4eLj5OXm5+jp6uvs7e7v\r\n"
    b"8PHy8/T19vf4+fr7/P3+/w==\r\n"
    b"--m\r\nContent-Type: text/html; name=\"page.html\"\r\nContent-Disposition: attachment\r\n\r\n"
    b"<script>alert(1)</script>\r\n--m--\r\n"
)  # fmt: skip


def bytes_of(out: BytesOut) -> bytes:
    """All of it, having checked length and hash."""
    data = b"".join(out.chunks)
    assert (out.size_bytes, out.sha256) == (len(data), hashlib.sha256(data).digest())
    return data


@pytest.fixture
def layered(ops: Ops, ann: Account) -> str:
    """The id of a message with many parts."""
    return str(int(put(ops, ann, LAYERED).id))


def test_trap_t1_text_and_html_are_decoded(ops: Ops, layered: str) -> None:
    """From whatever charset and encoding the sender chose, as UTF-8 and as plain text."""
    text, html = ops(Messages).text(layered), ops(Messages).html(layered)
    assert bytes_of(text).decode().strip() == "日本語"
    assert bytes_of(html).decode().strip() == "<p>日本</p><script>x()</script>"
    assert text.content_type == html.content_type == "text/plain; charset=utf-8"


def test_text_is_taken_from_html_where_there_is_no_other(ops: Ops, ann: Account) -> None:
    """And a message without HTML has none."""
    html = b"Content-Type: text/html; charset=utf-8\r\n\r\n<p>only &amp; <b>so</b></p>"
    assert bytes_of(ops(Messages).text(str(int(put(ops, ann, html).id)))).decode().strip() == "only & so"
    with pytest.raises(NotFound, match="has no HTML"):
        ops(Messages).html(str(int(put(ops, ann, MAIL).id)))


@pytest.mark.parametrize(
    "octets",
    [b"\xff\xfe", b"\x1b$B", "（全角\u3000）".encode("shift_jis"), "日本".encode("euc_jp"), b"\0\x80\0"],
)
def test_trap_t1_any_octets_become_text(ops: Ops, ann: Account, octets: bytes) -> None:
    """Wrong or missing labels end in no error, here or there."""
    for label in (
        b"",
        b"Content-Type: text/plain; charset=utf-8\r\n",
        b"Content-Type: text/plain; charset=x\r\n",
    ):
        id_ = str(int(put(ops, ann, b"Subject: x\r\n" + label + b"\r\n" + octets).id))
        bytes_of(ops(Messages).text(id_)).decode("utf-8")
        assert bytes_of(ops(Messages).part(id_, "1")) == octets


def test_attachments_come_decoded_by_number(ops: Ops, layered: str) -> None:
    """With the type and the name the sender gave, which is no path."""
    listed = ops(Messages).show(layered).attachments
    assert [(one.number, one.part, one.filename) for one in listed] == [
        (1, "2", "図/../a.png"), (2, "3", "page.html"),
    ]  # fmt: skip
    image = ops(Messages).attachment(layered, 1)
    assert (bytes_of(image), image.content_type, image.filename) == (PNG, "image/png", "図/../a.png")
    for number in (0, 3, -1, 1 << 40):
        with pytest.raises(NotFound, match="has no attachment"):
            ops(Messages).attachment(layered, number)


def test_parts_are_numbered_as_imap_does(ops: Ops, layered: str) -> None:
    """Also those that are no attachment; others are not there."""
    assert bytes_of(ops(Messages).part(layered, "1.1")) == b"\x1b$BF|K\\8l\x1b(B"
    assert bytes_of(ops(Messages).part(layered, "2")) == PNG
    with pytest.raises(Invalid, match="number: it is missing"):
        ops(Messages).part(layered, "")
    for number in ("4", "0", "1.3", "2.1", "x", "../1", "1/2", "..", "9" * 5000):
        with pytest.raises(NotFound, match="has no part"):
            ops(Messages).part(layered, number)


def test_parts_of_a_deleted_message_are_there(ops: Ops, layered: str) -> None:
    """Until it is gone for good."""
    ops(Messages).delete(layered)
    assert bytes_of(ops(Messages).attachment(layered, 1)) == PNG
    ops(Messages).delete(layered, now=True)
    with pytest.raises(NotFound, match="no message"):
        ops(Messages).attachment(layered, 1)
