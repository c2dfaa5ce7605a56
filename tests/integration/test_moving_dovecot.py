"""What Dovecot itself wrote comes in, and what goes out Dovecot itself reads (traps M2, M3)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from mairust_core.errors import Usage
from mairust_core.model.copies import Folders
from mairust_core.transfer.exporting import ExportRun
from mairust_core.transfer.looks import require_maildir, require_mbox
from mairust_core.transfer.maildir.messages import MaildirMessage
from mairust_core.transfer.maildir.tree import Maildir
from mairust_core.transfer.maildir.writing import Layout, MaildirWriter
from mairust_core.transfer.mbox.box import MboxMessage
from mairust_core.transfer.mbox.tree import Mboxes
from mairust_core.transfer.source import Aside, Fate, Unusable
from mairust_core.transfer.telling import Told
from tests.support.dovecot import Dovecot, dovecot, packing
from tests.unit.transfer.test_exporting import START, Row, items
from tests.unit.transfer.test_maildir import content

AS_SLASH = ("-o", "namespace/inbox/separator=/")
MAIL = b"Subject: packed\n\n" + b"The same line again.\n" * 40


@pytest.fixture
def there() -> Iterator[Dovecot]:
    """A Dovecot."""
    with dovecot() as found:
        yield found


def mails(root: Path) -> list[MaildirMessage]:
    """Every message of a Maildir, none of them broken."""
    found = []
    for folder in Maildir(root).folders():
        for one in folder.messages():
            assert isinstance(one, MaildirMessage), one
            found.append(one)
    return found


def by_mbox(there: Dovecot, settings: str = "") -> list[MboxMessage]:
    """The one Maildir's INBOX as the how-to brings it by an mbox."""
    mbox, settings = there.directory / "mbox", f"{settings}\nnamespace inbox {{\n inbox = yes\n}}"
    there.backup("maildir:~/mail", f"mbox:{mbox}:INBOX={mbox}/INBOX", *AS_SLASH, settings=settings)
    (box,) = Mboxes(str(mbox)).folders()
    return [one for one in box.messages() if isinstance(one, MboxMessage)]


@pytest.mark.parametrize("kind", ["gz", "bz2", "zstd", "lz4"])
def test_trap_m2_what_dovecot_packed_is_unpacked(there: Dovecot, kind: str) -> None:
    """As `zlib_save` has it; LZ4 is told."""
    there.save("maildir:~/mail", "INBOX", MAIL, settings=packing(kind))
    (message,) = mails(there.directory / "mail")
    assert Path(message.path).read_bytes() != MAIL
    if kind == "lz4":
        with pytest.raises(Unusable, match="packed_lz4"):
            content(message)
        _, plain = by_mbox(there, packing(kind))
        assert content(plain).partition(b"\n\n")[2] == MAIL.partition(b"\n\n")[2]
    else:
        assert content(message) == MAIL


@pytest.mark.parametrize("kind", ["mdbox", "sdbox"])
def test_a_dbox_comes_in_by_way_of_a_maildir(there: Dovecot, kind: str) -> None:
    """It is named where somebody tries it, and the way that the error names works."""
    dbox = there.directory / "dbox"
    for mailbox in ("INBOX", "Lists/Py\u00e9"):
        there.save(f"{kind}:~/dbox", mailbox, MAIL)
    for require in (require_maildir, require_mbox):
        with pytest.raises(Usage, match="maildir:DIRECTORY:LAYOUT=fs"):
            require(dbox)
    there.backup(f"{kind}:~/dbox", f"maildir:{there.directory}/plain:LAYOUT=fs")
    found = {
        folder.mailbox: list(folder.messages()) for folder in Maildir(there.directory / "plain").folders()
    }
    assert found.pop("Lists", []) == []  # which Dovecot 2.4 makes a mailbox, too
    assert {name: len(messages) for name, messages in found.items()} == {"INBOX": 1, "Lists/Py\u00e9": 1}
    assert [content(one) for one in mails(there.directory / "plain")] == [MAIL, MAIL]


def test_trap_m2_keywords_that_dovecot_keeps_in_its_index_come_by_an_mbox(there: Dovecot) -> None:
    """A Maildir with more of them than letters says so, and the way that the how-to shows brings all."""
    there.save("maildir:~/mail", "INBOX", MAIL)
    keywords = {f"kw{number}" for number in range(30)}
    there.run("maildir:~/mail", "flags", "add", " ".join(keywords), "mailbox", "INBOX", "1")
    (folder,) = Maildir(there.directory / "mail").folders()
    assert [one.reason.code for one in folder.messages() if isinstance(one, Aside)] == ["keywords_full"]
    assert any(keywords <= set(one.flags()) for one in by_mbox(there))


@pytest.mark.parametrize(("layout", "options"), [(Layout.PLUS_PLUS, ""), (Layout.NESTED, ":LAYOUT=fs")])
def test_trap_m3_dovecot_keeps_the_order_of_an_export(there: Dovecot, layout: Layout, options: str) -> None:
    """Later ones need not be younger; what comes afterwards stands behind them."""
    root = there.directory / "mail"
    root.mkdir()
    rows: list[Row] = [
        (name, b"Subject: %d\n\nx\n" % number, (), START - timedelta(days=7 * number % 5))
        for name in ("INBOX", "Lists/Python")
        for number in range(10)
    ]
    run = ExportRun(root, MaildirWriter(root, layout), tell=lambda _: None, progress=lambda _: None)
    run.run(Folders(mailboxes=("INBOX", "Lists/Python", "Empty"), subscribed=()), items(rows))
    location = f"maildir:~/mail{options}"
    there.save(location, "INBOX", MAIL)
    separator = "/" if options else "."
    for mailbox, more in (("INBOX", ["packed"]), (f"Lists{separator}Python", []), ("Empty", [])):
        found = there.fetch(location, "uid", "hdr.subject", mailbox=mailbox)
        wanted = [] if mailbox == "Empty" else [str(number) for number in range(10)]
        assert [one["hdr.subject"] for one in found] == [*wanted, *more]
        assert [int(one["uid"]) for one in found] == list(range(1, len(found) + 1))


@pytest.mark.parametrize("options", [":LAYOUT=index", ":LAYOUT=fs:DIRNAME=.mail"])
def test_folders_that_only_dovecot_can_name_are_told(there: Dovecot, options: str) -> None:
    """Their mail comes; `doveadm backup` gives the names."""
    inbox = "namespace inbox {\n inbox = yes\n separator = /\n}"
    there.run(f"maildir:~/mail{options}", "mailbox", "create", "Lists/Python", settings=inbox)
    for mailbox in ("INBOX", "Lists/Python"):
        there.run(f"maildir:~/mail{options}", "save", "-m", mailbox, stdin=MAIL, settings=inbox)
    source = Maildir(there.directory / "mail")
    assert len(list(source.folders())) == 2
    assert [one.reason.code for one in source.left()] == ["dovecot_names"]
    plain, inbox = f"maildir:{there.directory}/plain:LAYOUT=fs", "namespace inbox {\n inbox = yes\n}"
    there.backup(f"maildir:~/mail{options}", plain, *AS_SLASH, settings=inbox)
    named = Maildir(there.directory / "plain")
    assert {one.mailbox for one in named.folders()} - {"Lists"} == {"INBOX", "Lists/Python"}
    assert named.left() == ()


@pytest.mark.parametrize(
    ("layout", "options", "hidden"),
    [(Layout.PLUS_PLUS, "", "dot.name"), (Layout.NESTED, ":LAYOUT=fs", "Lists/new/x")],
)
def test_a_folder_that_dovecot_does_not_show_is_told(
    there: Dovecot, layout: Layout, options: str, hidden: str
) -> None:
    """Those are told, and no others."""
    root = there.directory / "mail"
    root.mkdir()
    told: list[Told] = []
    names = ("INBOX", "Lists/Python", "Pyth\u00f6n & co", hidden)
    run = ExportRun(root, MaildirWriter(root, layout), tell=told.append, progress=lambda _: None)
    run.run(Folders(mailboxes=names, subscribed=()), iter(()))
    assert [(one.mailbox, one.outcome, one.reason.code) for one in told] == [
        (hidden, Fate.CHANGED, "not_shown")
    ]
    shown = {
        name.replace("." if not options else "/", "/") for name in there.mailboxes(f"maildir:~/mail{options}")
    }
    assert set(names) - shown == {hidden}


@pytest.mark.parametrize(("layout", "options"), [(Layout.PLUS_PLUS, ""), (Layout.NESTED, ":LAYOUT=fs")])
def test_a_folder_whose_name_was_cut_off_is_shown_by_dovecot(
    there: Dovecot, layout: Layout, options: str
) -> None:
    """Under what is left of it, with its mail."""
    root = there.directory / "mail"
    root.mkdir()
    told: list[Told] = []
    name = "\u00e9" * 127
    rows: list[Row] = [(name, MAIL, (), START)]
    run = ExportRun(root, MaildirWriter(root, layout), tell=told.append, progress=lambda _: None)
    run.run(Folders(mailboxes=("INBOX", name), subscribed=()), items(rows))
    assert [(one.mailbox, one.reason.code) for one in told] == [(name, "cut_off")]
    (shown,) = {one for one in there.mailboxes(f"maildir:~/mail{options}") if one != "INBOX"}
    assert shown.startswith("\u00e9" * 50)
    found = there.fetch(f"maildir:~/mail{options}", "hdr.subject", mailbox=shown)
    assert [one["hdr.subject"] for one in found] == ["packed"]


KILLED = """
import os, sys
from pathlib import Path
from mairust_core.model.copies import Folders
from mairust_core.transfer.exporting import ExportRun
from mairust_core.transfer.maildir.writing import MaildirWriter
from tests.unit.transfer.test_exporting import START, items

root = Path(sys.argv[1])
rows = [("INBOX", b"Subject: %d\\n\\nx\\n" % number, ("kw",), START) for number in range(900)]
run = ExportRun(root, MaildirWriter(root), tell=print, progress=lambda now: now.done == 700 and os._exit(9))
run.run(Folders(mailboxes=("INBOX", "Sent"), subscribed=()), items(rows))
"""


def test_dovecot_reads_what_a_killed_export_left(there: Dovecot) -> None:
    """Every message that was written, once."""
    root = there.directory / "mail"
    root.mkdir()
    done = subprocess.run([sys.executable, "-c", KILLED, str(root)], check=False, cwd=Path.cwd())
    assert done.returncode == 9
    found = there.fetch("maildir:~/mail", "hdr.subject", mailbox="INBOX")
    assert sorted(int(one["hdr.subject"]) for one in found) == list(range(700))
    assert there.mailboxes("maildir:~/mail") == ["INBOX"]
    there.save("maildir:~/mail", "INBOX", MAIL)
    assert len(there.fetch("maildir:~/mail", "uid", mailbox="INBOX")) == 701


FIELDS = ("mailbox", "uid", "flags", "hdr.subject", "date.received.unixtime", "size.physical")


def held(there: Dovecot, location: str) -> list[tuple[str, ...]]:
    """What Dovecot has, by mailbox and UID; flags in no order, without the one that each session gives."""
    found: list[dict[str, str]] = []
    for mailbox in there.mailboxes(location):
        found += sorted(there.fetch(location, *FIELDS, mailbox=mailbox), key=lambda one: int(one["uid"]))
    for one in found:
        one["flags"] = " ".join(sorted(set(one["flags"].split()) - {"\\Recent"}))
        one["uid"] = ""  # given anew
    return sorted((tuple(one.values()) for one in found), key=lambda one: one[0])


@pytest.mark.parametrize("kind", ["sdbox", "mdbox", "maildir"])
@pytest.mark.parametrize(("layout", "options"), [(Layout.PLUS_PLUS, ""), (Layout.NESTED, ":LAYOUT=fs")])
def test_trap_m3_what_dovecot_has_comes_back_to_it_as_it_was(
    there: Dovecot, kind: str, layout: Layout, options: str
) -> None:
    """Out of its store, in, and out: mailboxes, order, flags, keywords, dates, sizes, subscriptions."""
    store = f"{kind}:~/store" + (":LAYOUT=fs" if kind == "maildir" else "")
    names = ("INBOX", "Lists", "Lists/Python", "\u00c9t\u00e9 & co", "\u53d7\u4fe1\u7bb1/\u4ed5\u4e8b")
    for number, mailbox in enumerate(names * 3):
        there.save(store, mailbox, b"Subject: %d\n\nFrom me\n>From you\n" % number)
    words = r"\Seen \Flagged $Forwarded $label1 work", r"\Answered \Draft", r"\Deleted NonJunk"
    for mailbox, flags in zip(("INBOX", "Lists/Python", names[3]), words, strict=True):
        there.run(store, "flags", "add", flags, "mailbox", mailbox, "uid", "2")
    there.run(store, "move", "Lists", "mailbox", "INBOX", "uid", "1")
    there.run(store, "mailbox", "subscribe", "INBOX", "Lists/Python")
    root = there.directory / "store"
    for number, path in enumerate(sorted((*root.glob("**/cur/*"), *root.glob("**/new/*")))):
        os.utime(path, (10**9 + number * 86_401,) * 2)
    for path in root.glob("**/dovecot.index*") if kind == "maildir" else ():
        path.unlink()
    if kind != "maildir":
        root = there.directory / "plain"
        there.backup(store, f"maildir:{root}:LAYOUT=fs")
    source = Maildir(root)
    rows: list[Row] = []
    for folder in source.folders():
        for one in folder.messages():
            assert isinstance(one, MaildirMessage)
            rows.append((folder.mailbox, content(one), one.flags(), one.received_at()))
    folders = Folders(mailboxes=names, subscribed=source.subscribed())
    (there.directory / "out").mkdir()
    writer = MaildirWriter(there.directory / "out", layout)
    run = ExportRun(there.directory / "out", writer, tell=lambda _: None, progress=lambda _: None)
    run.run(folders, items(sorted(rows, key=lambda row: names.index(row[0]))))
    out = f"maildir:~/out{options}"
    separator = "/" if options else "."
    assert [(one[0].replace(separator, "/"), *one[1:]) for one in held(there, out)] == held(there, store)
    subscribed = there.run(out, "mailbox", "list", "-s").decode().replace(separator, "/").split()
    assert sorted(subscribed) == ["INBOX", "Lists/Python"]
