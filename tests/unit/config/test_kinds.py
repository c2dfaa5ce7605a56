"""How values are written and checked."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from mairust_core.config.addresses import ListenAddress
from mairust_core.config.kinds import (
    Choice,
    Driver,
    Flag,
    Kind,
    Names,
    Number,
    OptionTable,
    Plain,
    Size,
    Text,
    Unfit,
    spell,
)
from mairust_core.config.resources import (
    DatabaseUrl,
    FilePath,
    HostName,
    HttpUrl,
    Listen,
    Networks,
    hide_password,
)

BASE = Path("/etc/mairust")


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        (Flag(), True, True),
        (Flag(), Plain("No"), False),
        (Number(0, 9), 9, 9),
        (Number(-5, 9), Plain("-5"), -5),
        (Size(), 1, 1),
        (Size(), "50MiB", 50 << 20),
        (Size(), "3 gib", 3 << 30),
        (Size(), Plain("1024"), 1024),
        (Size(), "7B", 7),
        (Text(), "ä b", "ä b"),
        (Choice(("a", "b")), "b", "b"),
        (FilePath(), "x/../y", BASE / "y"),
        (FilePath(), "/z", Path("/z")),
        (FilePath(), Path("z"), BASE / "z"),
        (HostName(), "MX.Example.ORG.", "mx.example.org"),
        (HostName(), "bücher.example", "xn--bcher-kva.example"),
        (Listen(), "unix:run/s", ListenAddress(path=BASE / "run/s")),
        (Listen(), ListenAddress(port=1), ListenAddress(port=1)),
        (Networks(), [], ()),
        (Networks(), Plain(""), ()),
        (Networks(), Plain("10.0.0.0/8, ::1"), (ip_network("10.0.0.0/8"), ip_network("::1/128"))),
        (Networks(), ["192.0.2.7"], (ip_network("192.0.2.7/32"),)),
        (Names(), [], ()),
        (Names(), Plain("a, b-c"), ("a", "b-c")),
        (Names(), ["a"], ("a",)),
        (OptionTable(), {"a": 1, "b": "x", "c": True}, {"a": 1, "b": "x", "c": True}),
        (OptionTable(), Plain('{"a": 1.5}'), {"a": 1.5}),
        (Driver(("a",)), "a", "a"),
        (HttpUrl(), "https://s3.example.org:9000/x", "https://s3.example.org:9000/x"),
        (DatabaseUrl(), "sqlite:///a.db", "sqlite:////etc/mairust/a.db"),
        (DatabaseUrl(), "sqlite:////a.db", "sqlite:////a.db"),
        (DatabaseUrl(), "postgresql:///db?host=/run", "postgresql:///db?host=/run"),
    ],
)
def test_values_are_read(kind: Kind, raw: object, expected: object) -> None:
    """Each kind gives the typed value; relative paths start at the base."""
    assert kind.parse(raw, BASE) == expected


@pytest.mark.parametrize(
    ("kind", "raw", "detail"),
    [
        (Flag(), "true", "flag"),
        (Flag(), 1, "flag"),
        (Flag(), Plain("maybe"), "flag"),
        (Number(0, 9), 10, "number"),
        (Number(0, 9), True, "number"),
        (Number(0, 9), "5", "number"),
        (Number(0, 9), 5.0, "number"),
        (Number(0, 9), Plain("٥"), "number"),
        (Number(0, 9), 1 << 5_000, "number"),
        (Size(), 0, "size"),
        (Size(), -1, "size"),
        (Size(), "50MB", "size"),
        (Size(), "1.5MiB", "size"),
        (Size(), "999999TiB", "size"),
        (Size(), True, "size"),
        (Text(), "", "text"),
        (Text(), "a\nb", "text"),
        (Text(), 5, "text"),
        (Text(), "x" * 5000, "text"),
        (Choice(("a",), later=("b",)), "b", "not_yet"),
        (Choice(("a",), later=("b",)), "A", "choice"),
        (Choice(("a",)), ["a"], "choice"),
        (FilePath(), "", "path"),
        (FilePath(), "a\0b", "path"),
        (FilePath(), "~nobody-has-this-name-here/x", "path"),
        (FilePath(), 7, "path"),
        (HostName(), "mx example", "hostname"),
        (HostName(), "xn--\u00fc.example", "hostname"),
        (HostName(), "a\n.example", "hostname"),
        (Listen(), 25, "listen"),
        (Listen(), "host", "listen"),
        (Listen(), "unix:" + "x" * 100, "socket_path"),
        (Networks(), "10.0.0.0/8", "networks"),
        (Networks(), [10], "networks"),
        (Networks(), ["10.0.0.1/8"], "network"),
        (Networks(), ["example.org"], "network"),
        (Names(), "a", "names"),
        (Names(), [1], "names"),
        (Names(), ["a\nb"], "names"),
        (OptionTable(), "a", "options"),
        (OptionTable(), Plain("{"), "options"),
        (OptionTable(), Plain("[1]"), "options"),
        (OptionTable(), {"a": ["b"]}, "options"),
        (OptionTable(), {1: "b"}, "options"),
        (Driver(("a",), later=("b",)), "b", "not_yet"),
        (Driver(("a",)), "nobody-has-it", "choice"),
        (HttpUrl(), "ftp://x", "http_url"),
        (HttpUrl(), "https://", "http_url"),
        (HttpUrl(), "https://[::1", "http_url"),
        (DatabaseUrl(), "mysql://x", "database_url"),
        (DatabaseUrl(), "sqlite:///", "database_url"),
        (DatabaseUrl(), "sqlite:///:memory:", "database_url"),
        (DatabaseUrl(), "sqlite:///a.db?mode=ro", "database_url"),
        (DatabaseUrl(), "a.db", "database_url"),
        (DatabaseUrl(), "postgresql://u:p@host:abc/x", "database_url"),
        (DatabaseUrl(), "postgresql://u:p@host:0/x", "database_url"),
        (DatabaseUrl(), "postgresql://u:p@host:65536/x", "database_url"),
        (DatabaseUrl(), "postgresql://u:p@ss@host/x", "database_url"),
        (DatabaseUrl(), "postgresql://[::1/x", "database_url"),
    ],
)
def test_unfit_values_say_what_is_allowed(kind: Kind, raw: object, detail: str) -> None:
    """A value of another kind is `Unfit` with the text that belongs to it."""
    with pytest.raises(Unfit) as caught:
        kind.parse(raw, BASE)
    assert caught.value.detail == detail


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:p@h/db", "postgresql://u:********@h/db"),
        ("postgresql:///x?host=/run&pass%77ord=p", "postgresql:///x?host=/run&pass%77ord=********"),
        ("postgresql://h/x?oauth_client_secret=p", "postgresql://h/x?oauth_client_secret=********"),
        ("postgresql://u:p/w@x@h/db", "postgresql://u:********@h/db"),
        ("postgresql://u@h/db?a=b&password=s&x=y", "postgresql://u@h/db?a=b&password=********&x=y"),
        ("postgresql://h1:5432,h2:5432/db", "postgresql://h1:5432,h2:5432/db"),
        ("sqlite:////a:b@c.db", "sqlite:////a:b@c.db"),
    ],
)
def test_passwords_in_urls_are_hidden(url: str, shown: str) -> None:
    """Of a database URL everything is shown but the password, wherever it stands."""
    assert hide_password(url) == shown


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("x", '"x"'),
        ("a\x1b[31m", "'a\\x1b[31m'"),
        ("y" * 100, f'"{"y" * 57}..."'),
        (True, "true"),
        pytest.param(1 << 20_000, "a number of 20001 bits", id="huge"),
        ([1], "[...]"),
        ([], "[]"),
        ({}, "{...}"),
        (1.5, "1.5"),
    ],
)
def test_values_in_errors_are_short_and_printable(raw: object, text: str) -> None:
    """An error shows a value in one short word without control characters."""
    assert spell(raw) == text


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://",
        "postgresql:///x?host=/run/postgresql",
        "postgresql://u@h/x",
        "postgresql://u:p/w@h:5433/x",
        "postgresql://u:p%40@[::1]:5432/x?sslmode=require",
        "postgresql://127.0.0.1:65535/x",
    ],
)
def test_every_address_that_the_driver_reads_is_taken(url: str) -> None:
    """As it stands: libpq has more parameters than we know."""
    assert DatabaseUrl().parse(url, BASE) == url


@pytest.mark.parametrize("digits", ["99999999999999999999", "1" + "0" * 50])
def test_a_number_that_is_too_long_is_shown_as_it_was_given(digits: str) -> None:
    """Up to what fits into a line."""
    assert spell(int(digits)) == digits
    assert spell(1 << 99999) == "a number of 100000 bits"
