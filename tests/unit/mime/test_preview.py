"""Previews, and text taken from HTML."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_core.mime import PREVIEW_BYTES, SNIPPET, describe, snippet_of
from mairust_core.mime.html_text import html_to_text
from tests.unit.mime.messages import MULTIPART, message


def test_the_preview_is_the_first_plain_body() -> None:
    """The first text/plain body part is previewed, with LF line ends; attached text is not."""
    facts = describe(MULTIPART)
    assert (facts.preview, facts.preview_source, facts.preview_truncated) == ("Grüße\nzwei", "plain", False)
    assert facts.has_html
    attached = message("Content-Type: text/plain\nContent-Disposition: attachment; filename=a.txt", "secret")
    assert describe(attached).preview_source == ""
    assert describe(attached).preview == ""


@pytest.mark.parametrize("letter", ["a", "é", "日", "😀"])
@pytest.mark.parametrize("offset", [0, 1, 2, 3])
def test_trap_t2_the_preview_never_breaks_a_character(letter: str, offset: int) -> None:
    """The limit counts bytes of UTF-8 and falls before a character that does not fit whole."""
    text = "x" * offset + letter * (PREVIEW_BYTES + 1)
    facts = describe(message("Content-Type: text/plain; charset=utf-8", text))
    size = len(facts.preview.encode())
    assert text.startswith(facts.preview)
    assert PREVIEW_BYTES - len(letter.encode()) < size <= PREVIEW_BYTES
    assert facts.preview_truncated


@pytest.mark.parametrize(
    "text", ["x" * 5000, "日" * 300, "😀" * 300, "a😀" * 200, "<b>x</b> &amp; " * 400, ""]
)
@pytest.mark.parametrize("kind", ["plain", "html"])
def test_a_snippet_of_a_preview_is_the_one_that_is_read(text: str, kind: str) -> None:
    """What lists show does not depend on who read it."""
    mail = message(f"Content-Type: text/{kind}; charset=utf-8", text)
    assert snippet_of(describe(mail).preview) == describe(mail, extent=SNIPPET).preview[:256]


def test_trap_t2_exactly_the_limit_is_not_truncated() -> None:
    """4096 bytes fit; one more does not."""
    assert not describe(message("Subject: s", "x" * PREVIEW_BYTES)).preview_truncated
    assert describe(message("Subject: s", "x" * (PREVIEW_BYTES + 1))).preview_truncated


_ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "8bit": bytes,
    "base64": base64.encodebytes,
    "quoted-printable": binascii.b2a_qp,
}


@pytest.mark.parametrize("codec", ["utf-8", "iso2022_jp", "cp932", "euc_jp"])
@pytest.mark.parametrize("encoding", list(_ENCODERS))
def test_trap_t1_long_japanese_is_previewed_to_the_limit(codec: str, encoding: str) -> None:
    """In every charset and transfer encoding the preview is full and whole, whatever slice was read."""
    text = "日本語の文章です。\r\n" * 2000
    data = text.encode(codec)
    encode = _ENCODERS[encoding]
    label = {"iso2022_jp": "iso-2022-jp", "cp932": "shift_jis"}.get(codec, codec)
    header = f"Content-Type: text/plain; charset={label}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    facts = describe(header.encode() + encode(data).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    assert text.replace("\r\n", "\n").startswith(facts.preview)
    assert PREVIEW_BYTES - 3 < len(facts.preview.encode()) <= PREVIEW_BYTES


def test_rule_f1_without_plain_text_the_html_is_previewed() -> None:
    """HTML alone, or beside a blank plain part, gives its text as preview and says so."""
    facts = describe(message("Content-Type: text/html; charset=utf-8", "<p>Hall&ouml;chen</p>"))
    assert (facts.preview, facts.preview_source, facts.has_html) == ("Hallöchen", "html", True)
    both = MULTIPART.replace("Grüße\r\nzwei".encode(), b" \r\n")
    assert describe(both).preview_source == "html"
    assert describe(both).preview == "Grüße"


def test_html_behind_a_long_style_sheet_is_found() -> None:
    """Newsletters open with tens of kilobytes of style; the text behind it is previewed."""
    style = "<style>" + "p {color: red}\n" * 4000 + "</style>"
    facts = describe(message("Content-Type: text/html", f"<html><head>{style}</head><p>the text</p>"))
    assert (facts.preview, facts.preview_truncated) == ("the text", False)


def test_unlabelled_html_says_its_charset_itself() -> None:
    """Without a charset parameter the meta element counts."""
    html = '<meta http-equiv="Content-Type" content="text/html; charset=windows-1251"><p>Привет'
    assert describe(message(b"Content-Type: text/html", html.encode("cp1251"))).preview == "Привет"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<p>a\n b</p><p>c</p>", "a b\n\nc"),
        ("a &amp; b&nbsp;&lt;c&gt; &#9731;", "a & b <c> ☃"),
        ("<title>t</title>x<script>if (a<b) y</script>z", "xz"),
        ("a<!-- <p>no</p> -->b", "ab"),
        ("<!DOCTYPE html><a href='x'>link</a>", "link"),
        ("<tr><td>1</td><td>2</td></tr>", "1 2"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("<p", ""),
        ("a<!-- open", "a"),
        ("<STYLE>x</STYLE>İ<b>y</b>", "İy"),
        ("\x01a", "a"),
        ("a&#" + "9" * 4301 + ";b &#0000065;", "a\ufffdb A"),
    ],
)
def test_html_text(source: str, text: str) -> None:
    """Blocks break lines, invisible elements vanish, entities are decoded."""
    assert html_to_text(source) == text


@pytest.mark.parametrize(
    "piece",
    ["<p>word", "&nbsp;&nbsp;&zwnj;x", " \n<td> \n\t x", "<br>\n<br>", "<b>日本</b>語", "<!-- no -->a <i> "],
)
@pytest.mark.parametrize("times", [10, 700, 8000, 40_000])
def test_html_is_read_only_as_far_as_it_is_shown(piece: str, times: int) -> None:
    """The preview is what it would be of the whole text, whatever of the source becomes text."""
    whole = html_to_text(piece * times)
    facts = describe(message("Content-Type: text/html; charset=utf-8", piece * times))
    expected = whole.encode()[:PREVIEW_BYTES].decode("utf-8", "ignore")
    if len(piece) * times < 200_000:  # of longer HTML not all is looked at
        assert (facts.preview, facts.preview_truncated) == (expected, facts.preview != whole)
    for enough in (1, 100, 5000):
        text = html_to_text(piece * times, enough)
        assert text == whole or (len(text) > enough and whole.startswith(text))


@pytest.mark.parametrize(
    "piece", ["<", "<a ", "<!--", "<style>", "</", "<p>", "&amp", "<a href='", "\n", "<!x"]
)
def test_hostile_html_is_cheap(piece: str) -> None:
    """A long run of openings that never close is read in one pass."""
    assert isinstance(html_to_text(piece * (100_000 // len(piece))), str)


@given(st.text(alphabet="<>!-/ps\"'&;= a\n"))
def test_any_html_gives_text(source: str) -> None:
    """Whatever the source: text, stripped."""
    text = html_to_text(source)
    assert text == text.strip()
