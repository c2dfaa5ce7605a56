"""Mboxes of which somebody says how they are written (trap M1)."""

from __future__ import annotations

import io
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings

from mairust_core.model.copies import ExportedCopy
from mairust_core.model.ids import Id
from mairust_core.transfer.mbox import splitting
from mairust_core.transfer.mbox.box import MboxFile, MboxMessage
from mairust_core.transfer.mbox.dialects import Dialect
from mairust_core.transfer.mbox.splitting import Splitter
from mairust_core.transfer.mbox.writing import MboxWriter
from mairust_core.transfer.source import Aside
from tests.unit.transfer.test_mbox import AT, MESSAGES, P, read, split

ODD = [b"Subject: 1\n\nno newline", b"\nbody only\n", b"Subject: 3\n\nFrom x\n>From y\n"]
"""One without a final newline, in front of one without header fields."""


def export(path: Path, messages: Sequence[bytes]) -> Path:
    """These messages as our own export writes them."""
    writer = MboxWriter(path, single=True)
    writer.begin("x")
    for uid, data in enumerate(messages, 1):
        copy = ExportedCopy(id=Id(uid), mailbox="x", uid=uid, received_at=AT, flags=("\\Seen",))
        writer.add(copy, len(data), [data])
    writer.end()
    return path


def test_trap_m1_an_export_through_a_pipe_is_read_whole(tmp_path: Path) -> None:
    """There is no list beside it: nothing but a missing last line end is added."""
    data = export(tmp_path / "x.mbox", ODD).read_bytes()
    assert split(data, Dialect.MBOXRD) == [ODD[0] + b"\n", *ODD[1:]]


@settings(max_examples=150)
@given(MESSAGES)
def test_trap_m1_any_export_is_mboxrd(messages: list[bytes]) -> None:
    """Whatever bytes it has."""
    with tempfile.TemporaryDirectory() as directory:
        data = export(Path(directory) / "x.mbox", messages).read_bytes()
    own = Splitter(io.BytesIO(data).read, Dialect.MBOXRD, own=True)
    assert [b"".join(one.payload.chunks()) for one in own.messages()] == messages
    assert len(split(data, Dialect.MBOXRD)) == len(messages)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_trap_m1_a_strangers_mboxrd_keeps_its_line_ends(end: bytes) -> None:
    """Only an empty line is taken for the mbox's own: at the end of many there is none, in some never one."""
    one, two = b"a: 1" + end + end + b"x" + end, b"a: 2" + end + end + b"y" + end
    mark = P.replace(b"\n", end)
    for data in (mark + one + end + mark + two, mark + one + mark + two, P + one + end + P + two + end):
        assert split(data, Dialect.MBOXRD) == [one, two]


def test_trap_m1_in_mboxrd_every_such_line_parts() -> None:
    """With a date or without; a line of the text would be quoted."""
    data = P + b"a: 1\n\nx\n\nFrom me\nno header\n\n" + P + b"\n\n"
    assert split(data, Dialect.MBOXRD) == [b"a: 1\n\nx\n", b"no header\n", b"\n"]


def test_trap_m1_mboxrd_of_crlf_lines() -> None:
    """One line end belongs to the mbox: that of its own lines, though messages have others."""
    whole = (P + b"a: 1\n\n>From x\n\n" + P + b"a: 2\n\n").replace(b"\n", b"\r\n")
    assert split(whole, Dialect.MBOXRD) == [b"a: 1\r\n\r\nFrom x\r\n", b"a: 2\r\n"]
    mixed = P + b"a: 1\r\n\n" + P + b"a: 2\r\n\n"
    assert split(mixed, Dialect.MBOXRD) == [b"a: 1\r\n", b"a: 2\r\n"]


def test_trap_m1_naming_the_dialect_of_an_export_keeps_its_list(tmp_path: Path) -> None:
    """Flags and dates are there as without it; for another dialect than its own the list does not count."""
    path = export(tmp_path / "x.mbox", ODD)
    for dialect in (None, Dialect.MBOXRD):
        found = [one for one in MboxFile(str(path), "x", dialect).messages() if isinstance(one, MboxMessage)]
        assert [b"".join(one.payload.chunks()) for one in found] == ODD
        assert {(one.flags(), one.received_at()) for one in found} == {(("\\Seen",), AT)}
    other = list(MboxFile(str(path), "x", Dialect.MBOXO).messages())
    assert {one.flags() for one in other if isinstance(one, MboxMessage)} == {()}


def long_message(size: int) -> bytes:
    """A message with a length, so long, in which another one seems to begin."""
    body = b"hi\n\n" + P + b"Subject: quoted\n\n" + (b"x" * 76 + b"\n") * (size // 77)
    return b"Subject: big\nContent-Length: %d\n\n" % len(body) + body


@pytest.mark.parametrize("dialect", [None, Dialect.MBOXCL2])
def test_trap_m1_a_long_message_ends_where_its_length_says(tmp_path: Path, dialect: Dialect | None) -> None:
    """Beyond what is held in memory, too; also when it is the last one."""
    messages = [long_message(17 << 20), b"Subject: small\nContent-Length: 4\n\nabc\n", long_message(18 << 20)]
    path = tmp_path / "cl2.mbox"
    path.write_bytes(b"".join(P + one + b"\n" for one in messages))
    assert read(MboxFile(str(path), "x", dialect)) == messages


@pytest.mark.parametrize("dialect", [None, Dialect.MBOXCL2])
def test_trap_m1_long_lies_are_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dialect: Dialect | None
) -> None:
    """What was read ahead is read again, however many lie; who named the dialect hears which did."""
    monkeypatch.setattr(splitting, "MAX_HELD_BYTES", 1 << 10)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    lengths = [random.Random(seed + number).choice([2000, 40_000, 1 << 29, 11**11]) for number in range(9)]
    messages = [b"a: b\nContent-Length: %d\n\n" % one + b"text\n" * 6000 for one in lengths]
    path = tmp_path / "lies.mbox"
    path.write_bytes(b"".join(P + one + b"\n" for one in messages))
    file = MboxFile(str(path), "x", dialect)
    assert read(file) == messages
    told = [one.path for one in file.messages() if isinstance(one, Aside)]
    assert told == ([f"{path}#{number}" for number in range(1, 10)] if dialect else [])


@pytest.mark.parametrize(("lies", "believed"), [(-1, True), (0, False)])
def test_trap_m1_long_lengths_are_believed_until_too_many_lied(
    monkeypatch: pytest.MonkeyPatch, lies: int, believed: bool
) -> None:
    """Looking into each would read all that follows again for each, whoever said that there are some."""
    monkeypatch.setattr(splitting, "MAX_HELD_BYTES", 1 << 10)
    lie = b"Content-Length: 999999\n\n" + b"text\n" * 10
    true = b"Content-Length: 20000\n\n" + b"text\n" * 4000
    mbox = (P + lie) * (splitting.MAX_TOLD_LIES + lies) + P + true + b"\n" + P + b"a: 2\n"
    *liars, last, _ = Splitter(io.BytesIO(mbox).read, Dialect.MBOXCL).messages()
    assert [raw.guessed for raw in liars] == [True] * len(liars)
    assert (b"".join(last.payload.chunks()), last.guessed) == (true, not believed)


def test_trap_m1_a_long_length_is_followed_in_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more is held at a time than two blocks, and a pipe is enough."""
    monkeypatch.setattr(splitting, "MAX_HELD_BYTES", 1 << 20)
    message = long_message(9 << 20)
    source = io.BytesIO(P + message + b"\n" + P + b"a: 2\n")
    held: list[int] = []

    class Watched(Splitter):
        def _more(self) -> None:
            super()._more()
            held.append(len(self._held))

    splitter = Watched(source.read, Dialect.MBOXCL2)
    found = []
    for raw in splitter.messages():
        found.append(b"".join(raw.payload.chunks()))
        raw.payload.close()
    assert found == [message, b"a: 2\n"]
    assert max(held) < 3 << 20


def test_trap_m1_a_wrong_length_is_not_followed_where_there_is_no_room_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first message is there before what it claims to have was read; the others are found as well."""
    lie = P + b"Content-Length: 31457280\n\na\n\n"
    mbox = io.BytesIO(lie + (P + b"a: 2\n\n" + (b"x" * 70 + b"\n") * 1000 + b"\n") * 500)
    monkeypatch.setattr(splitting, "_guessed_bytes", lambda: 20 << 20)
    messages = Splitter(mbox.read).messages()
    assert b"".join(next(messages).payload.chunks()) == b"Content-Length: 31457280\n\na\n"
    assert mbox.tell() <= 4 << 20
    assert len(list(messages)) == 500
