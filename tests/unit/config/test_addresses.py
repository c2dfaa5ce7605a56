"""Listen addresses."""

from __future__ import annotations

from pathlib import Path

import pytest

from mairust_core.config import ListenAddress


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:2525", ListenAddress(host="127.0.0.1", port=2525)),
        ("[::1]:25", ListenAddress(host="::1", port=25)),
        ("[0:0::1]:25", ListenAddress(host="::1", port=25)),
        ("[fe80::1%eth0]:25", ListenAddress(host="fe80::1%eth0", port=25)),
        (":25", ListenAddress(host="", port=25)),
        ("LocalHost:0", ListenAddress(host="localhost", port=0)),
        ("mx-1.example.org:65535", ListenAddress(host="mx-1.example.org", port=65535)),
        ("unix:/run/mairust/smtp.sock", ListenAddress(path=Path("/run/mairust/smtp.sock"))),
        ("unix:smtp.sock", ListenAddress(path=Path("smtp.sock"))),
        ("off", ListenAddress()),
    ],
)
def test_forms_are_read(text: str, expected: ListenAddress) -> None:
    """Every documented form gives its address, and the address its canonical text."""
    found = ListenAddress.parse(text)
    assert found == expected
    assert ListenAddress.parse(str(found)) == found
    assert found.off == (text == "off")


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "25", "127.0.0.1", "::1:25", "[::1]", "[::1]25", "[127.0.0.1]:25", "[]:25", "tcp://host:25",
        "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:+1", "127.0.0.1:٢٥", "127.0.0.1:25 ", " :25", "OFF",
        "300.0.0.1:25", "1.2.3:25", "a b:25", "-a:25", "a..b:25", "a.:25", "user@host:25", "*:25",
        "unix:", "unix:/a\0b", "x" * 254 + ":1",
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    """What is not a documented form is a ValueError, never a guess."""
    with pytest.raises(ValueError, match=r"."):
        ListenAddress.parse(text)
