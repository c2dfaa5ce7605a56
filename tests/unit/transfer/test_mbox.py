"""Reading mboxes of every kind (trap M1)."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import lzma
import os
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from mairust_core.model.copies import ExportedCopy
from mairust_core.model.ids import Id
from mairust_core.transfer.mbox.beside import beside_path, status_flags
from mairust_core.transfer.mbox.box import MboxFile, MboxMessage
from mairust_core.transfer.mbox.dialects import Dialect, fits, is_postmark, quote, unquote
from mairust_core.transfer.mbox.splitting import Splitter
from mairust_core.transfer.mbox.tree import Mboxes
from mairust_core.transfer.mbox.writing import MboxWriter
from mairust_core.transfer.packed import ahead, unpacking
from mairust_core.transfer.source import Broken

P = b"From ann@example.org Sun May  6 22:17:15 2001\n"
ZSTD = zstandard.ZstdCompressor(write_checksum=True).compress
AT = datetime(2026, 11, 22, 10, 0, 0, 123000, tzinfo=UTC)


def split(data: bytes, dialect: Dialect | None = None) -> list[bytes]:
    """The messages in these bytes."""
    splitter = Splitter(io.BytesIO(data).read, dialect)
    return [b"".join(raw.payload.chunks()) for raw in splitter.messages()]


def read(file: MboxFile) -> list[bytes]:
    """The messages of a file, none of them broken."""
    found = [one for one in file.messages() if isinstance(one, MboxMessage)]
    messages = [b"".join(one.payload.chunks()) for one in found]
    for one in found:
        one.payload.close()
    return messages


def test_trap_m1_messages_end_before_the_empty_line() -> None:
    """Which belongs to the mbox, as the standard library reads it too."""
    assert split(P + b"Subject: 1\n\na\n\n" + P + b"Subject: 2\n\nb\n\n") == [
        b"Subject: 1\n\na\n",
        b"Subject: 2\n\nb\n",
    ]


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n", b"no end"])
def test_trap_m1_the_end_of_the_file(end: bytes) -> None:
    """A missing final newline is missing in the message; a final empty line is not part of it."""
    whole = b"Subject: 2\n\nb\n" + end
    expected = whole[:-1] if whole.endswith(b"\n\n") else whole
    assert split(P + b"Subject: 1\n\na\n\n" + P + whole) == [b"Subject: 1\n\na\n", expected]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\r\n"])
def test_trap_m1_an_empty_file_has_no_messages(data: bytes) -> None:
    """Nor has one of empty lines."""
    assert split(data) == []


def test_trap_m1_empty_lines_and_a_mark_before_the_first_message() -> None:
    """They are passed over, an UTF-8 byte order mark too."""
    assert split(b"\n\n" + P + b"a: b\n") == [b"a: b\n"]
    assert split(b"\xef\xbb\xbf" + P + b"a: b\n") == [b"a: b\n"]


def test_trap_m1_crlf_stays_in_the_message_and_not_behind_it() -> None:
    """The line ends of the file are those of the message."""
    crlf = (P + b"a: 1\n\nx\n\n" + P + b"a: 2\n\ny\n\n").replace(b"\n", b"\r\n")
    assert split(crlf) == [b"a: 1\r\n\r\nx\r\n", b"a: 2\r\n\r\ny\r\n"]


def test_a_file_of_an_old_macintosh_has_lines_too() -> None:
    """They end with CR alone."""
    assert split((P + b"a: 1\n\nx\n\n" + P + b"a: 2\n").replace(b"\n", b"\r")) == [b"a: 1\r\rx\r", b"a: 2\r"]


@pytest.mark.parametrize(
    "text",
    [
        b"From me to you\n",
        b"\nFrom me to you\n",
        b"\nFrom: the start\n",
        b"From Sun May  6 22:17:15 2001 on\nthe text goes on\n",
        b"\nFrom one\n\nnothing like a header\n",
    ],
)
def test_trap_m1_from_in_a_text_parts_nothing(text: bytes) -> None:
    """Unless it has a date or nothing but a sender, and stands where a message can begin."""
    message = b"a: 1\n\nx\n" + text + b"y\n"
    assert split(P + message + b"\n" + P + b"a: 2\n") == [message, b"a: 2\n"]


@pytest.mark.parametrize(
    "line",
    [P, b"From - \n", b"From MAILER-DAEMON\n", b"From goran at domain.com  Wed Dec  1 08:26:40 2010\n"],
)
def test_trap_m1_a_message_may_begin_so(line: bytes) -> None:
    """With a date, with a sender alone, as Netscape wrote, as list archives write."""
    assert split(line + b"a: 1\n\nx\n\n" + line + b"a: 2\n") == [b"a: 1\n\nx\n", b"a: 2\n"]


def test_a_message_may_begin_without_an_empty_line_before_it() -> None:
    """With a date in front of a header field; then the line end before it is the message's."""
    assert split(P + b"a: 1\n\nx\n" + P + b"a: 2\n") == [b"a: 1\n\nx\n", b"a: 2\n"]


def test_fields_without_an_empty_line_end_with_their_message() -> None:
    """The `Content-Length` of the one behind it is not theirs."""
    first, second = b"a: 1\n", b"Content-Length: 3\n\nxy\n"
    for dialect in (None, Dialect.MBOXCL, Dialect.MBOXCL2):
        assert split(P + first + P + second, dialect) == [first, second]
        assert split(P + P + second, dialect) == [b"", second]


@pytest.mark.parametrize(
    "pack", [gzip.compress, bz2.compress, lzma.compress, ZSTD], ids=["gz", "bz2", "xz", "zstd"]
)
def test_an_mbox_that_unpacks_too_far_is_read_until_there(
    tmp_path: Path, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in front comes, the file and the limit are told, and other mboxes are read."""
    monkeypatch.setattr(unpacking, "FREE_BYTES", 3 << 20)
    first = b"a: 1\n\n" + os.urandom(1 << 18).hex().encode() + b"\n"
    bomb = P + b"a: 2\n\n" + b"The same line again.\n" * (1 << 18)
    (tmp_path / "a.mbox").write_bytes(pack(P + first + b"\n" + bomb))
    (tmp_path / "b.mbox").write_bytes(pack(b"\n" * (9 << 20) + P + b"a: 3\n"))
    (tmp_path / "c.mbox").write_bytes(P + b"a: 4\n")
    found = [one for file in Mboxes(str(tmp_path)).folders() for one in file.messages()]
    messages = [b"".join(one.payload.chunks()) for one in found if isinstance(one, MboxMessage)]
    assert messages == [first, b"a: 4\n"]
    broken = [one for one in found if isinstance(one, Broken)]
    assert [one.path for one in broken] == [f"{tmp_path}/a.mbox#2", f"{tmp_path}/b.mbox#1"]
    assert {one.reason.code for one in broken} == {"bomb"}
    assert all("250 times" in one.reason.why() and "250 倍" in one.reason.why("ja") for one in broken)


def test_a_body_of_one_line_is_held_in_pieces() -> None:
    """Also behind short ones, which its fields are."""
    body = b"x" * (1 << 20)
    pieces = iter([P + b"a: 1\n\n", *[body] * 64])
    tracemalloc.start()
    try:
        (raw,) = Splitter(lambda _: next(pieces, b"")).messages()
        raw.payload.close()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert raw.payload.size_bytes == 6 + (64 << 20)
    assert peak < 24 << 20


@pytest.mark.parametrize("before", range(6))
def test_what_looks_quoted_inside_of_a_long_line_is_left_alone(before: int) -> None:
    """Wherever its pieces begin."""
    message = b"x" * (before + 1) + b">From " * (1 << 20) + b"\nFrom a\n"
    quoted = P + quote(message) + b"\n"
    assert quoted.endswith(b"\n>From a\n\n")
    (raw,) = Splitter(io.BytesIO(quoted).read, Dialect.MBOXRD).messages()
    with closing(raw.payload):
        assert b"".join(raw.payload.chunks()) == message


def test_an_mbox_of_reports_that_are_nearly_the_same_is_mail(tmp_path: Path) -> None:
    """Each of their packed bytes is five hundred of mail, however many there are."""
    report = b"2024-01-01T00:00:00Z host app: connection refused, will retry in 5 seconds\n" * 1400
    mbox = b"".join(
        P + b"Message-ID: <%s@x>\n\n" % os.urandom(16).hex().encode() + report for _ in range(900)
    )
    (tmp_path / "a.mbox").write_bytes(ZSTD(mbox))
    (folder,) = Mboxes(str(tmp_path)).folders()
    found = list(folder.messages())
    assert (len(found), {type(one) for one in found}) == (900, {MboxMessage})


def steps(call: Callable[[], object]) -> int:
    """How many functions a call calls."""
    count = 0

    def counted(_frame: object, event: str, _arg: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(counted)
    try:
        call()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("message", [b"a: 1\nb: 2\n" * 10, b"a: 1\n" + b"text without an empty line\n" * 20])
def test_messages_without_any_empty_line_are_parted_in_as_many_steps_each(message: bytes) -> None:
    """However many follow: the fields of those are not looked into again for each of them."""
    few, many = (P + message) * 50, (P + message) * 800
    assert steps(lambda: split(many)) < 20 * steps(lambda: split(few))


def test_an_empty_message_is_one() -> None:
    """Two `From ` lines, one after the other."""
    assert split(P + P + b"a: 2\n") == [b"", b"a: 2\n"]


def test_trap_m1_a_true_content_length_is_followed() -> None:
    """mboxcl2: the text may hold what looks like another message."""
    body = b"text\n\n" + P + b"Not: a header\n"
    first = b"Subject: 1\nContent-Length: %d\n\n" % len(body) + body
    assert split(P + first + b"\n" + P + b"a: 2\n") == [first, b"a: 2\n"]
    assert split(P + first + b"\n" + P + b"a: 2\n", Dialect.MBOXCL2) == [first, b"a: 2\n"]
    assert len(split(P + first + b"\n" + P + b"a: 2\n", Dialect.MBOXO)) == 3


@pytest.mark.parametrize("length", [b"1", b"3", b"4000", b"99999999999", b"-1", b"x"])
def test_trap_m1_a_lying_content_length_is_not(length: bytes) -> None:
    """The next message begins where it begins."""
    first = b"Content-Length: " + length + b"\n\ntext\n"
    assert split(P + first + b"\n" + P + b"a: 2\n") == [first, b"a: 2\n"]


def test_a_length_fits_where_a_message_or_the_end_follows() -> None:
    """And only there."""
    data = b"abc\n\nFrom x"
    assert [stop for stop in range(len(data) + 2) if fits(data, stop)] == [3, 4, 5, len(data)]


def test_trap_m1_quoting_is_undone_only_for_mboxrd() -> None:
    """Nothing in a file tells the dialects apart; what may have been there before stays."""
    text = b"a: 1\n\n>From me\n>>From you\n> From x\n>from y\n"
    assert split(P + text) == split(P + text, Dialect.MBOXO) == [text]
    assert split(P + text + b"\n", Dialect.MBOXRD) == [b"a: 1\n\nFrom me\n>From you\n> From x\n>from y\n"]


@given(
    st.lists(st.sampled_from([b"From x", b">From x", b">>From ", b"x\n", b"\n", b"\r\n", b"F"])).map(b"".join)
)
def test_mboxrd_can_be_undone(text: bytes) -> None:
    """Quoting hides every separator, and unquoting gives what was there."""
    assert unquote(quote(text)) == text
    assert not quote(text).startswith(b"From ")
    assert b"\nFrom " not in quote(text)


MESSAGES = st.lists(
    st.lists(
        st.sampled_from(
            [
                b"From ",
                b">From ",
                P,
                b"\n",
                b"\r\n",
                b"\r",
                b"a: b\n",
                b"Content-Length: 3\n",
                b"x",
                b"\0\xff",
            ]
        ),
        max_size=8,
    ).map(b"".join),
    max_size=4,
)


@settings(max_examples=150)
@given(MESSAGES)
def test_what_an_export_writes_is_read_back_to_the_octet(
    tmp_path_factory: pytest.TempPathFactory, messages: list[bytes]
) -> None:
    """Any bytes at all: without a final newline, empty, with separators and lengths in them."""
    path = tmp_path_factory.mktemp("mbox") / "x.mbox"
    writer = MboxWriter(path, single=True)
    writer.begin("x")
    for uid, data in enumerate(messages, 1):
        copy = ExportedCopy(id=Id(uid), mailbox="x", uid=uid, received_at=AT, flags=("\\Seen", "仕事"))
        writer.add(copy, len(data), [data[:5], data[5:]])
    writer.end()
    found = [one for one in MboxFile(str(path), "x", None).messages() if isinstance(one, MboxMessage)]
    assert [b"".join(one.payload.chunks()) for one in found] == messages
    assert all(one.received_at() == AT and one.flags() == ("\\Seen", "仕事") for one in found)


def test_the_list_beside_counts_only_while_the_file_is_as_it_was(tmp_path: Path) -> None:
    """Something was appended by another program: flags and dates are those of the file itself."""
    path = tmp_path / "x.mbox"
    writer = MboxWriter(path, single=True)
    writer.begin("x")
    copy = ExportedCopy(id=Id(1), mailbox="x", uid=1, received_at=AT, flags=("\\Seen",))
    writer.add(copy, 5, [b"a: 1\n"])
    writer.end()
    with open(path, "ab") as file:
        file.write(P + b"a: 2\n\n")
    one, other = MboxFile(str(path), "x", None).messages()
    assert isinstance(one, MboxMessage)
    assert isinstance(other, MboxMessage)
    assert one.flags() == ()
    assert one.received_at() == AT.replace(microsecond=0)
    assert other.received_at() == datetime(2001, 5, 6, 22, 17, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "damage",
    [
        b"", b"{}\n", b"[1]\n", b'{"size": 0, "messages": 0, "dialect": "x"}\n', b"\xff", b"[" * 60_000,
        b'{"mailbox": ' + b"[" * 60_000, b'{"mailbox": "%s"}' % (b"\\ud800" * 300),
        b'{"mailbox": "%s"}' % (b"../" * 300), b"SIZE[" + b"[" * 60_000,
        b'SIZE{"received_at": "0001-01-01T00:00:00+23:59", "flags": []}',
        b'SIZE{"received_at": "9999-12-31T23:59:00-23:59", "flags": []}',
    ],
    ids=itertools.count(),
)  # fmt: skip
def test_a_damaged_list_beside_says_nothing(tmp_path: Path, damage: bytes) -> None:
    """The file is read as if it stood alone, and keeps its name, whoever wrote the list."""
    path = tmp_path / "x~12345678.mbox"
    path.write_bytes(P + b"a: 1\n")
    about = b'{"size": %d, "messages": 1, "dialect": "mboxrd"}\n' % path.stat().st_size
    beside_path(path).write_bytes(damage.replace(b"SIZE", about))
    (folder,) = Mboxes(str(tmp_path)).folders()
    (found,) = folder.messages()
    assert isinstance(found, MboxMessage)
    assert (folder.mailbox, b"".join(found.payload.chunks())) == ("x~12345678", b"a: 1\n")
    assert found.received_at() == datetime(2001, 5, 6, 22, 17, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        (b"Status: RO\n", ("\\Seen",)),
        (b"Status: O\nX-Status: AF\n", ("\\Answered", "\\Flagged")),
        (
            b"X-Status: TD\nX-Keywords: work, $Forwarded \\Bad\n",
            ("\\Draft", "\\Deleted", "work", "$Forwarded"),
        ),
        (b"X-Mozilla-Status: 0007\n", ("\\Seen", "\\Answered", "\\Flagged")),
        (b"X-Mozilla-Status: 0008\n", ("\\Deleted",)),
        (b"X-Mozilla-Status: zz\n", ()),
        (b"X-Mozilla-Status: 0001\nX-UID: 3\nStatus: O\n", ()),
        (b"X-Mozilla-Status: 0001\nX-UID: 3\nStatus:\nX-Status: F\n", ("\\Flagged",)),
        (b"Status: RO\nX-Mozilla-Status: 0004\n", ("\\Seen", "\\Flagged")),
        (b"X-Keywords: work\nX-Mozilla-Status: 0001\n", ("work", "\\Seen")),
        (b"X-Mozilla-Status: 1001\n", ("\\Seen", "$Forwarded")),
        (b"X-Mozilla-Status: 0001\nX-Mozilla-Keys: $label1 work   \n", ("$label1", "work", "\\Seen")),
        (b"X-Mozilla-Keys: work\nX-UID: 3\nStatus: O\nX-Keywords: own\n", ("own",)),
        (b"Subject: x\n\nStatus: R\n", ()),
    ],
)
def test_flags_of_status_fields(fields: bytes, flags: tuple[str, ...]) -> None:
    """Those of mail spools, of Pine and Dovecot, of Thunderbird; not of the text."""
    assert status_flags(fields + b"\nx\n") == flags


@pytest.mark.parametrize("padding", [200 << 10, 900 << 10])
def test_flags_stand_behind_however_many_fields(tmp_path: Path, padding: int) -> None:
    """Dovecot puts them at the end of the header, where `Received` and `Content-Length` may be as well."""
    filler = b"".join(b"X-Filler: %070d\n" % number for number in range(padding // 80))
    body = b"text\n\n" + P + b"a: b\n"
    fields = b"Status: RO\nX-Status: F\nX-Keywords: work\nContent-Length: %d\n" % len(body)
    date = b"Date: Sun, 6 May 2001 22:17:15 +0000\n"
    (tmp_path / "x").write_bytes(b"From x\n" + filler + fields + date + b"\n" + body)
    (one,) = MboxFile(str(tmp_path / "x"), "x", None).messages()
    assert isinstance(one, MboxMessage)
    assert one.flags() == ("\\Seen", "\\Flagged", "work")
    assert one.received_at() == datetime(2001, 5, 6, 22, 17, 15, tzinfo=UTC)
    one.payload.close()


@pytest.mark.parametrize("size", [1, 7, 64])
def test_trap_m1_blocks_may_end_anywhere(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """A pipe gives what it has: the same messages come out."""
    body = b"".join(b"line %d\n" % n for n in range(3000)) + b"\n" + b"x" * 50_000 + b"\nFrom here on\n"
    messages = [b"a: %d\n\n" % n + body for n in range(3)]
    data = b"".join(P + one + b"\n" for one in messages)
    source = io.BytesIO(data)
    splitter = Splitter(lambda _: source.read(size * 997))
    monkeypatch.setattr(ahead, "BLOCK_BYTES", 1 << 12)
    assert [b"".join(raw.payload.chunks()) for raw in splitter.messages()] == messages


def test_trap_m1_one_endless_line_is_read(tmp_path: Path) -> None:
    """A line of many megabytes, which no server would take."""
    message = b"a: b\n\n" + b"x" * (12 << 20) + b"\n"
    path = tmp_path / "long.mbox"
    path.write_bytes(P + message + b"\n" + P + b"a: 2\n")
    assert read(MboxFile(str(path), "x", None)) == [message, b"a: 2\n"]


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", ZSTD),
    ],
)
def test_packed_files_are_unpacked(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    """By what they are, not by what they are called; a torn one tells so, behind what could be read."""
    data = P + b"a: 1\n\n" + P + b"a: 2\n"
    for name in ("mail.mbox" + suffix, "plain.mbox"):
        (tmp_path / name).write_bytes(pack(data))
        assert read(MboxFile(str(tmp_path / name), "x", None)) == [b"a: 1\n", b"a: 2\n"]
    (tmp_path / "torn").write_bytes(pack(data + os.urandom(1 << 19))[: -(1 << 16)])
    *_, last = MboxFile(str(tmp_path / "torn"), "x", None).messages()
    assert isinstance(last, Broken)
    assert last.reason.code == "damaged"


PACKED_QUICKLY: dict[str, Callable[[bytes], bytes]] = {
    "gz": partial(gzip.compress, compresslevel=1),
    "bz2": partial(bz2.compress, compresslevel=1),
    "xz": partial(lzma.compress, preset=0),
    "zstd": ZSTD,
}


@pytest.mark.parametrize("pack", PACKED_QUICKLY.values(), ids=PACKED_QUICKLY)
@pytest.mark.parametrize("damage", ["torn", "overwritten"])
def test_trap_m1_messages_before_the_damage_are_kept(
    tmp_path: Path, pack: Callable[[bytes], bytes], damage: str
) -> None:
    """All that end before it; the one it is in is told by its number."""
    messages = [b"a: %d\n\n" % number + os.urandom(40_000).hex().encode() + b"\n" for number in range(24)]
    packed = bytearray(pack(b"".join(P + one + b"\n" for one in messages)))
    if damage == "torn":
        del packed[-100_000:]
    else:
        packed[-100_000:-99_000] = bytes(1000)
    (tmp_path / "x").write_bytes(packed)
    *found, last = MboxFile(str(tmp_path / "x"), "x", None).messages()
    kept = [b"".join(one.payload.chunks()) for one in found if isinstance(one, MboxMessage)]
    assert kept[:19] == messages[:19]  # a block that the reader asks for holds 13 of them
    assert damage == "overwritten" or kept == messages[: len(kept)]
    assert isinstance(last, Broken)
    assert (last.path, last.reason.code) == (f"{tmp_path / 'x'}#{len(kept) + 1}", "damaged")
    # what was overwritten may be noticed only where a checksum is, behind messages it made wrong
    assert ("other bytes" in last.reason.why()) == (damage == "overwritten")


def test_trap_m1_a_file_that_cannot_be_read_on_keeps_what_was_read() -> None:
    """The message in the midst of which it broke off is not taken for whole."""
    pieces = iter([P + b"a: 1\n\n" + P + b"a: 2\n"])

    def reading(_: int) -> bytes:
        for piece in pieces:
            return piece
        raise OSError(5, "Input/output error")

    found = []
    messages = Splitter(reading).messages()
    found.append(b"".join(next(messages).payload.chunks()))
    with pytest.raises(OSError, match="Input/output"):
        next(messages)
    assert found == [b"a: 1\n"]


def test_what_does_not_begin_like_an_mbox_is_told(tmp_path: Path) -> None:
    """It has no messages, and the report says why."""
    path = tmp_path / "x"
    path.write_bytes(b"Subject: one message\n\nx\n")
    (broken,) = MboxFile(str(path), "x", None).messages()
    assert isinstance(broken, Broken)
    assert broken.reason.code == "not_mbox"


def test_a_directory_has_a_mailbox_for_each_file(tmp_path: Path) -> None:
    """INBOX first; Thunderbird's and Apple's directories are levels; what is no mbox is named."""
    for name in ("Sent.mbox", "INBOX", "Inbox.sbd/Lists", "Apple.mbox/mbox", "2025.mbox.gz", "Tom &- J.mbox"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(P + b"a: 1\n")
    (tmp_path / "empty.mbox").touch()
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "subscriptions").write_text("Sent\nApple\n")
    source = Mboxes(str(tmp_path))
    assert [folder.mailbox for folder in source.folders()] == [
        "INBOX", "2025", "Apple", "Inbox/Lists".replace("Inbox", "INBOX"), "Sent", "Tom & J", "empty",
    ]  # fmt: skip
    assert source.subscribed() == ("Sent", "Apple")
    assert [(one.path, one.reason.code) for one in source.left()] == [
        (str(tmp_path / "notes.txt"), "not_mbox")
    ]
    assert {one.mailbox for one in Mboxes(str(tmp_path), mailbox="All").folders()} == {"All"}


def test_a_postmark_needs_a_date_or_a_place() -> None:
    """The table that decides."""
    asked = [(blank, headed) for blank in (True, False) for headed in (b"a: b", b"text")]
    dated = [is_postmark(P[:-1], after_blank=blank, next_line=line) for blank, line in asked]
    lone = [is_postmark(b"From me", after_blank=blank, next_line=line) for blank, line in asked]
    assert (dated, lone) == ([True, True, True, False], [True, False, False, False])


@pytest.mark.parametrize("name", ["Pipe.mbox", "Sent.mbox.flags", "subscriptions"])
def test_a_pipe_in_a_directory_is_named_and_not_waited_for(tmp_path: Path, name: str) -> None:
    """The mboxes beside it are read."""
    (tmp_path / "Sent.mbox").write_bytes(P + b"Subject: 1\n\na\n")
    os.mkfifo(tmp_path / name)
    source = Mboxes(str(tmp_path))
    found = [one for file in source.folders() for one in file.messages()]
    assert [(one.path, "pipe" in one.reason.why()) for one in found if isinstance(one, Broken)] == [
        (str(tmp_path / name), True)
    ]
    assert len([one for one in found if isinstance(one, MboxMessage)]) == 1
    assert source.subscribed() == ()


def test_a_pipe_that_somebody_named_is_read(tmp_path: Path) -> None:
    """It is what `<(zcat x.gz)` gives."""
    reading, writing = os.pipe()
    os.write(writing, P + b"Subject: 1\n\na\n")
    os.close(writing)
    (file,) = Mboxes(f"/dev/fd/{reading}").folders()
    assert read(file) == [b"Subject: 1\n\na\n"]
    os.close(reading)
