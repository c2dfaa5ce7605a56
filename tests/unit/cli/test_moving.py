"""What the report of an import knows of what it was told."""

from __future__ import annotations

import errno
import io
import os

import pytest

from mairust_cli.moving import Report
from mairust_cli.output import Output
from mairust_core.errors import Usage
from mairust_core.i18n import Wording
from mairust_core.transfer.opening import unreadable
from mairust_core.transfer.source import Fate, Reason, SystemWords
from mairust_core.transfer.telling import Told


def system(number: int, words: str = "") -> OSError:
    """An error of the system's, in its own words or in those of another language."""
    return OSError(number, words or os.strerror(number))


def shut(number: int) -> Usage:
    """A source that looks like nothing, for it may not be looked into."""
    looks = Wording("looks.unreadable_file", why=SystemWords.of(system(number)))
    return Usage("not_mbox", path="/home/ann/mbox", looks=looks)


@pytest.mark.parametrize(
    ("reason", "denied"),
    [
        (unreadable(system(errno.EACCES)), True),
        (unreadable(system(errno.EPERM)), True),
        (unreadable(system(errno.EACCES, "許可がありません")), True),
        (Reason.refused(shut(errno.EACCES)), True),
        (unreadable(system(errno.EIO)), False),
        (Reason.refused(shut(errno.EIO)), False),
        (Reason.of("damaged", key="stored_damaged", why="permission denied"), False),
        (Reason.of("unreadable", key="a_link"), False),
        (Reason.refused(Usage("not_maildir", path="/mail/Permission denied", looks="")), False),
    ],
)
@pytest.mark.parametrize("lang", ["en", "ja"])
def test_a_report_knows_what_was_denied_by_the_error_and_not_by_its_text(
    reason: Reason, denied: bool, lang: str
) -> None:
    """In every language; a path that is called so denies nothing."""
    report = Report(output=Output(stdout=io.StringIO(), stderr=io.StringIO(), env={}, lang=lang))
    report.tell(Told(path="x", mailbox="INBOX", outcome=Fate.FAILED, reason=reason))
    assert report.denied is denied


def test_only_what_failed_counts_as_denied() -> None:
    """What was left alone needs no rights."""
    report = Report(output=Output(stdout=io.StringIO(), stderr=io.StringIO(), env={}))
    report.tell(Told(path="x", mailbox="", outcome=Fate.LEFT, reason=unreadable(system(errno.EACCES))))
    assert not report.denied
