"""The reference servers are honest: what they answer 250 is kept once, and the load counts what happened."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pysqlite3
import pytest

from tests.benchmarks.corpus import Message, cut, save_messages
from tests.benchmarks.servers import Server, ServerFailed, output_of, python, running
from tests.support.postgres import require_server
from tests.support.processes import cpu_seconds

RECIPIENTS = ("a@example.org", "b@example.org", "c@example.org")


@pytest.fixture
def messages(tmp_path: Path) -> Path:
    """A few messages with dots and 8-bit bytes, saved for the load generator."""
    bodies = (b".\r\n..a\r\n", b"\xe3\x81\x82\r\n", b"z" * 70 + b"\r\n")
    made: list[Message] = [cut(b"Subject: s\r\nMessage-ID: <x@y>\r\n\r\n" + body) for body in bodies]
    save_messages(made, tmp_path / "messages")
    return tmp_path / "messages"


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The URL of a fresh PostgreSQL database."""
    server = require_server()
    yield server.dsn(server.create_database())
    server.stop()


def load(server: Server, messages: Path, *options: object) -> dict[str, Any]:
    """Send 40 messages over 4 connections."""
    much = ("--connections", 4, "--count", 40, "--messages", messages)
    return output_of(
        python("tests.benchmarks.load", "--port", server.port, *much, *options, "--rcpt", *RECIPIENTS)
    )


def check_kept(rows: list[tuple[str, int, str, int]], files: list[Path]) -> None:
    """40 different messages, one file each of the stated size, UIDs ascending from 1 without gap."""
    assert len(rows) == len(files) == 40
    assert len({sha256 for sha256, *_ in rows}) == 40
    assert sorted(size for _, size, _, _ in rows) == sorted(file.stat().st_size for file in files)
    for address in RECIPIENTS:
        uids = sorted(uid for _, _, mailbox, uid in rows if mailbox == address)
        assert uids == list(range(1, len(uids) + 1))


ROWS = "SELECT sha256, size, mailbox, uid FROM message JOIN placement ON placement.message = message.id"


def test_the_naive_server_keeps_each_accepted_message_once(tmp_path: Path, messages: Path) -> None:
    """On SQLite: as many files and rows as 250s, no temporary file left, UIDs without gap."""
    with running(python("tests.benchmarks.naive", "--data", tmp_path / "data"), tmp_path / "run") as server:
        result = load(server, messages)
        assert cpu_seconds(server.processes()) > 0
    assert (result["accepted"], result["refused"], result["pipelining"]) == (40, {}, False)
    with closing(pysqlite3.connect(tmp_path / "data/naive.db")) as connection:
        check_kept(connection.execute(ROWS).fetchall(), list((tmp_path / "data/mail").glob("*/*.eml")))
    assert not list((tmp_path / "data/mail").glob("*/.*.tmp"))


def test_the_naive_server_keeps_the_same_in_postgresql(tmp_path: Path, messages: Path, postgres: str) -> None:
    """On PostgreSQL: the same, with a connection per thread."""
    command = python("tests.benchmarks.naive", "--data", tmp_path / "data", "--database", postgres)
    with running(command, tmp_path / "run") as server:
        assert load(server, messages)["accepted"] == 40
    with psycopg.connect(postgres) as connection:
        check_kept(connection.execute(ROWS).fetchall(), list((tmp_path / "data/mail").glob("*/*.eml")))


def test_a_kept_file_is_the_content_without_dot_stuffing(tmp_path: Path) -> None:
    """The naive server keeps what was sent."""
    content = b"Subject: s\r\n\r\n.\r\n..a\r\n"
    with (
        running(python("tests.benchmarks.naive", "--data", tmp_path / "data"), tmp_path / "run") as server,
        smtplib.SMTP(server.host, server.port) as client,
    ):
        client.sendmail("a@example.net", RECIPIENTS[0], content)
    (file,) = (tmp_path / "data/mail").glob("*/*.eml")
    assert file.read_bytes() == content


def test_the_noop_server_keeps_nothing(tmp_path: Path, messages: Path) -> None:
    """N is the stock front alone."""
    with running(python("tests.benchmarks.naive", "--noop"), tmp_path / "run") as server:
        assert load(server, messages, "--pipelining", "off")["accepted"] == 40
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["server.stderr"]


def test_the_bare_loop_keeps_what_it_counts(tmp_path: Path, messages: Path) -> None:
    """B counts a message only when its file and its rows are there."""
    options = ("--data", tmp_path / "data", "--bare", messages, "--seconds", 0.2)
    result = output_of(python("tests.benchmarks.naive", *options))
    with closing(pysqlite3.connect(tmp_path / "data/naive.db")) as connection:
        ((rows,),) = connection.execute("SELECT count(*) FROM placement").fetchall()
    files = len(list((tmp_path / "data/mail").glob("*/*.eml")))
    assert result["messages"] == rows == files > 0


def test_a_refused_message_is_counted_by_its_code(tmp_path: Path) -> None:
    """Nothing that was refused counts as accepted, and the generator goes on after it."""
    long_line = cut(b"Message-ID: <x@y>\r\n\r\n" + b"x" * 2000 + b"\r\n")
    save_messages([long_line, cut(b"Message-ID: <x@y>\r\n\r\nfine\r\n")], tmp_path / "messages")
    with running(python("tests.benchmarks.naive", "--noop"), tmp_path / "run") as server:
        result = load(server, tmp_path / "messages")
    assert (result["accepted"], result["refused"]) == (20, {"500": 20})


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The end of its stderr is in the error."""
    with (
        pytest.raises(ServerFailed, match="--data DIR is needed"),
        running(python("tests.benchmarks.naive"), tmp_path / "run"),
    ):
        pass
