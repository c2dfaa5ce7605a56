"""An export written, and read back by our own readers and the standard library's."""

from __future__ import annotations

import errno
import mailbox
import os
import random
import re
import resource
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mairust_core.errors import Conflict, DiskFull, Usage
from mairust_core.model.copies import ExportedCopy, Folders
from mairust_core.model.ids import Id
from mairust_core.operations import BytesIn, Item
from mairust_core.transfer.exporting import ExportRun, Writer, require_free, require_no_file
from mairust_core.transfer.maildir.tree import Maildir
from mairust_core.transfer.maildir.writing import Layout, MaildirWriter
from mairust_core.transfer.mbox.tree import Mboxes
from mairust_core.transfer.mbox.writing import MboxWriter
from mairust_core.transfer.names import UNFINISHED
from mairust_core.transfer.source import Aside, Broken, Fate, Source
from mairust_core.transfer.telling import Told

START = datetime(2026, 11, 22, 10, 0, 0, 123000, tzinfo=UTC)
MAILBOXES = ("INBOX", "Empty", "Tom & Jerry/a.b", "cur", "...", "受信箱/仕事")
Row = tuple[str, bytes, tuple[str, ...], datetime]


def rows() -> list[Row]:
    """Messages of an account: mailbox, bytes, flags, date; later ones are not always younger."""
    chance = random.Random(7)
    found: list[Row] = []
    for name in MAILBOXES:
        if name == "Empty":
            continue
        for number in range(5):
            data = b"Subject: %d\r\n\r\nFrom here\n>From there\n" % number + b"x" * number
            keywords = tuple(f"k{n}" for n in chance.sample(range(40), 12))
            flags = ("\\Seen", *keywords) if number % 2 else ("$Forwarded", "\\Draft", *keywords)
            found.append((name, data, flags, START + timedelta(milliseconds=chance.randrange(10**9))))
    return found


def items(rows: Sequence[Row]) -> Any:
    """The same as a stream."""
    for uid, (name, data, flags, at) in enumerate(rows, 1):
        copy = ExportedCopy(id=Id(uid), mailbox=name, uid=uid, received_at=at, flags=flags)
        yield Item(value=copy, content=BytesIn(chunks=[data[:7], data[7:]], size_bytes=len(data)))


def export(path: Path, writer: Writer, rows: list[Row]) -> list[Told]:
    """Write everything; what was left out."""
    told: list[Told] = []
    run = ExportRun(path, writer, tell=told.append, progress=lambda _: None)
    tally = run.run(Folders(mailboxes=MAILBOXES, subscribed=("INBOX", "Tom & Jerry/a.b")), items(rows))
    assert tally.done == len(rows)
    return told


def read(source: Source) -> tuple[list[str], list[Row]]:
    """The mailboxes of a source, and its messages."""
    names, found = [], []
    for folder in source.folders():
        names.append(folder.mailbox)
        for one in folder.messages():
            assert not isinstance(one, Broken | Aside)
            payload = one.load()
            found.append((folder.mailbox, b"".join(payload.chunks()), one.flags(), one.received_at()))
            payload.close()
    return names, found


def in_order(rows: list[Row]) -> list[tuple[str, bytes, frozenset[str], datetime]]:
    """Messages by mailbox, order within one kept; flags in no order."""
    named = [(name, data, frozenset(flags), at) for name, data, flags, at in rows]
    return sorted(named, key=lambda row: row[0])


@pytest.mark.parametrize("layout", list(Layout))
def test_a_maildir_comes_back_as_it_was(tmp_path: Path, layout: Layout) -> None:
    """Bytes, flags, more keywords than letters, dates, order, empty mailboxes, subscriptions."""
    hidden = {"cur", "..."} if layout is Layout.NESTED else {"Tom & Jerry/a.b", "..."}
    told = export(tmp_path, MaildirWriter(tmp_path, layout), rows())
    assert {(one.mailbox, one.reason.code) for one in told} == {(name, "not_shown") for name in hidden}
    names, found = read(Maildir(tmp_path))
    assert sorted(names) == sorted(MAILBOXES)
    assert in_order(found) == in_order(rows())
    assert Maildir(tmp_path).subscribed() == ("INBOX", "Tom & Jerry/a.b")


def test_mboxes_come_back_as_they_were(tmp_path: Path) -> None:
    """With the lists beside them; they are no mboxes themselves."""
    assert export(tmp_path, MboxWriter(tmp_path), rows()) == []
    source = Mboxes(str(tmp_path))
    names, found = read(source)
    assert sorted(names) == sorted(MAILBOXES)
    assert in_order(found) == in_order(rows())
    assert source.subscribed() == ("INBOX", "Tom & Jerry/a.b")
    assert source.left() == ()


AWKWARD = (
    "INBOX", "A", "A.mbox/x", "A.mbox.flags/x", "A.sbd/x", "a.mbx", "x.gz", "subscriptions",
    "subscriptions/x", "dovecot-keywords", "dovecot-uidlist/x", "dovecot.index.log", "courierimapkeywords",
    "courierimapsubscribed",
    "maildirfolder", UNFINISHED, f"{UNFINISHED}/x", "mairust-mailbox/y",
    "x/new", "mbox", "B.mbox/mbox", "x/subscriptions/y",
)  # fmt: skip
"""Names that our own files have, and those of others."""


@pytest.mark.parametrize("form", [*Layout, "mbox"])
def test_no_mailbox_lies_where_a_file_should(tmp_path: Path, form: str) -> None:
    """Whatever it is called it goes out and comes back under its name."""
    require_back(tmp_path, form, AWKWARD)


def require_back(root: Path, form: str, mailboxes: tuple[str, ...]) -> list[Told]:
    """Mailboxes with a mail each go out and come back under their names; what the export told."""
    writer = MboxWriter(root) if form == "mbox" else MaildirWriter(root, Layout(form))
    mails: list[Row] = [(name, b"a: %s\n" % name.encode(), ("k",), START) for name in mailboxes]
    told: list[Told] = []
    run = ExportRun(root, writer, tell=told.append, progress=lambda _: None)
    run.run(Folders(mailboxes=mailboxes, subscribed=mailboxes), items(mails))
    source = Mboxes(str(root)) if form == "mbox" else Maildir(root)
    names, found = read(source)
    assert sorted(names) == sorted(mailboxes)
    assert in_order(found) == in_order(mails)
    assert source.subscribed() == mailboxes
    return told


def test_the_standard_library_reads_the_same(tmp_path: Path) -> None:
    """Python's `mailbox` finds the folders, bytes, flags and dates of a Maildir, and the bytes of an mbox."""
    (tmp_path / "md").mkdir()
    (tmp_path / "mb").mkdir()
    wanted = [row for row in rows() if row[0] == "INBOX"]
    export(tmp_path / "md", MaildirWriter(tmp_path / "md"), rows())
    export(tmp_path / "mb", MboxWriter(tmp_path / "mb"), rows())
    maildir = mailbox.Maildir(tmp_path / "md", create=False)
    read_there = {maildir.get_bytes(key): maildir.get_message(key) for key in maildir.iterkeys()}
    assert {data: at.timestamp() for _, data, _, at in wanted} == pytest.approx(
        {data: message.get_date() for data, message in read_there.items()}
    )
    for _, data, flags, _ in wanted:
        assert ("S" in read_there[data].get_flags()) == ("\\Seen" in flags)
        assert ("P" in read_there[data].get_flags()) == ("$Forwarded" in flags)
    assert "Empty" in maildir.list_folders()
    mbox = mailbox.mbox(tmp_path / "mb" / "INBOX.mbox", create=False)
    quoted = [
        data.replace(b"\n>From", b"\n>>From").replace(b"\nFrom", b"\n>From") for _, data, _, _ in wanted
    ]
    found = [mbox.get_bytes(key).rstrip(b"\n") for key in mbox.iterkeys()]
    assert found == [one.rstrip(b"\n") for one in quoted]
    mbox.close()


def test_a_damaged_message_is_told_and_left_out(tmp_path: Path) -> None:
    """Trap D6: with its id and reason; the others are there."""
    good, bad = items(rows()[:2])
    broken = ExportedCopy(id=Id(9), mailbox="INBOX", uid=9, received_at=START, flags=(), why="it is damaged")
    told: list[Told] = []
    run = ExportRun(tmp_path, MaildirWriter(tmp_path), tell=told.append, progress=lambda _: None)
    tally = run.run(Folders(mailboxes=("INBOX",), subscribed=()), iter([good, Item(value=broken), bad]))
    assert (tally.done, tally.failed) == (2, 1)
    (one,) = told
    assert (one.path, one.mailbox, one.outcome) == ("9", "INBOX", Fate.FAILED)
    assert (one.reason.code, one.reason.why()) == ("damaged", "its bytes are damaged: it is damaged")
    assert len(list((tmp_path / "cur").iterdir())) == 2


def test_a_mailbox_made_meanwhile_is_exported_too(tmp_path: Path) -> None:
    """It is not in the list that was asked for before."""
    export(tmp_path, MaildirWriter(tmp_path), [*rows(), ("Newer", b"x", (), START)])
    assert "Newer" in read(Maildir(tmp_path))[0]


def test_no_message_writes_over_another(tmp_path: Path) -> None:
    """Mailboxes whose names lead to one directory get two."""
    writer = MaildirWriter(tmp_path, Layout.NESTED)
    told: list[Told] = []
    run = ExportRun(tmp_path, writer, tell=told.append, progress=lambda _: None)
    alike = [("a//b", b"1", (), START), ("a/_/b", b"2", (), START)]
    run.run(Folders(mailboxes=("a//b", "a/_/b"), subscribed=()), items(alike))
    assert sorted(data for _, data, _, _ in read(Maildir(tmp_path))[1]) == [b"1", b"2"]


def test_only_an_empty_place_is_written_to(tmp_path: Path) -> None:
    """A new directory is made; nothing is written over."""
    require_free(tmp_path / "new" / "deep")
    require_free(tmp_path / "new" / "deep")
    (tmp_path / "file").touch()
    for taken in (tmp_path, tmp_path / "file"):
        with pytest.raises(Conflict, match="holds something"):
            require_free(taken)
    with pytest.raises(Usage, match="cannot be written"):
        require_free(tmp_path / "file" / "below")
    require_no_file(tmp_path / "other")
    with pytest.raises(Conflict):
        require_no_file(tmp_path / "file")


LONG = (
    "INBOX", "a" * 255, "a" * 254 + "b", "\u00e9" * 127, "\u00e9" * 127 + "x", "&" * 200, "\U0001f600" * 63,
    "x" * 150 + "/" + "\u00e9" * 50, "\u00e9" * 100, "\u00e9" * 100 + "/kid", "a" * 250, "&AC4-" * 50,
    "plain~0123abcd", "/".join("a\u00e9" * 5 for _ in range(15)),
)  # fmt: skip
"""Names of at most 255 octets that are longer once they are written, and what looks like one cut off."""


@pytest.mark.parametrize("form", [*Layout, "mbox"])
def test_a_name_that_no_file_can_have_is_cut_off_and_comes_back(tmp_path: Path, form: str) -> None:
    """Each in a place of its own, which is told; the export goes on."""
    told = require_back(tmp_path, form, LONG)
    cut_off = [one for one in told if one.reason.code == "cut_off"]
    assert {one.outcome for one in cut_off} == {Fate.CHANGED}
    assert all(str(one.reason.values["directory"]) in one.reason.why("ja") for one in cut_off)
    assert len({str(one.reason.values["directory"]) for one in cut_off}) == len(cut_off) >= 4


@pytest.mark.parametrize("form", [*Layout, "mbox"])
def test_a_place_that_got_another_name_keeps_that(tmp_path: Path, form: str) -> None:
    """What is written beside holds only where it leads there."""
    writer = MboxWriter(tmp_path) if form == "mbox" else MaildirWriter(tmp_path, Layout(form))
    run = ExportRun(tmp_path, writer, tell=lambda _: None, progress=lambda _: None)
    run.run(Folders(mailboxes=("\u00e9" * 127,), subscribed=()), iter(()))
    for path in tmp_path.glob("*~*"):
        path.rename(path.with_name(re.sub("[^.]+~[0-9a-f]+", "Old~0123abcd", path.name)))
    source = Mboxes(str(tmp_path)) if form == "mbox" else Maildir(tmp_path)
    assert read(source)[0] == ["Old~0123abcd"]


def broken_off(rows: Sequence[Row], error: BaseException) -> Any:
    """The same as a stream that ends inside of one more message."""

    def half() -> Iterator[bytes]:
        yield b"Subject: half\n\n" + b"x" * 99_999
        raise error

    yield from items(rows)
    copy = ExportedCopy(id=Id(99), mailbox=rows[-1][0], uid=99, received_at=START, flags=("late",))
    yield Item(value=copy, content=BytesIn(chunks=half(), size_bytes=200_000))


@pytest.mark.parametrize("form", [*Layout, "mbox"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "no room"), KeyboardInterrupt(), Usage("x")])
def test_what_is_broken_off_can_be_read_and_says_so(tmp_path: Path, form: str, error: BaseException) -> None:
    """Whole messages only, with flags and keywords; nothing stays open; a second run says what to do."""
    root = tmp_path / "out"
    require_free(root)
    writer = MboxWriter(root) if form == "mbox" else MaildirWriter(root, Layout(form))
    run = ExportRun(root, writer, tell=lambda _: None, progress=lambda _: None)
    some = rows()[:8]
    with pytest.raises(DiskFull if isinstance(error, OSError) else type(error)):
        run.run(Folders(mailboxes=MAILBOXES, subscribed=()), broken_off(some, error))
    assert not [one for one in Path("/proc/self/fd").iterdir() if str(root) in os.path.realpath(one)]
    source = Mboxes(str(root)) if form == "mbox" else Maildir(root)
    assert in_order(read(source)[1]) == in_order(some)
    assert [(one.path, one.reason.code) for one in source.left()] == [(f"{root}/{UNFINISHED}", "unfinished")]
    assert [one for one in root.rglob("tmp/*") if one.is_file()] == []
    with pytest.raises(Conflict, match="broken off"):
        require_free(root)


def test_what_is_finished_is_not_marked(tmp_path: Path) -> None:
    """Nor is a single mbox, which is no directory."""
    export(tmp_path, MaildirWriter(tmp_path), rows())
    assert not (tmp_path / UNFINISHED).exists()


def test_an_mbox_that_the_disk_had_no_room_for_ends_with_a_whole_message(tmp_path: Path) -> None:
    """Wherever the disk cut it off."""
    path = tmp_path / "one.mbox"
    run = ExportRun(path, MboxWriter(path, single=True), tell=lambda _: None, progress=lambda _: None)
    some = [("INBOX", b"Subject: %d\n\n" % n + b"x" * 3000 + b"\n", (), START) for n in range(9)]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises((DiskFull, Usage)):
            run.run(Folders(mailboxes=("INBOX",), subscribed=()), items(some), "INBOX")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert read(Mboxes(str(path)))[1] == some[:6]


def test_a_place_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    """The error names the path."""
    (tmp_path / "file").touch()
    run = ExportRun(tmp_path, MaildirWriter(tmp_path / "file"), tell=lambda _: None, progress=lambda _: None)
    with pytest.raises(Usage, match="file"):
        run.run(Folders(mailboxes=("INBOX",), subscribed=()), iter(()))


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """`/dev/full` takes no byte: the error says where there is no room."""

    class Full(MboxWriter):
        """Writes to a device without room."""

        def begin(self, mailbox: str) -> None:
            self._file = open("/dev/full", "wb")  # noqa: SIM115 - closed by `end`

        def end(self) -> None:
            """Close it, which writes what was held."""
            assert self._file is not None
            self._file.close()

    run = ExportRun(tmp_path, Full(tmp_path), tell=lambda _: None, progress=lambda _: None)
    with pytest.raises(DiskFull, match="no room for the export"):
        run.run(Folders(mailboxes=("INBOX",), subscribed=()), items(rows()[:2]))
