"""The words of screens: the same in every language, and each one said somewhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mairust_core.i18n import LANGUAGES, say, screens
from mairust_core.model.finding import Level
from mairust_core.model.story import KINDS
from mairust_core.plugins.package.linting import LEVELS
from tests.support.docs import CHECKOUT

FORMED = {
    *(f"trace.kind.{kind}" for kind in KINDS),
    *(f"doctor.{level}" for level in Level),
    *(f"status.{part}" for part in (
        "site", "server", "mail", "content", "database", "blobs", "queues", "jobs", "hooks", "processes",
        "collection", "backup",
    )),
    *(f"progress.{work}" for work in ("backup", "verify", "prune_plan", "prune", "restore", "rehearse")),
    *(f"import.{reason}" for reason in (
        "known", "vanished", "changed", "unreadable", "not_mbox", "damaged", "stored_damaged", "renamed",
        "keyword", "keywords_left",
        "a_link", "a_directory_link", "a_directory", "no_file", "hidden_mbox", "hidden_maildir", "left_mbox",
        "left_mh", "length", "damaged_before", "damaged_mail", "bomb", "bomb_mail", "cut_off", "unfinished",
        "keywords_full",
        "dovecot_names", "not_shown", "encrypted", "packed_lz4",
    )),
    "trace.stored", "trace.appended", "status.backup_whole", "status.backup_damaged",
    *(f"review.{name}.{value}" for name, value in (
        ("read_headers", "true"), ("read_body", "preview"), ("read_body", "full"),
        ("read_attachments", "metadata"), ("read_attachments", "full"), ("write_tags", "true"),
        ("write_flags", "true"), ("move_message", "true"), ("write_metadata", "true"),
    )),
    *(f"review.{name}" for name in (
        "endpoint", "protocol", "network", "cpu_ms", "memory_mb", "wall_time_ms",
        "max_calls", "root", "developer",
    )),
    *(f"lint.{rule}" for rule in LEVELS),
    *(f"verify.{check}" for check in (
        "archive.passed", "manifest.passed", "developer.passed", "developer.open", "developer.absent",
        "revocations.passed", "marketplace.passed", "marketplace.open", "marketplace.absent",
        "license.passed", "license.open", "license.absent",
    )),
}  # fmt: skip
"""Keys that the code puts together."""


def _files(room: str) -> list[Path]:
    return sorted((CHECKOUT / room).rglob("*.py"))


def said() -> Iterator[str]:
    """Every key that the command line, and what it reads mail with, name to be said at once or later."""
    for path in (path for room in ("mairust_cli", "mairust_core/transfer") for path in _files(room)):
        text = path.read_text("utf-8")
        for node in ast.walk(ast.parse(text)) if "say(" in text or "Wording(" in text else ():
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"say", "Wording"}:
                for part in ast.walk(node.args[0]):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str) and "." in part.value:
                        yield part.value


@pytest.mark.parametrize("lang", LANGUAGES)
def test_all_languages_say_the_same(lang: str) -> None:
    """The same keys in the same order, each with the same values."""
    assert list(screens(lang)) == list(screens("en"))
    for key, text in screens(lang).items():
        assert text, key
        assert sorted(re.findall(r"{(\w+)", text)) == sorted(re.findall(r"{(\w+)", screens("en")[key])), key


def test_every_text_is_said_and_everything_said_has_a_text() -> None:
    """Nothing is left over, nothing is missing."""
    named = {key for key in said() if not key.endswith(".")} | FORMED
    assert named == set(screens("en"))


def test_a_value_that_is_missing_shows_itself() -> None:
    """As a question mark: a screen that is not drawn would be worse."""
    assert say("trace.mail", "en") == "Mail ?"
