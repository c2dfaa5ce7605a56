"""Archives that others made: each imports, to the octet, as an independent reader finds it (corpora)."""

from __future__ import annotations

import csv
import json
import mailbox
import os
import re
import shutil
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mairust_core.services.accounts import Accounts
from mairust_core.services.exporting import Exports
from mairust_core.transfer.mbox.tree import Mboxes
from tests.support.dovecot import Dovecot, dovecot
from tests.support.server import TESTER, Site, addresses, make_site

ADDRESS, OTHER = addresses(2)
NO_MAILDIR = {"email-folder-mh": "an MH folder"}
"""Archives that hold none, and what they look like."""
"""Dovecot reads no mail as root."""
PACKED = 4
LEFT_ALONE = 3
"""Two that do not begin like an mbox, and an empty one without a name that says so."""
SPLIT_OTHERWISE = {
    "bsfilter/mbox_cr": "CR alone ends its lines, `mailbox` sees one",
    "email-folder/testmbox.mac": "the same",
    "derived/threads.mboxcl2": "undisguised `From ` lines; its Content-Length holds",
    "email-folder/mboxcl2": "the same",
    "email-folder/mboxcl2.lies": "a `From ` line of a text, without date and header",
    "mimekit/content-length.mbox.txt": "the same; its Content-Length holds",
    "mimekit/unmunged.mbox.txt": "the same; and it begins with a byte order mark",
    "r-lists/r-package-devel-2023q1.mbox": "header fields quoted in a text, a sender's name behind `From `",
}


@pytest.fixture(scope="session")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archives, unpacked; skips without them."""
    found = os.environ.get("MAIRUST_CORPORA")
    if not found:
        pytest.skip("MAIRUST_CORPORA is not set: no real mail")
    root = tmp_path_factory.mktemp("corpora")
    for name in ("maildir", "mbox"):
        for archive in sorted((Path(found) / name).glob("*.tar.xz")):
            with tarfile.open(archive) as packed:
                packed.extraction_filter = lambda member, _: member  # not all 3.11 know `filter=`
                packed.extractall(root / name if name == "maildir" else root)
    shutil.copy(Path(found) / "maildir" / "dovecot-maildirpp.expected.tsv", root)
    return root


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site with two accounts."""
    return make_site(tmp_path / "site", accounts=2)


def run(site: Site, *arguments: object, code: int = 0) -> dict[str, int]:
    """What a command of moving says."""
    done = site.command(*arguments, "--json")
    assert done.returncode == code, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found


def exported(site: Site, address: str = ADDRESS) -> Iterator[tuple[str, bytes, tuple[str, ...]]]:
    """Mailbox, bytes and flags of everything."""
    with site.opened() as here:
        for item in here.service(Exports, TESTER).messages(address).items:
            yield item.value.mailbox, b"".join(item.content.chunks), item.value.flags


def maildirs_below(root: Path) -> Iterator[Path]:
    """Every directory that is a Maildir to Python, by its `cur` or `new`."""
    for directory, below, _ in os.walk(root):
        if {"cur", "new"} & set(below):
            yield Path(directory)


def independent(root: Path) -> Counter[bytes]:
    """Every message file of a tree of Maildirs, found without our code."""
    found: Counter[bytes] = Counter()
    for maildir in maildirs_below(root):
        for part in ("cur", "new"):
            if (maildir / part).is_dir():
                files = (one for one in (maildir / part).iterdir() if not one.name.startswith("."))
                found.update(one.read_bytes() for one in files if one.is_file())
    return found


def archives(root: Path) -> list[Path]:
    """The directories of the Maildir corpus."""
    return sorted(path for path in (root / "maildir").iterdir() if path.is_dir())


def test_every_maildir_imports_to_the_octet(corpora: Path, site: Site) -> None:
    """Each message of each archive, once; the second run adds nothing; what is none is told by its looks."""
    expected: Counter[bytes] = Counter()
    for archive in archives(corpora):
        if archive.name in NO_MAILDIR:
            refused = site.command("import", "maildir", archive, "--account", ADDRESS)
            assert refused.returncode == 2
            assert NO_MAILDIR[archive.name] in refused.stderr.decode()
            continue
        there = independent(archive)
        arguments = ("import", "maildir", archive, "--account", ADDRESS, "--prefix", archive.name)
        assert run(site, *arguments)["imported"] == there.total(), archive.name
        assert run(site, *arguments)["skipped"] == there.total(), archive.name
        expected += there
    assert Counter(data for _, data, _ in exported(site)) == expected
    assert expected.total() > 300


def test_a_maildir_of_dovecot_is_what_dovecot_says(corpora: Path, site: Site) -> None:
    """Mailbox, order, flags and keywords of every message, by its own listing."""
    run(site, "import", "maildir", corpora / "maildir" / "dovecot-maildirpp", "--account", ADDRESS)
    listing = (corpora / "dovecot-maildirpp.expected.tsv").read_text("utf-8")
    unfolded = listing.replace("\n <", "<").splitlines()
    rows = list(csv.DictReader(unfolded, delimiter="\t", quoting=csv.QUOTE_NONE))
    wanted: dict[str, list[tuple[str, frozenset[str]]]] = {}
    for row in sorted(rows, key=lambda row: int(row["uid"])):
        flags = frozenset(row["flags"].split()) - {"\\Recent"}
        wanted.setdefault(row["mailbox"], []).append((row["message_id"], flags))
    found: dict[str, list[tuple[str, frozenset[str]]]] = {name: [] for name in wanted}
    for name, data, own in exported(site):
        found[name].append((_message_id(data), frozenset(own)))  # in the order of their UIDs
    assert found == wanted


def _message_id(data: bytes) -> str:
    found = re.search(rb"(?im)^Message-ID:\s*(<[^>]*>)", data.replace(b"\r\n", b"\n").partition(b"\n\n")[0])
    return "" if found is None else found[1].decode()


def by_the_standard_library(path: str) -> list[bytes]:
    """The messages as Python's `mailbox` parts them."""
    box = mailbox.mbox(path, create=False)
    found = [box.get_bytes(key) for key in box.iterkeys()]
    box.close()
    return found


def same(ours: list[bytes], theirs: list[bytes]) -> bool:
    """Whether both read the same; the empty line of a CRLF file is part of a message to `mailbox`."""
    pairs = zip(ours, theirs, strict=False)
    return len(ours) == len(theirs) and all(other in (one, one + b"\r\n") for one, other in pairs)


def test_every_mbox_imports_to_the_octet(corpora: Path, site: Site, tmp_path: Path) -> None:
    """As the standard library reads it, with the exceptions named; the second run adds nothing."""
    plain = tmp_path / "mbox"
    shutil.copytree(corpora / "mbox", plain, ignore=shutil.ignore_patterns("*.gz", "*.bz2", "*.xz", "*.lz"))
    arguments = ("import", "mbox", plain, "--account", ADDRESS)
    done = run(site, *arguments)
    assert run(site, *arguments)["skipped"] == done["imported"]
    found: dict[str, list[bytes]] = {}
    for name, data, _ in exported(site):
        found.setdefault(name, []).append(data)
    folders = list(Mboxes(str(plain)).folders())
    differing = {
        os.path.relpath(one.path, plain)
        for one in folders
        if not same(found.get(one.mailbox, []), by_the_standard_library(one.path))
    }
    assert differing == SPLIT_OTHERWISE.keys()
    assert len(folders) == 78 - PACKED - LEFT_ALONE


def test_four_dialects_of_the_same_messages_give_the_same(corpora: Path, site: Site) -> None:
    """Apart from the lengths that two of them carry, and the quoting that mboxo cannot undo."""
    found = {}
    for dialect in ("mboxrd", "mboxcl2", "mboxcl", "mboxo"):
        path = corpora / "mbox" / "derived" / f"threads.{dialect}"
        run(site, "import", "mbox", path, "--account", ADDRESS, "--mailbox", dialect, "--dialect", dialect)
        with site.opened() as here:
            items = here.service(Exports, TESTER).messages(ADDRESS, mailbox=dialect).items
            bodies = [b"".join(item.content.chunks) for item in items]
        found[dialect] = [re.sub(rb"(?im)^Content-Length: \d+\n", b"", one, count=1) for one in bodies]
    assert len(found["mboxrd"]) == 120
    assert found["mboxrd"] == found["mboxcl2"]
    plain = [[re.sub(rb"(?m)^>*From ", b"From ", one) for one in found[name]] for name in found]
    assert plain[0] == plain[1] == plain[2] == plain[3]


def test_a_packed_mbox_is_the_same_mbox(corpora: Path, site: Site) -> None:
    """Five messages, however they are packed."""
    directory = corpora / "mbox" / "mbox-messageparser"
    plain = directory / "mailarc-2.txt"
    run(site, "import", "mbox", plain, "--account", ADDRESS)
    for suffix in (".gz", ".bz2", ".xz"):
        done = run(site, "import", "mbox", f"{plain}{suffix}", "--account", ADDRESS)
        assert (done["imported"], done["skipped"]) == (0, 5)


def test_the_corpus_of_maildirs_survives_the_way_out_and_in(
    corpora: Path, site: Site, tmp_path: Path
) -> None:
    """Export, import, export: the same tree, in both forms."""
    for archive in archives(corpora):
        if archive.name not in NO_MAILDIR:
            run(site, "import", "maildir", archive, "--account", ADDRESS, "--prefix", archive.name)
    with site.opened() as here:
        count = here.service(Accounts, TESTER).show(ADDRESS).messages
    assert run(site, "export", "maildir", tmp_path / "one", "--account", ADDRESS)["exported"] == count
    run(site, "import", "maildir", tmp_path / "one", "--account", OTHER)
    run(site, "export", "maildir", tmp_path / "two", "--account", OTHER)
    assert _tree(tmp_path / "one") == _tree(tmp_path / "two")
    assert Counter(exported(site, ADDRESS)) == Counter(exported(site, OTHER))
    read = Counter(independent(tmp_path / "one"))
    assert read.total() == count


def _tree(root: Path) -> dict[str, tuple[bytes, int]]:
    """Bytes of every file, and the times of messages."""
    files = (one for one in sorted(root.rglob("*")) if one.is_file())
    return {
        str(one.relative_to(root)): (one.read_bytes(), one.stat().st_mtime_ns * (one.parent.name == "cur"))
        for one in files
    }


@pytest.fixture
def there() -> Iterator[Dovecot]:
    """A Dovecot."""
    with dovecot() as found:
        yield found


@pytest.mark.parametrize(("layout", "options"), [("maildir++", ""), ("nested", ":LAYOUT=fs")])
def test_dovecot_reads_an_exported_maildir_as_it_is(
    corpora: Path, site: Site, there: Dovecot, layout: str, options: str
) -> None:
    """Every mailbox and message, flags, keywords, dates and sizes, by `doveadm fetch`."""
    run(site, "import", "maildir", corpora / "maildir" / "dovecot-maildirpp", "--account", ADDRESS)
    run(site, "export", "maildir", there.directory / "mail", "--account", ADDRESS, "--layout", layout)
    fields = ("mailbox", "flags", "date.received.unixtime", "size.physical")
    read = Counter(
        (
            row["mailbox"],
            frozenset(row["flags"].split()) - {"\\Recent"},
            row["date.received.unixtime"],
            row["size.physical"],
        )
        for row in there.fetch(f"maildir:~/mail{options}", *fields)
    )
    with site.opened() as here:
        items = [item.value for item in here.service(Exports, TESTER).messages(ADDRESS).items]
        sizes = [len(data) for _, data, _ in exported(site)]
    assert read == Counter(
        (
            one.mailbox.replace("/", "." if layout == "maildir++" else "/"),
            frozenset(one.flags),
            str(int(one.received_at.timestamp())),
            str(size),
        )
        for one, size in zip(items, sizes, strict=True)
    )
