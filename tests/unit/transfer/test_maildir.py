"""Reading Maildirs, whoever writes them meanwhile (trap M2)."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mairust_core.errors import NotFound, Usage
from mairust_core.transfer.looks import require_maildir, require_mbox
from mairust_core.transfer.maildir.beside import read_subscriptions, split_name
from mairust_core.transfer.maildir.folder import MaildirFolder, _once
from mairust_core.transfer.maildir.messages import ATTEMPTS, Entry, MaildirMessage
from mairust_core.transfer.maildir.tree import Maildir
from mairust_core.transfer.mbox.box import MboxMessage
from mairust_core.transfer.names import RECORD
from mairust_core.transfer.source import Aside, Broken, Fate, Unusable

AT_S = 1_764_000_000


def make(root: Path, *files: str, at_s: int = AT_S) -> Path:
    """A Maildir with these files, each with its own name as content, a second apart."""
    for part in ("cur", "new", "tmp"):
        (root / part).mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(files):
        (root / name).write_bytes(name.encode())
        os.utime(root / name, (at_s + number, at_s + number))
    return root


def messages(folder: MaildirFolder) -> list[MaildirMessage]:
    """The messages of a folder, none of them broken."""
    return [one for one in folder.messages() if isinstance(one, MaildirMessage)]


def only(root: Path) -> MaildirMessage:
    """The one message of a Maildir."""
    (folder,) = Maildir(root).folders()
    (message,) = messages(folder)
    return message


def content(message: MaildirMessage | MboxMessage) -> bytes:
    """Its bytes."""
    payload = message.load()
    try:
        return b"".join(payload.chunks())
    finally:
        payload.close()


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("new/1.a", ()),
        ("cur/1.a", ()),
        ("cur/1.a:2,", ()),
        ("cur/1.a:2,S", ("\\Seen",)),
        ("cur/1.a;2,FRS", ("\\Flagged", "\\Answered", "\\Seen")),
        ("cur/1.a!2,S", ("\\Seen",)),
        ("cur/1.a,S=5,W=6:2,DPT", ("\\Draft", "$Forwarded", "\\Deleted")),
        ("cur/1.a:2,Sbz", ("\\Seen", "work")),
        ("new/1.a:2,S", ("\\Seen",)),
    ],
)
def test_trap_m2_flags_of_a_name(tmp_path: Path, name: str, flags: tuple[str, ...]) -> None:
    """`PRSTDF`, Dovecot's letters, other signs where a colon cannot be; unknown letters say nothing."""
    make(tmp_path, name)
    (tmp_path / "dovecot-keywords").write_text("0 Junk\n1 work\n26 x\n2 bad keyword\nx y\n")
    assert only(tmp_path).flags() == flags


@pytest.mark.parametrize(
    ("count", "name", "courier", "told"),
    [
        (26, "cur/1.a:2,a", False, ["keywords_full"]),
        (25, "cur/1.a:2,a", False, []),
        (26, "cur/1.a:2,a", True, []),
        (26, "cur/1.M0Q1.mairust,S=1:2,a", False, []),
    ],
)
def test_trap_m2_a_full_list_of_keywords_is_told(
    tmp_path: Path, count: int, name: str, courier: bool, told: list[str]
) -> None:
    """There may be more, which Dovecot has in its index only; an export of ours has all of them."""
    make(tmp_path, name)
    (tmp_path / "dovecot-keywords").write_text("".join(f"{number} k{number}\n" for number in range(count)))
    if courier:
        (tmp_path / "courierimapkeywords").mkdir()
    (folder,) = Maildir(tmp_path).folders()
    asides = [one for one in folder.messages() if isinstance(one, Aside)]
    assert [one.reason.code for one in asides] == told
    assert all(one.fate is Fate.CHANGED and "doveadm backup" in one.reason.why() for one in asides)


def test_trap_m2_keywords_as_courier_keeps_them(tmp_path: Path) -> None:
    """The list, and the newer files beside it, by the name without its flags."""
    make(tmp_path, "cur/1.a:2,S", "cur/2.b:2,", "cur/3.c:2,")
    keywords = tmp_path / "courierimapkeywords"
    keywords.mkdir()
    (keywords / ":list").write_text("work\nhome\n\n1.a:0 1\n2.b:1 7\n")
    (keywords / "2.b").write_text("newer\n")
    (folder,) = Maildir(tmp_path).folders()
    assert [one.flags() for one in messages(folder)] == [("\\Seen", "work", "home"), ("newer",), ()]


def test_trap_m2_folders_of_both_layouts(tmp_path: Path) -> None:
    """INBOX first; Maildir++ beside nested ones; hidden and other directories are left alone."""
    make(tmp_path)
    for name in (".Sent", ".A.B", "Nested/Deep", ".&U9dP4Xux-"):
        make(tmp_path / name)
    (tmp_path / "Lost").mkdir()
    (tmp_path / "Lost" / "dovecot-uidlist").write_text("3 V1 N1\n")
    (tmp_path / ".git" / "objects").mkdir(parents=True)
    (tmp_path / "sieve").mkdir()
    found = [folder.mailbox for folder in Maildir(tmp_path).folders()]
    assert found[0] == "INBOX"
    assert sorted(found[1:]) == ["A/B", "Lost", "Nested/Deep", "Sent", "受信箱"]


def test_a_tree_without_a_maildir_at_its_root_has_no_inbox(tmp_path: Path) -> None:
    """Folders are named by their path; an MH folder among them is named to the user."""
    make(tmp_path / "a" / "b")
    (tmp_path / "mh").mkdir()
    (tmp_path / "mh" / ".mh_sequences").touch()
    source = Maildir(tmp_path)
    assert [folder.mailbox for folder in source.folders()] == ["a/b"]
    assert [(one.path, one.reason.code) for one in source.left()] == [(str(tmp_path / "mh"), "not_maildir")]


def test_trap_m2_maildirs_where_no_folder_is_are_named(tmp_path: Path) -> None:
    """In a hidden directory that is no folder itself, and in `cur`; other hidden ones are left alone."""
    make(tmp_path, "cur/1.a")
    for name in (".Mix/Nested", ".Mix/Deep/er", ".Both", ".Both/Inside", "X/cur/Odd"):
        make(tmp_path / name)
    (tmp_path / "cur" / "directory").mkdir()
    (tmp_path / ".git" / "objects" / "new").mkdir(parents=True)
    make(tmp_path.parent / "elsewhere" / "Maildir")
    (tmp_path / ".link").symlink_to(tmp_path.parent / "elsewhere")
    source = Maildir(tmp_path)
    folders = list(source.folders())
    assert sorted(one.mailbox for one in folders) == ["Both", "Both/Inside", "INBOX", "X"]
    told = [one for folder in folders for one in folder.messages() if isinstance(one, Broken)]
    assert {one.path: one.reason.key for one in (*told, *source.left())} == {
        str(tmp_path / "cur" / "directory"): "a_directory",
        str(tmp_path / "X" / "cur" / "Odd"): "a_directory",
        str(tmp_path / ".Mix" / "Nested"): "hidden_maildir",
        str(tmp_path / ".Mix" / "Deep" / "er"): "hidden_maildir",
    }


@pytest.mark.parametrize(
    ("name", "mailbox", "called"),
    [
        (".ctl\x01x", "ctl_x", "ctl\x01x"),
        (".sl&AC8-ash", "sl_ash", "sl&AC8-ash"),
        (".&AAE-c", "_c", "&AAE-c"),
        (".a.b\x01", "a/b_", "a/b\x01"),
        ("Nested/c\x01", "Nested/c_", "Nested/c\x01"),
        (".&U9dP4Xux-", "受信箱", "受信箱"),
        (".\udce4rger", "ärger", "ärger"),
    ],
)
def test_trap_m2_a_name_that_cannot_be_kept_is_called_as_its_directory(
    tmp_path: Path, name: str, mailbox: str, called: str
) -> None:
    """So that the report tells it; a name that can be read stays as it reads."""
    make(tmp_path / name)
    (folder,) = Maildir(tmp_path).folders()
    assert (folder.mailbox, folder.called) == (mailbox, called)


def test_links_lead_in_no_circle(tmp_path: Path) -> None:
    """Each directory is read once."""
    make(tmp_path, "cur/1.a")
    make(tmp_path / ".Sent")
    (tmp_path / ".Loop").symlink_to(tmp_path)
    (tmp_path / "up").symlink_to(tmp_path.parent)
    assert len([one for one in Maildir(tmp_path).folders() if one.mailbox in {"INBOX", "Loop"}]) == 1


def test_trap_m3_order_is_that_of_the_uids(tmp_path: Path) -> None:
    """As Dovecot wrote them down; what came after the list follows by date."""
    make(tmp_path, "cur/1.a:2,", "cur/2.b:2,S", "cur/3.c", "new/4.d", "cur/5.e")
    os.utime(tmp_path / "new/4.d", (1, 1))
    (tmp_path / "dovecot-uidlist").write_text("3 V1 N9 G00\n2 :3.c\n5 W7 S9 :1.a:2,S\n7 :2.b\nbad\n")
    (folder,) = Maildir(tmp_path).folders()
    assert [Path(one.path).name[0] for one in messages(folder)] == ["3", "1", "2", "4", "5"]
    (tmp_path / "dovecot-uidlist").write_text("1 V1 9\n2 3.c\n5 1.a\n7 2.b\n")
    assert [Path(one.path).name[0] for one in messages(folder)] == ["3", "1", "2", "4", "5"]
    (tmp_path / "dovecot-uidlist").unlink()
    assert [Path(one.path).name[0] for one in messages(folder)] == ["4", "1", "2", "3", "5"]


def test_trap_m3_the_date_is_the_files(tmp_path: Path) -> None:
    """Its modification time, to the millisecond."""
    make(tmp_path, "cur/1.a")
    os.utime(tmp_path / "cur/1.a", ns=(1, AT_S * 10**9 + 123_456_789))
    assert only(tmp_path).received_at() == datetime(2025, 11, 24, 16, 0, 0, 123000, tzinfo=UTC)


def test_trap_m2_a_message_under_another_name_is_found(tmp_path: Path) -> None:
    """Somebody read it meanwhile: it moved from new to cur and has a flag now."""
    make(tmp_path, "new/1.a")
    message = only(tmp_path)
    (tmp_path / "new/1.a").rename(tmp_path / "cur/1.a:2,RS")
    assert content(message) == b"new/1.a"
    assert message.flags() == ("\\Answered", "\\Seen")
    assert message.path.endswith("cur/1.a:2,RS")


def test_trap_m2_a_message_that_is_gone_is_told(tmp_path: Path) -> None:
    """Deleted, or moved to where nobody looks."""
    make(tmp_path, "cur/1.a", "cur/2.b")
    (folder,) = Maildir(tmp_path).folders()
    first, second = messages(folder)
    (tmp_path / "cur/1.a").unlink()
    with pytest.raises(Unusable) as told:
        first.load()
    assert told.value.reason.code == "vanished"
    assert content(second) == b"cur/2.b"


class Written(MaildirMessage):
    """A message to which somebody appends while it is read, so many times."""

    left = 0

    def stat(self, fd: int) -> os.stat_result:
        """After each look, one more write."""
        found = super().stat(fd)
        if self.left:
            self.left -= 1
            with open(self.path, "ab") as file:
                file.write(b"more")
        return found


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_trap_m2_a_message_that_changes_is_read_again(tmp_path: Path, size: int) -> None:
    """A writer that stops in time is waited for; one that goes on never lets it be whole."""
    make(tmp_path, "cur/1.a")
    (tmp_path / "cur/1.a").write_bytes(b"x" * size)
    message = only(tmp_path)
    written = Written(message._directory, message._keywords, message._entry)
    written.left = 2
    assert content(written) == b"x" * size + b"moremore"
    written.left = 99
    with pytest.raises(Unusable) as told:
        written.load()
    assert told.value.reason.code == "changed"


def test_trap_m2_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A link that leads nowhere, a directory without permission; the others are read."""
    make(tmp_path, "cur/1.a")
    (tmp_path / "cur" / "2.link").symlink_to(tmp_path / "nowhere")
    (folder,) = Maildir(tmp_path).folders()
    found = messages(folder)
    assert len(found) == 2
    reasons = []
    for one in found:
        try:
            content(one)
        except Unusable as error:
            reasons.append((Path(one.path).name, error.reason.code))
    assert reasons == [("2.link", "unreadable")]


def test_a_folder_that_is_none_inside_is_told(tmp_path: Path) -> None:
    """`cur` is a file."""
    (tmp_path / "new").mkdir()
    (tmp_path / "cur").touch()
    (folder,) = Maildir(tmp_path).folders()
    (broken,) = folder.messages()
    assert isinstance(broken, Broken)
    assert broken.reason.code == "unreadable"


def test_a_large_message_is_not_held_in_memory(tmp_path: Path) -> None:
    """Its payload is the file, and reads from the beginning each time."""
    make(tmp_path, "cur/1.a")
    data = os.urandom(3 << 20)
    (tmp_path / "cur/1.a").write_bytes(data)
    payload = only(tmp_path).load()
    assert payload.size_bytes == len(data)
    assert b"".join(payload.chunks()) == b"".join(payload.chunks()) == data
    assert payload.head(10) == data[:10]
    payload.close()


def test_the_key_follows_the_file_and_not_its_flags(tmp_path: Path) -> None:
    """Flags change names; size, time or inode mean another content."""
    make(tmp_path, "cur/1.a:2,")
    before = only(tmp_path).key
    (tmp_path / "cur/1.a:2,").rename(tmp_path / "cur/1.a:2,S")
    assert only(tmp_path).key == before
    (tmp_path / "cur/1.a:2,S").write_bytes(b"other")
    assert only(tmp_path).key != before


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("subscriptions", "V\t2\n\nSent\n&U9dP4Xux-\t&TtVOiw-\n", ("Sent", "受信箱/仕事")),
        ("subscriptions", "Sent\nLists.py\n", ("Sent", "Lists/py")),
        ("subscriptions", "Sent\nLists/py.org\n", ("Sent", "Lists/py.org")),
        ("courierimapsubscribed", "INBOX\nINBOX.Sent\n", ("INBOX", "Sent")),
        ("other", "Sent\n", ()),
    ],
)
def test_trap_m2_subscriptions(tmp_path: Path, name: str, text: str, found: tuple[str, ...]) -> None:
    """Of Dovecot, old and new, and of Courier."""
    (tmp_path / name).write_text(text)
    assert read_subscriptions(tmp_path) == found


@pytest.mark.parametrize(
    "record", [b"", b"../../x", b"\0", b"\xff" * 300, b"/" * 301, b"x" * 100_000], ids=len
)
def test_a_mailbox_that_is_written_in_a_folder_is_looked_at_no_longer_than_ours_are(
    tmp_path: Path, record: bytes
) -> None:
    """Somebody else may have written it: it leads nowhere else, and costs nothing."""
    for name in ("cur", ".x~12345678/cur"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / ".x~12345678" / RECORD).write_bytes(record)
    assert [folder.mailbox for folder in Maildir(tmp_path).folders()] == ["INBOX", "x~12345678"]


@pytest.mark.parametrize("name", ["dovecot-keywords", "dovecot-uidlist", "subscriptions"])
def test_damaged_files_beside_say_nothing(tmp_path: Path, name: str) -> None:
    """Whatever stands in them, the messages are read."""
    make(tmp_path, "cur/1.a:2,Sa")
    for junk in (b"", b"\xff\xfe\0", b"\n" * 1000, os.urandom(500), b"9" * 5000 + b" x\n"):
        (tmp_path / name).write_bytes(junk)
        assert "\\Seen" in only(tmp_path).flags()
        Maildir(tmp_path).subscribed()


def test_the_info_of_a_name_is_its_first() -> None:
    """What stands before it is the message's name for ever."""
    assert split_name("1.a,S=3:2,S") == ("1.a,S=3", "S")
    assert split_name("1.a:1,exp") == ("1.a:1,exp", "")
    assert split_name("1.a") == ("1.a", "")


@pytest.mark.parametrize(
    ("files", "looks"),
    [
        ({}, "an empty directory"),
        ({"1": b"", "2": b""}, "an MH folder"),
        ({"mail": b"From a Sun May  6 22:17:15 2001\n"}, "a directory of mboxes"),
        ({"a.eml": b"Subject: x\n"}, "a directory of single messages"),
        ({"dbox-Mails": b""}, "a dbox of Dovecot's"),
        ({"x": b"y"}, "some other directory"),
    ],
)
def test_what_is_no_maildir_is_told_by_its_looks(tmp_path: Path, files: dict[str, bytes], looks: str) -> None:
    """The error says what it looks like."""
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(Usage, match=f"looks like {looks}"):
        require_maildir(tmp_path)
    if "mbox" not in looks:
        with pytest.raises(Usage, match=f"looks like {looks}"):
            require_mbox(tmp_path)


@pytest.mark.parametrize(
    ("start", "looks"),
    [
        (b"From x", "an mbox"),
        (b"!BDN", "an Outlook"),
        (b"PK\x03\x04", "a zip"),
        (b"", "an empty"),
        (b"x", "some"),
    ],
)
def test_a_file_is_no_maildir(tmp_path: Path, start: bytes, looks: str) -> None:
    """Nor is anything that is not there."""
    (tmp_path / "x").write_bytes(start)
    with pytest.raises(Usage, match=f"looks like {looks}"):
        require_maildir(tmp_path / "x")
    with pytest.raises(NotFound):
        require_maildir(tmp_path / "y")
    with pytest.raises(NotFound):
        require_mbox(tmp_path / "y")


def test_a_file_that_begins_otherwise_is_no_mbox(tmp_path: Path) -> None:
    """Also when it is packed; an empty one, one that cannot be unpacked and a pipe may be some."""
    for name, data in (("x", b"Subject: x\n\ny\n"), ("x.gz", gzip.compress(b"Subject: x\n\ny\n"))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(Usage, match="not an mbox"):
            require_mbox(tmp_path / name)
    good = (b"", b"\n", b"From x\n", b"\xef\xbb\xbfFrom x\n", gzip.compress(b"From x\n"), b"\x1f\x8b")
    for number, data in enumerate(good):
        (tmp_path / str(number)).write_bytes(data)
        require_mbox(tmp_path / str(number))
    os.mkfifo(tmp_path / "pipe")
    require_mbox(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("places", "refused"),
    [
        (["ann/Maildir", "bob/Maildir"], True),
        (["example.org/bob/Maildir", "example.org/bob/Maildir/.Sent"], True),
        (["Maildir"], False),
        (["Lists/Python", "Work"], False),
        (["ann/Maildir", "Work"], False),
        (["INBOX/Maildir", "Work/Maildir"], False),
        (["", "ann/Maildir"], False),
    ],
)
def test_maildirs_of_several_accounts_are_not_taken_for_one(
    tmp_path: Path, places: list[str], refused: bool
) -> None:
    """Unless there is a folder beside them: nested ones may have no INBOX of their own."""
    for place in places:
        make(tmp_path / place)
    if refused:
        with pytest.raises(Usage, match="--accounts-from"):
            require_maildir(tmp_path)
    else:
        require_maildir(tmp_path)


@pytest.mark.parametrize(
    ("places", "told"),
    [
        (["5592aa2cafde086b8507000083ecc375", "6d88c926afde086b7f07000083ecc375"], 1),
        (["INBOX/.mail", "Lists/Py/.mail"], 1),
        (["INBOX/mAildir", "Work/mAildir"], 1),
        (["", "Lists/Py/.mail"], 1),  # of Dovecot 2.4, where INBOX lies at the top
        (["", "2023/Done", "2024/Done"], 0),
        (["work/INBOX", "home/INBOX"], 0),
        (["", ".mail", "Lists/.mail"], 0),
        (["", ".Lists.Py", "5592aa2cafde086b8507000083ecc37"], 0),
        (["INBOX/Work", "Lists/Work", "INBOX"], 0),
        (["", "5592aa2cafde086b8507000083ecc375"], 0),
    ],
)
def test_names_that_only_dovecot_knows_are_told(tmp_path: Path, places: list[str], told: int) -> None:
    """`LAYOUT=index` and `DIRNAME`: the mail comes, and the note says how to have the names."""
    for place in places:
        make(tmp_path / place)
        (tmp_path / place / "dovecot-uidlist").touch()
    source = Maildir(tmp_path)
    assert len(list(source.folders())) == len(places)
    assert [one.reason.code for one in source.left()] == ["dovecot_names"] * told
    assert all("doveadm backup" in one.reason.why() for one in source.left())


def test_a_maildir_is_no_mbox(tmp_path: Path) -> None:
    """The error names the command that reads it."""
    make(tmp_path)
    with pytest.raises(Usage, match="import maildir"):
        require_mbox(tmp_path)
    require_maildir(tmp_path)
    require_maildir(tmp_path.parent)


def test_messages_of_an_export_keep_their_place(tmp_path: Path) -> None:
    """By the number in their names, whatever their dates say."""
    make(tmp_path, "cur/3.M0Q2.mairust,S=1:2,", "cur/9.M0Q1.mairust,S=1:2,", "cur/1.M0Q10.mairust,S=1:2,")
    (folder,) = Maildir(tmp_path).folders()
    assert [Path(one.path).name.partition("Q")[2][:2] for one in messages(folder)] == ["1.", "2.", "10"]
    assert ATTEMPTS > 1


@pytest.mark.parametrize(
    "name", ["cur/1:2,", "new/2", "dovecot-uidlist", "dovecot-keywords", "subscriptions"]
)
def test_trap_m2_a_pipe_is_named_and_not_waited_for(tmp_path: Path, name: str) -> None:
    """Whatever its name would make of it; the rest is there."""
    make(tmp_path, "cur/9.z")
    os.mkfifo(tmp_path / name)
    source = Maildir(tmp_path)
    refused, read = [], []
    for one in (one for folder in source.folders() for one in folder.messages()):
        try:
            if isinstance(one, Broken):
                raise Unusable(one.reason)
            assert isinstance(one, MaildirMessage)
            read.append(content(one))
        except Unusable as error:
            refused.append((one.path, error.reason.why()))
    assert source.subscribed() == ()
    ((path, why),) = refused
    assert path == str(tmp_path / name)
    assert "pipe" in why
    assert read == [b"cur/9.z"]


@pytest.mark.parametrize("name", ["cur/1:2,", "dovecot-keywords", "subscriptions"])
def test_a_link_to_a_file_is_told_and_not_followed(tmp_path: Path, name: str) -> None:
    """Who imports may read more than the owner of the Maildir."""
    secret = tmp_path / "secret"
    secret.write_text("0 secret\n")
    root = make(tmp_path / "Maildir", "cur/9.z:2,a")
    (root / name).symlink_to(secret)
    source = Maildir(root)
    found = [one for folder in source.folders() for one in folder.messages()]
    whys = [one.reason.why() for one in found if isinstance(one, Broken)]
    for one in found:
        if isinstance(one, MaildirMessage) and one.path.endswith("cur/1:2,"):
            with pytest.raises(Unusable) as caught:
                one.load()
            whys.append(caught.value.reason.why())
    assert len(whys) == 1
    assert "symbolic link" in whys[0]
    assert source.subscribed() == ()
    assert all("secret" not in one.flags() for one in found if isinstance(one, MaildirMessage))


def test_trap_m2_a_message_renamed_while_its_folder_is_listed_is_one(tmp_path: Path) -> None:
    """Both names were listed; two files of one name without flags are two, and so are two names of a file."""
    make(tmp_path, "new/1.a", "cur/2.b:2,", "cur/2.b:2,S", "cur/3.c")
    os.link(tmp_path / "new/1.a", tmp_path / "cur/1.a:2,S")
    os.link(tmp_path / "cur/3.c", tmp_path / "cur/4.d")
    (folder,) = Maildir(tmp_path).folders()
    found = sorted(one.path.rpartition("/")[2] for one in messages(folder))
    assert found == ["1.a:2,S", "2.b:2,", "2.b:2,S", "3.c", "4.d"]


def test_trap_m2_a_name_that_was_gone_when_it_was_looked_at_is_no_second_message() -> None:
    """The message is listed under its new name; one that is gone altogether is told."""
    gone = Entry(0, 0, "1.a", 0, 0, True)
    listed = Entry(0, 5, "1.a:2,S", 9, 77, False)
    other = Entry(0, 0, "2.b", 0, 0, True)
    assert _once([gone, listed, other]) == [listed, other]


@pytest.mark.parametrize("require", [require_maildir, require_mbox])
def test_a_path_that_cannot_be_reached_is_told_with_why(
    tmp_path: Path, require: Callable[[Path], None]
) -> None:
    """A name that no file system takes stands here for a directory that may not be searched: root may."""
    with pytest.raises(Usage, match="File name too long"):
        require(tmp_path / ("x" * 300) / "mail")
