"""What lies beside the messages of a Maildir: keywords and UIDs, as Dovecot and Courier write them.

Every file here may be missing, old or damaged: what cannot be understood says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mairust_core.model.mailbox import SEPARATOR
from mairust_core.transfer.names import RECORD, SUBSCRIBED, dovecot_subscriptions, listed_mailbox
from mairust_core.transfer.opening import open_plain
from mairust_core.transfer.source import Unusable

LETTER_FLAGS = {
    "S": "\\Seen", "R": "\\Answered", "F": "\\Flagged", "T": "\\Deleted", "D": "\\Draft", "P": "$Forwarded",
}  # fmt: skip
"""The letters of a file name's info (https://cr.yp.to/proto/maildir.html); P is IMAP's $Forwarded."""
DOVECOT_KEYWORDS = "dovecot-keywords"
DOVECOT_UIDS = "dovecot-uidlist"
COURIER_KEYWORDS = "courierimapkeywords"
SUBSCRIPTIONS = (SUBSCRIBED, "courierimapsubscribed")
BESIDE = (DOVECOT_KEYWORDS, DOVECOT_UIDS)
"""The files that each folder may have."""
LETTERS = 26
"""So many keywords of a folder Dovecot writes into names of files."""
MAX_FILE_BYTES = 256 << 20
MAX_RECORD_BYTES = 4 << 10

_INFO = re.compile(r"[:;!]2,([A-Za-z]*)")
_SIZE = re.compile(r",S=(\d{1,15})(?=,|$)")


def split_name(name: str) -> tuple[str, str]:
    """The part of a file name that stays, and the letters of its info; `;` and `!` where `:` cannot be."""
    found = _INFO.search(name)
    return (name, "") if found is None else (name[: found.start()], found[1])


def told_size(base: str) -> int | None:
    """How long the mail is by the name of its file (`,S=123`), whatever became of the file since."""
    found = _SIZE.search(base)
    return None if found is None else int(found[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Keywords:
    """The keywords of one folder: by letter as Dovecot has them, by file name as Courier has them."""

    by_letter: Mapping[str, str] = field(default_factory=dict)
    by_name: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    full: bool = False
    """Whether Dovecot had no letter left, and may have kept more of them in its index, which is not read."""

    def flags(self, base: str, letters: str) -> tuple[str, ...]:
        """System flags and keywords of a message."""
        flags = dict.fromkeys(LETTER_FLAGS[one] for one in letters if one in LETTER_FLAGS)
        flags |= dict.fromkeys(self.by_letter[one] for one in letters if one in self.by_letter)
        flags |= dict.fromkeys(self.by_name.get(base, ()))
        return tuple(flags)


def read_keywords(directory: Path) -> Keywords:
    """The keywords of the folder in a directory."""
    by_letter = _dovecot_keywords(directory / DOVECOT_KEYWORDS)
    return Keywords(
        by_letter=by_letter,
        by_name=_courier_keywords(directory / COURIER_KEYWORDS),
        full=len(by_letter) == LETTERS and not (directory / COURIER_KEYWORDS).exists(),
    )


def _dovecot_keywords(path: Path) -> dict[str, str]:
    """`0 work`: the number of the letter, and the keyword."""
    found = {}
    for line in _lines(path):
        number, _, keyword = line.partition(" ")
        if _is_number(number) and int(number) < LETTERS and keyword:
            found[chr(ord("a") + int(number))] = keyword
    return found


def _courier_keywords(directory: Path) -> dict[str, tuple[str, ...]]:
    """`:list`: keywords line by line, an empty line, then `NAME:0 2` for each message that has some.

    A file of its own, named like the message, is newer than the list.
    """
    lines = iter(_lines(directory / ":list"))
    names = []
    for line in lines:
        if not line:
            break
        names.append(line)
    found = {}
    for line in lines:
        name, _, numbers = line.rpartition(":")
        picked = (names[int(one)] for one in numbers.split() if _is_number(one) and int(one) < len(names))
        found[name] = tuple(picked)
    try:
        newer = sorted(one.name for one in directory.iterdir() if not one.name.startswith((":", ".")))
    except OSError:
        newer = []
    for name in newer:
        found[name] = tuple(filter(None, _lines(directory / name)))
    return found


def read_uids(directory: Path) -> dict[str, int]:
    """The UID of each file name, as far as Dovecot wrote them down (uidlist versions 1 and 3)."""
    lines = iter(_lines(directory / DOVECOT_UIDS))
    version = next(lines, "")[:1]
    found = {}
    for line in lines:
        uid, _, rest = line.partition(" ")
        name = rest.partition(":")[2] if version == "3" else rest
        if _is_number(uid) and name:
            found[split_name(name)[0]] = int(uid)
    return found


def read_subscriptions(root: Path) -> tuple[str, ...]:
    """The mailboxes that the Maildir's owner subscribed to, of whichever server's file is there.

    Dovecot 2 heads its file with `V\\t2` and parts levels by tabs, earlier ones wrote the name with dots;
    Courier begins each with `INBOX.`.
    """
    for name in SUBSCRIPTIONS:
        lines = _lines(root / name)
        if not lines:
            continue
        if (found := dovecot_subscriptions(lines)) is not None:
            return found
        if name.startswith("courier"):
            lines = [line.removeprefix("INBOX.") for line in lines]
        separator = SEPARATOR if any(SEPARATOR in line for line in lines) else "."
        return tuple(listed_mailbox(line.split(separator)) for line in lines if line)
    return ()


def read_record(directory: Path) -> str:
    """The mailbox of a folder whose directory could not be called so; else nothing."""
    return next(iter(_lines(directory / RECORD, MAX_RECORD_BYTES)), "")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


def _lines(path: Path, most_bytes: int = MAX_FILE_BYTES) -> list[str]:
    try:
        with open_plain(path) as file:
            data = file.read(most_bytes)
    except (OSError, Unusable):  # an import names what is no file
        return []
    return data.decode("utf-8", "surrogateescape").replace("\r\n", "\n").rstrip("\n").split("\n")
