"""Line ends and the CRLF form."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_core.mime import crlf_form, crlf_size, describe
from mairust_core.mime.line_ends import count

_LINE_SOUP = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"Subject: x", b": "])).map(b"".join)


@pytest.mark.parametrize(
    ("content", "eol"),
    [
        (b"", "crlf"),
        (b"a", "crlf"),
        (b"a\r\nb\r\n", "crlf"),
        (b"a\rb\r\n", "crlf"),
        (b"a\nb\n", "lf"),
        (b"a\r\nb\n", "mixed"),
    ],
)
def test_rule_b1_line_ends_are_named(content: bytes, eol: str) -> None:
    """The fact `eol` says which line ends came; a bare CR is none."""
    assert describe(content).eol == eol


@given(_LINE_SOUP)
def test_rule_b2_crlf_size_is_that_of_the_crlf_form(content: bytes) -> None:
    """The size of the CRLF form is known without making it, and making it twice changes nothing."""
    form = crlf_form(content)
    assert crlf_size(content) == len(form) == describe(content).crlf_size_bytes
    assert crlf_form(form) == form
    assert form.count(b"\n") == form.count(b"\r\n")


@given(_LINE_SOUP)
def test_rule_b1_bare_cr_stays(content: bytes) -> None:
    """Only a bare LF gets a CR: nothing else is added or lost."""
    assert crlf_form(content).replace(b"\r\n", b"\n") == content.replace(b"\r\n", b"\n")


def test_a_mapped_file_counts_as_bytes_do(tmp_path: Path) -> None:
    """A pair of octets that lies across two chunks of a mapped file is counted once."""
    content = b"x" * ((1 << 20) - 1) + b"\r\n" + b"y\r\n"
    path = tmp_path / "content"
    path.write_bytes(content)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert count(mapped, b"\r\n", 0, len(mapped)) == 2
        assert describe(mapped) == describe(content)
