"""The MIME tree, its parts and their content."""

from __future__ import annotations

import pytest

from mairust_core.mime import Part, describe, find_part, html_of, part_bytes, part_text, parts, text_of
from mairust_core.mime.tree import MAX_DEPTH, MAX_PARTS
from tests.unit.mime.messages import MULTIPART, message

FILE = "Content-Type: application/zip; name=a.zip\n\nPK"


def _shape(part: Part) -> list[tuple[str, str]]:
    inner = _shape(part.message) if part.message else []
    return [
        (part.number, part.type.name),
        *inner,
        *(line for child in part.children for line in _shape(child)),
    ]


def test_parts_are_numbered_as_imap_numbers_them() -> None:
    """Multiparts and nested messages give the part numbers of RFC 9051 §6.4.5.1."""
    assert _shape(parts(MULTIPART)) == [
        ("", "multipart/mixed"),
        ("1", "multipart/alternative"),
        ("1.1", "text/plain"),
        ("1.2", "text/html"),
        ("2", "application/pdf"),
        ("3", "message/rfc822"),
        ("3.1", "text/plain"),
    ]
    assert _shape(parts(message("Subject: x", "y"))) == [("1", "text/plain")]


@pytest.mark.parametrize("content", [MULTIPART, MULTIPART.replace(b"\r\n", b"\n")], ids=["crlf", "lf"])
def test_offsets_are_into_the_bytes_given(content: bytes) -> None:
    """Header and body of each part are where the tree says, for either line end."""
    html = find_part(parts(content), "1.2")
    assert html is not None
    assert content[html.body : html.end] == b"<p>Gr&uuml;&szlig;e</p>"
    assert content[html.start : html.body].startswith(b"Content-Type: text/html")
    assert part_bytes(content, "2") == b"hello!"
    assert part_bytes(content, "3.1") in (b"inner body", b"inner body\r\n")
    assert part_bytes(content, "9") is None
    assert part_bytes(content, "") is None


def test_trap_s3_an_attachment_in_bare_lf_mail_is_not_touched() -> None:
    """The bytes of a binary part come out as they are stored, though the facts are of the CRLF form."""
    content = (
        MULTIPART.replace(b"\r\n", b"\n").replace(b"base64", b"binary").replace(b"aGVsbG8h", b"\x00\n\xff\r.")
    )
    assert part_bytes(content, "2") == b"\x00\n\xff\r."


def test_texts() -> None:
    """The body text is that of the plain parts, with LF line ends, the HTML comes beside it."""
    assert text_of(MULTIPART) == "Grüße\nzwei"
    assert html_of(MULTIPART) == "<p>Gr&uuml;&szlig;e</p>"
    only_html = message("Content-Type: text/html", "<p>a</p><p>b</p>")
    assert text_of(only_html) == "a\n\nb"
    plain = find_part(parts(MULTIPART), "1.1")
    assert plain is not None
    assert part_text(MULTIPART, plain) == "Grüße\nzwei"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("--b\n\nx\n--b--\n", ["x"]),
        ("--b\n\nx\n--b--", ["x"]),
        ("--b\n\nx\n--b\n\ny\n", ["x", "y\n"]),
        ("--b  \n\nx\n--b--  \n", ["x"]),
        ("--b\n\nx\n--bc\n--b--", ["x\n--bc"]),
        ("--b\n\n--b\n\n--b--", ["", ""]),
        ("--b\n--b\n--b--", ["", ""]),
        ("--b\n\nx\n--b--\n--b\n\nepilogue\n", ["x"]),
        ("pre --b\n--b\n\nx\n --b\n--b--", ["x\n --b"]),
        ("--b", [""]),
    ],
)
def test_delimiter_lines(body: str, found: list[str]) -> None:
    """Parts lie between whole delimiter lines; the close may be missing (RFC 2046 §5.1.1)."""
    content = message("Content-Type: multipart/mixed; boundary=b", body).replace(b"\r\n", b"\n")
    root = parts(content)
    assert [content[child.body : child.end].decode() for child in root.children] == found


@pytest.mark.parametrize(
    "header", ["multipart/mixed", "multipart/mixed; boundary=", "multipart/mixed; boundary=nowhere"]
)
def test_a_multipart_without_parts_is_shown_as_text(header: str) -> None:
    """Without a boundary, or without a delimiter, the reader sees the text that is there."""
    facts = describe(message(f"Content-Type: {header}", "the text\n--other\n"))
    assert facts.preview == "the text\n--other\n"
    assert facts.attachments == ()


def test_a_digest_holds_messages() -> None:
    """The parts of a digest are messages unless they say otherwise (RFC 2046 §5.1.5)."""
    body = "--b\n\nSubject: one\n\n1\n--b\nContent-Type: text/plain\n\n2\n--b--"
    assert _shape(parts(message("Content-Type: multipart/digest; boundary=b", body))) == [
        ("", "multipart/digest"),
        ("1", "message/rfc822"),
        ("1.1", "text/plain"),
        ("2", "text/plain"),
    ]


def test_depth_is_limited() -> None:
    """Beyond the limit a multipart or a message is one opaque part; nothing recurses further."""
    nested = "".join(f"--{n}\nContent-Type: multipart/mixed; boundary={n + 1}\n\n" for n in range(500))
    content = message("Content-Type: multipart/mixed; boundary=0", nested + "--500\n\ndeep")
    deepest = [part for part in parts(content).walk() if not part.children]
    assert [part.type.name for part in deepest] == ["application/octet-stream"]
    assert deepest[0].number.count(".") == MAX_DEPTH - 1
    assert describe(content).bodystructure

    messages = message("Content-Type: message/rfc822", "Content-Type: message/rfc822\n\n" * 10_000)
    assert b"octet-stream" in describe(messages).bodystructure


def test_number_of_parts_is_limited() -> None:
    """Of 10,000 parts a thousand are described, the root included."""
    content = message("Content-Type: multipart/mixed; boundary=b", "--b\n\nx\n" * 10_000 + "--b--")
    assert len(list(parts(content).walk())) == MAX_PARTS
    facts = describe(content)
    assert facts.bodystructure.count(b'"text"') == MAX_PARTS - 1
    assert facts.preview == "x"


def test_all_headers_together_are_limited() -> None:
    """Headers of parts are read up to a limit for the whole message; later parts may be anything."""
    header = ("X: " + "y" * 56 + "\n") * 4_000
    body = f"--b\nContent-Type: text/html\n{header}\nx\n" * 20
    root = parts(message("Content-Type: multipart/mixed; boundary=b", body))
    kinds = [part.type.sub for part in root.children]
    assert len(kinds) == 20
    assert kinds[0] == b"html"
    assert kinds[-1] == b"octet-stream"
    assert (root.cut, root.children[0].cut, root.children[-1].cut) == (True, False, True)


def test_lines_that_only_begin_like_a_delimiter_are_limited() -> None:
    """After a hundred thousand false delimiters the search ends; the part so far holds the rest."""
    body = "--b\n\n" + "--bx\n" * 100_001 + "--b\n\nlate\n--b--"
    root = parts(message("Content-Type: multipart/mixed; boundary=b", body))
    assert [part.number for part in root.children] == ["1"]
    assert root.children[0].end == root.end
    assert root.cut
    assert root.children[0].cut


@pytest.mark.parametrize(
    ("value", "encoding"), [("BASE64", b"base64"), ("base64 (x)", b"base64"), ("", b"7bit")]
)
def test_transfer_encodings_are_read_leniently(value: str, encoding: bytes) -> None:
    """Case and comments do not matter, an empty field means 7bit (RFC 2045 §6.1)."""
    assert parts(message(f"Content-Transfer-Encoding: {value}")).encoding == encoding


def test_what_is_attached_as_a_whole_is_no_text() -> None:
    """A multipart with `Content-Disposition: attachment` inside of another one, with its parts."""
    inner = (
        "Content-Type: multipart/mixed; boundary=c\nContent-Disposition: attachment\n\n--c\n\nhidden\n--c--"
    )
    content = message("Content-Type: multipart/mixed; boundary=b", f"--b\n\nshown\n--b\n{inner}\n--b--\n")
    facts = describe(content)
    assert text_of(content).strip() == "shown"
    assert facts.has_attachments
    assert [one.part for one in facts.attachments] == ["2.1"]
    whole = message(f"Content-Disposition: attachment\n{inner.partition(chr(10))[0]}", "--c\n\nmine\n--c--")
    assert text_of(whole).strip() == "mine"  # of the message itself it says nothing


def test_a_message_that_was_not_looked_through_may_have_attachments() -> None:
    """Too many parts, too long a boundary: whatever comes after is unknown, and said to be there."""
    many = message("Content-Type: multipart/mixed; boundary=b", "--b\n\n\n" * (MAX_PARTS + 1))
    odd = message(f"Content-Type: multipart/mixed; boundary={'b' * 300}", "text")
    few = message("Content-Type: multipart/mixed; boundary=b", "--b\n\n\n" * 3)
    assert [(parts(one).cut, describe(one).has_attachments) for one in (many, odd, few)] == [
        (True, True),
        (True, True),
        (False, False),
    ]


@pytest.mark.parametrize("written", ["boundary*0=in; boundary*1=ner", "boundary*=us-ascii''in%6Eer"])
def test_trap_a_boundary_in_pieces_is_one(written: str) -> None:
    """As RFC 2231 has it, and mail programs do: what is attached behind it is not text, and is not hidden."""
    content = message(
        f"Content-Type: multipart/mixed; {written}", f"--inner\n\nshown\n--inner\n{FILE}\n--inner--"
    )
    facts = describe(content)
    assert text_of(content).strip() == "shown"
    assert (facts.has_attachments, [one.filename for one in facts.attachments]) == (True, ["a.zip"])
    assert not parts(content).cut


@pytest.mark.parametrize(
    ("header", "cut"),
    [
        ("Content-Type: text/plain\nContent-Type: multipart/mixed; boundary=b", True),
        ("Content-Type: multipart/mixed; boundary=c\nContent-Type: multipart/mixed; boundary=b", True),
        ("Content-Type: multipart/mixed; boundary=c; boundary=b", True),
        ("Content-Type: multipart/mixed; boundary=c; boundary*=us-ascii''b", True),
        ("Content-Type: multipart/mixed; boundary=c\nContent-Transfer-Encoding: base64", True),
        ("Content-Type: multipart/mixed; boundary=c\nContent-Transfer-Encoding: 8bit", False),
        ("Content-Type: multipart/mixed; boundary=c; boundary=c", False),
        ("Content-Type: text/plain\nContent-Type: text/plain", False),
    ],
)
def test_trap_what_two_readers_may_take_apart_in_two_ways_may_have_attachments(
    header: str, cut: bool
) -> None:
    """Two types, two boundaries, a multipart under an encoding: a mail program may find a file in it."""
    content = message(header, f"--b\n\nshown\n--b\n{FILE}\n--b--")
    assert (parts(content).cut, describe(content).has_attachments) == (cut, cut)
