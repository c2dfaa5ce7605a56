"""Directories of mboxes: what is in no mailbox is named (trap M1)."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from mairust_core.errors import Usage
from mairust_core.transfer.looks import require_maildir, require_mbox
from mairust_core.transfer.mbox.box import MboxMessage
from mairust_core.transfer.mbox.tree import Mboxes
from mairust_core.transfer.source import Aside, Broken, Fate
from tests.unit.transfer.test_mbox import P

ONE = P + b"Subject: 1\n\na\n\n"


def make(root: Path, *names: str, data: bytes = ONE) -> Path:
    """A directory with these files."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def mailboxes(root: Path) -> list[str]:
    """Those that have a message."""
    folders = Mboxes(str(root)).folders()
    return [one.mailbox for one in folders for found in one.messages() if isinstance(found, MboxMessage)]


def left(root: Path) -> dict[str, tuple[Fate, str]]:
    """What is told besides folders: by its path below the root, its fate and the reason."""
    source = Mboxes(str(root))
    list(source.folders())
    return {
        os.path.relpath(one.path, root): (
            one.fate if isinstance(one, Aside) else Fate.FAILED,
            one.reason.key,
        )
        for one in source.left()
    }


BEGINNINGS = [
    (ONE, True),
    (b"\xef\xbb\xbf" + ONE, True),
    (b"\r\n\n" + ONE, True),
    (b"\xef\xbb\xbf" + b"\n" * 5000 + ONE, True),
    (b"\n" * 509 + ONE, True),
    (b"from a Sun May  6 22:17:15 2001\n\nx\n", False),
    (b"Fromage\n\nx\n", False),
    (b">" + ONE, False),
    (b" " + ONE, False),
    (b"\n" * 5000 + b"x", False),
]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("data", "is_mbox"), BEGINNINGS)
def test_everybody_judges_alike_what_begins_like_an_mbox(
    tmp_path: Path, data: bytes, is_mbox: bool, packed: bool
) -> None:
    """Named, found in a directory, read, and in the error that says what something else looks like."""
    root = make(tmp_path / "mail", "x", data=gzip.compress(data) if packed else data)
    assert (mailboxes(root), "x" not in left(root)) == ((["x"], True) if is_mbox else ([], False))
    if is_mbox:
        require_mbox(root / "x")
    else:
        with pytest.raises(Usage, match="not an mbox"):
            require_mbox(root / "x")
    for place, looks in ((root / "x", "an mbox"), (root, "a directory of mboxes")):
        with pytest.raises(Usage) as refused:
            require_maildir(place)
        assert (f"looks like {looks}." in str(refused.value)) is is_mbox


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf", b"\n" * 5000])
def test_what_holds_nothing_is_an_mbox_where_it_is_called_one(tmp_path: Path, data: bytes) -> None:
    """Named, or by its suffix; another file that is empty is no mail."""
    root = make(tmp_path, "x", "y.mbox", data=data)
    require_mbox(root / "x")
    assert [one.mailbox for one in Mboxes(str(root)).folders()] == ["y"]
    assert left(root) == {"x": (Fate.LEFT, "left_mbox")}


def test_trap_m1_links_are_named_and_not_followed(tmp_path: Path) -> None:
    """To files and to directories, wherever they lead."""
    make(tmp_path / "outside", "x")
    root = make(tmp_path / "mail", "a", "sub.sbd/b")
    (root / "linked.mbox").symlink_to(tmp_path / "outside" / "x")
    (root / "sub.sbd" / "dir").symlink_to(tmp_path / "outside")
    (root / "dangling").symlink_to(tmp_path / "nowhere")
    assert mailboxes(root) == ["a", "sub/b"]
    assert left(root) == {
        "linked.mbox": (Fate.FAILED, "a_link"),
        "sub.sbd/dir": (Fate.FAILED, "a_directory_link"),
        "dangling": (Fate.FAILED, "a_link"),
    }


def test_trap_m1_hidden_mboxes_are_named(tmp_path: Path) -> None:
    """Also those in hidden directories; other hidden files are nothing that mail programs keep mail in."""
    make(tmp_path, "a", ".hid", ".dir/b", ".dir/c/d")
    make(tmp_path, ".DS_Store", ".git/objects/x", data=b"\0")
    assert mailboxes(tmp_path) == ["a"]
    assert left(tmp_path) == dict.fromkeys((".hid", ".dir/b", ".dir/c/d"), (Fate.FAILED, "hidden_mbox"))


def test_trap_m1_an_mbox_is_one_whatever_it_is_called(tmp_path: Path) -> None:
    """Lists and indexes are passed over beside their mbox alone, and only where they are no mboxes."""
    make(tmp_path, "red", "red.flags", "blue.flags", "green.msf", "subscriptions")
    make(tmp_path, "red.msf", "grey.msf", "grey.flags", data=b"// <!-- <mdb:mork\n")
    assert mailboxes(tmp_path) == ["blue.flags", "green.msf", "red", "red.flags", "subscriptions"]
    assert left(tmp_path) == dict.fromkeys(("grey.msf", "grey.flags"), (Fate.LEFT, "left_mbox"))
    assert Mboxes(str(tmp_path)).subscribed() == ()


def test_trap_m1_names_that_cannot_be_kept_are_called_as_their_files(tmp_path: Path) -> None:
    """So that the report tells them; names in UTF-7 are read."""
    make(tmp_path, "a\x01b.mbox", "x&AC8-y", "&U9dP4Xux-", "Old\x02.sbd/c")
    folders = {one.mailbox: one.called for one in Mboxes(str(tmp_path)).folders()}
    assert folders == {"a_b": "a\x01b", "x_y": "x&AC8-y", "受信箱": "受信箱", "Old_/c": "Old\x02/c"}


def test_trap_m1_a_directory_that_cannot_be_listed_is_told(tmp_path: Path) -> None:
    """One that is gone stands here for one without permission: root may read all."""
    source = Mboxes(str(tmp_path / "gone"))
    assert list(source._files(tmp_path / "gone", ())) == []
    (told,) = source.left()
    assert isinstance(told, Broken)
    assert told.reason.why() == "it cannot be read: no such file or directory"


@pytest.mark.parametrize("name", ["x", "x.mbox", "x.flags"])
def test_trap_m1_a_pipe_without_an_mbox_is_told_once(tmp_path: Path, name: str) -> None:
    """Whatever it is called."""
    os.mkfifo(tmp_path / name)
    source = Mboxes(str(tmp_path))
    told = [one for file in source.folders() for one in file.messages()]
    assert [one.path for one in (*told, *source.left())] == [str(tmp_path / name)]


@pytest.mark.parametrize("before", [b"", b"\n", b"\xef\xbb\xbf"])
def test_a_list_of_mailboxes_is_one_or_an_mbox_and_never_both(tmp_path: Path, before: bytes) -> None:
    """Whatever stands before its first line."""
    make(tmp_path, "subscriptions", data=before + ONE)
    assert (mailboxes(tmp_path), Mboxes(str(tmp_path)).subscribed()) == (["subscriptions"], ())
    make(tmp_path, "subscriptions", data=before + b"From a list\nred\n")
    assert mailboxes(tmp_path) == []
    assert "red" in Mboxes(str(tmp_path)).subscribed()


@pytest.mark.parametrize("name", ["subscriptions", ".subscriptions"])
def test_subscriptions_as_dovecot_lists_them(tmp_path: Path, name: str) -> None:
    """Levels parted by tabs, in modified UTF-7; its mbox store hides the list."""
    make(tmp_path, "Empty")
    (tmp_path / name).write_bytes(b"V\t2\n\nEmpty\nLists\tPy&AOk-\n")
    assert Mboxes(str(tmp_path)).subscribed() == ("Empty", "Lists/Py\u00e9")
    (tmp_path / name).write_bytes(b"Empty\nLists/Py&AOk-\n")
    hidden = name.startswith(".")
    assert Mboxes(str(tmp_path)).subscribed() == ("Empty", "Lists/Py\u00e9" if hidden else "Lists/Py&AOk-")
    assert mailboxes(tmp_path) == ["Empty"]


@pytest.mark.parametrize("beside", [".imap/Empty/dovecot.index.log", "Empty.msf"])
def test_an_empty_mbox_that_a_program_keeps_an_index_of_is_a_folder(tmp_path: Path, beside: str) -> None:
    """Dovecot's index, or Thunderbird's, tells it from any other empty file."""
    make(tmp_path, "Other", data=b"")
    make(tmp_path, "Full")
    make(tmp_path, "Empty", beside, data=b"")
    assert [one.mailbox for one in Mboxes(str(tmp_path)).folders()] == ["Empty", "Full"]
    assert left(tmp_path) == {"Other": (Fate.LEFT, "left_mbox")}


@pytest.mark.parametrize(
    ("names", "refused"),
    [
        (["cur/x.mbox"], False),
        (["cur/x.mbox", "Sent.mbox"], False),
        (["cur/x.mbox", "new/y"], True),
        (["cur/1.M1P1.vm:2,S"], True),
    ],
)
def test_mboxes_below_a_mailbox_called_cur_are_no_maildir(
    tmp_path: Path, names: list[str], refused: bool
) -> None:
    """A Maildir has `new` beside it, or nothing but mail there."""
    for name in names:
        make(tmp_path, name, data=ONE if name.endswith(".mbox") else b"Subject: 1\n\nx\n")
    if refused:
        with pytest.raises(Usage, match="it looks like a Maildir"):
            require_mbox(tmp_path)
    else:
        require_mbox(tmp_path)
        assert "cur/x" in mailboxes(tmp_path)
