"""R-I18N-1: under `--lang ja` what is English is data, or what somebody has to type."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.conftest import make_sources
from tests.support.answering import http_plugin
from tests.support.command_line import Run
from tests.support.linking import allow_unsigned, http_text, write

ANN = ("--account", "ann@example.org")
PLUGIN = "com.example.spam"
HOOK = f"{PLUGIN}:pre_receive"
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
_WORD = re.compile(r"[A-Za-z]{2,}")
_TYPED = re.compile(r"`[^`]*`|\bmps_\S+|--[a-z-]+|\bmairust(?: [a-z-]+)*|\b[A-Z_]{3,}\b|\b[a-z]+\.[a-z_]+\b")
"""What people type, names of settings and variables, and secrets, which are new each time."""
FIXED = {
    "error",
    "KiB",
    "MiB",
    "GiB",
    "Maildir",
    "mbox",
    "cur",
    "new",
    "From",
    "API",
    "UID",
    "IMAP",
    "RFC",
    "ID",
    "SQLite",
    "PostgreSQL",
    "MaiRust",
}


def english(text: str, data: str) -> set[str]:
    """The words of a text that are neither data nor to be typed."""
    return set(_WORD.findall(_TYPED.sub(" ", text))) - set(_WORD.findall(data)) - FIXED


@pytest.fixture
def small(run: Run, site: Path, tmp_path: Path, mail: Path) -> Iterator[dict[str, str]]:
    """A site with something of everything; its ids by noun."""
    make_sources(tmp_path)
    allow_unsigned(site)
    ids = {"path": str(tmp_path)}
    with http_plugin() as answering:
        link = write(tmp_path / "spam", http_text(PLUGIN, answering.port, "pre_receive"))
        for call in (
            ("plugin", "link", str(link)),
            ("plugin", "approve", PLUGIN, "--yes"),
            ("alias", "add", "sales@example.org", "--to", "ann@example.org"),
            ("account", "disable", "bob@example.org"),
            ("import", "maildir", str(tmp_path / "Maildir"), *ANN),
            ("backup", str(tmp_path / "backup")),
            ("hook", "test", HOOK, "--message", str(mail), "--to", "ann@example.org"),
            ("hook", "replay", HOOK, *ANN),
        ):
            assert run(*call).code == 0, call
        ids["message"] = run("message", "append", str(mail), *ANN, "--hooks", "--json").json["id"]
        assert run("message", "tag", ids["message"], "--add", "bill").code == 0
        token = run("token", "create", "--name", "t", "--scope", "read", "--json").json
        assert run("token", "revoke", token["id"], "--yes").code in {0, 2}
        yield ids


READING = [
    "domain list", "domain show example.org", "account list", "account show ann@example.org",
    "account accesses ann@example.org", "alias list", "alias show sales@example.org",
    "mailbox list --account ann@example.org", "message list --account ann@example.org",
    "message show {message}", "message accesses {message}", "search hello --account ann@example.org",
    "index status", "index rebuild", "backup list {path}/backup", "backup verify {path}/backup --read-data",
    "backup prune {path}/backup --keep-last 1 --dry-run", "restore {path}/backup --rehearse",
    "import maildir {path}/Maildir --account ann@example.org", "doctor", "status", "gc", "trace {message}",
    "hook list", f"hook show {HOOK}", f"hook log {HOOK}", "plugin list", f"plugin show {PLUGIN}",
    f"plugin token list {PLUGIN}", f"plugin logs {PLUGIN}", f"plugin accesses {PLUGIN}",
    f"plugin rotate-secret {PLUGIN}", f"hook replay {HOOK} --account ann@example.org", "trust list",
    "secrets status", "job list", "token list", "audit list --all", "config show", "config check",
    "db check", "db upgrade", "init",
]  # fmt: skip


def test_results_are_in_japanese(run: Run, small: dict[str, str]) -> None:
    """Every word of a result or a note that is not in the command's own document is Japanese."""
    left = {}
    for call in READING:
        arguments = call.format(**small).split()
        told = run(*arguments, "--lang", "ja")
        document = run(*arguments, "--lang", "ja", "--json").json
        assert told.code in {0, 1}, told.stderr
        data = f"{json.dumps(document, ensure_ascii=False)} {' '.join(arguments)}"
        left[call] = english(told.out + told.stderr, data)
    assert {call: words for call, words in left.items() if words} == {}


LOOKS = ("nothing", "an.mbox", "an.pst", "zip", "mh", "mboxes", "mails", "other", "Maildir")


@pytest.mark.parametrize("name", LOOKS)
def test_what_something_looks_like_is_said_in_japanese(
    run: Run, site: Path, tmp_path: Path, name: str
) -> None:
    """In the errors of both imports, whatever it is."""
    assert site.exists()
    make_sources(tmp_path)
    path = tmp_path / name
    files = {
        "an.mbox": b"From a\n", "an.pst": b"!BDN", "zip": b"PK\x03\x04", "other": b"x", "mh": {"1": b"x"},
        "mboxes": {"a": b"From a\n"}, "mails": {"a.eml": b"x"}, "nothing": {},
    }  # fmt: skip
    match files.get(name):
        case bytes(data):
            path.write_bytes(data)
        case dict(inside):
            path.mkdir()
            for one, data in inside.items():
                (path / one).write_bytes(data)
    said = [run("import", form, str(path), *ANN, "--lang", "ja").stderr for form in ("maildir", "mbox")]
    refused = [text for text in said if "ではありません" in text]
    assert refused
    for text in refused:
        assert JAPANESE.search(text.partition("（")[2].partition("のようです")[0]), text
        assert english(text, str(path)) <= {"Outlook", "pst", "zip", "MH"}


def test_the_way_out_of_a_dbox_is_said_in_japanese(run: Run, site: Path, tmp_path: Path) -> None:
    """By both imports."""
    assert site.exists()
    (tmp_path / "storage").mkdir()
    for form in ("maildir", "mbox"):
        told = run("import", form, str(tmp_path), *ANN, "--lang", "ja")
        assert (told.code, "dbox のようです" in told.stderr) == (2, True)
