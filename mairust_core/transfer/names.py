"""What a folder is called there and here.

Here a mailbox is named by its path with slashes, `Lists/Python`. Maildir++ writes `.Lists.Python`, a nested
Maildir `Lists/Python`; both in IMAP's modified UTF-7 (RFC 3501 §5.1.3), or in UTF-8 where a server was told
to. A dot inside of a name has no place in Maildir++: it is written `&AC4-`, which is read back. A name that
grows longer than file systems take is cut off and ends with a part of its hash; the whole one is written
beside (`RECORD`, or the list of an mbox), and holds where it leads to that place again.
"""

from __future__ import annotations

import binascii
import os
import re
import unicodedata
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from mairust_core.errors import Invalid
from mairust_core.model.mailbox import INBOX, MAX_NAME_OCTETS, SEPARATOR, fitting_name, mailbox_name

INSIDE = frozenset({"cur", "new", "tmp"})
"""The directories every Maildir has."""
RECORD = "mairust-mailbox"
"""The file in a folder of ours whose directory could not be called as its mailbox; holds that name."""
SUBSCRIBED = "subscriptions"
"""The list of subscriptions beside the mailboxes of an export, and of Dovecot's."""
UNFINISHED = "mairust-unfinished"
"""The file in the directory of an export that was broken off, or still goes on."""
MAX_FILE_OCTETS = 255
MAX_MBOX_OCTETS = MAX_FILE_OCTETS - len(".mbox.flags")
UNLIMITED = 1 << 20
_TAKEN = re.compile(rf"dovecot.*|courierimap.*|subscriptions|maildirfolder|{RECORD}|{UNFINISHED}")
"""Files that lie beside the folders of a nested Maildir, of ours and of other servers."""
_CUT_OFF = re.compile("~[0-9a-f]{8}")

_SHIFTED = re.compile(r"&([A-Za-z0-9+,]*)-")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LIKE_OURS = re.compile(r"\.(?=(?:mbox|mbx|sbd|flags)$)")
_OUTSIDE = re.compile("[^\x20-\x7e]+|&")


def decode_utf7(name: str) -> str:
    """The name behind modified UTF-7; what is none stays as it is."""
    try:
        return _SHIFTED.sub(lambda found: _unshift(found[1]), name)
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return name


def _unshift(text: str) -> str:
    if not text:
        return "&"
    return binascii.a2b_base64(text.replace(",", "/") + "=" * (-len(text) % 4)).decode("utf-16-be")


def encode_utf7(name: str) -> str:
    """The name in modified UTF-7."""
    return _OUTSIDE.sub(lambda found: _shift(found[0]), name)


def _shift(text: str) -> str:
    if text == "&":
        return "&-"
    packed = binascii.b2a_base64(text.encode("utf-16-be", "surrogatepass"), newline=False)
    return "&" + packed.decode().rstrip("=").replace("/", ",") + "-"


def decoded_part(file_name: str) -> str:
    """One level of a folder's path as it is called here: printable, without a slash."""
    return _UNPRINTABLE.sub("_", _decoded(file_name)).replace(SEPARATOR, "_").strip() or "_"


def called_part(file_name: str) -> str:
    """One level of a folder's path as it is called there; as its file is, where that cannot be kept here."""
    text = _decoded(file_name)
    return text if text == decoded_part(file_name) else file_name


def _decoded(file_name: str) -> str:
    raw = os.fsencode(file_name)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return decode_utf7(text)


def folder_mailbox(parts: Sequence[str]) -> str:
    """The mailbox that a folder with this path becomes, INBOX without one; `fitting_name` says how."""
    return fitting_name(SEPARATOR.join(parts)) if parts else INBOX


def listed_mailbox(levels: Sequence[str]) -> str:
    """The mailbox that a list of another server names by these levels."""
    return folder_mailbox([decoded_part(level) for level in levels if level])


def dovecot_subscriptions(lines: Sequence[str]) -> tuple[str, ...] | None:
    """The mailboxes of a list as Dovecot 2 writes it; None for another one."""
    if not lines[0].startswith("V\t"):
        return None
    return tuple(listed_mailbox(line.split("\t")) for line in lines[1:] if line)


def is_renamed(wished: str, mailbox: str) -> bool:
    """Whether a folder became a mailbox that people would not take for the one it should be."""
    return unicodedata.normalize("NFC", wished).casefold() != mailbox.casefold()


def plus_plus_levels(directory: str) -> tuple[str, ...]:
    """The path behind a Maildir++ directory such as `.Lists.Python`, not decoded, without empty levels."""
    return tuple(part for part in directory.removeprefix(".").split(".") if part)


def plus_plus_directory(mailbox: str, octets: int = MAX_FILE_OCTETS) -> str:
    """The Maildir++ directory of a mailbox, empty for INBOX, which is the Maildir itself."""
    return "" if mailbox == INBOX else _cut_off(mailbox, _plus_plus, octets)


def _plus_plus(mailbox: str) -> str:
    return "." + ".".join(encode_utf7(part).replace(".", "&AC4-") for part in mailbox.split(SEPARATOR))


def nested_directory(mailbox: str, octets: int = MAX_FILE_OCTETS) -> str:
    """The nested directory of a mailbox, empty for INBOX."""
    if mailbox == INBOX:
        return ""
    return SEPARATOR.join(_cut_off(part, _nested, octets) for part in mailbox.split(SEPARATOR))


def _cut_off(name: str, written: Callable[[str], str], octets: int) -> str:
    """A name as it is written, or as much of it as there is room for in front of a part of its hash."""
    whole = written(name)
    mark = "~" + sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    while len(os.fsencode(whole)) > octets:
        name = name[: min(len(name) - 1, octets)]
        whole = written(name.rstrip(f" {SEPARATOR}") + mark)
    return whole


def _may_be_cut_off(part: str) -> bool:
    """Whether a level of a path, without the ending of a file, ends as those that were cut off."""
    return _CUT_OFF.search(part, max(len(part) - 9, 0)) is not None


def whole_parts(
    parts: tuple[str, ...], record: Callable[[], str], leads_here: Callable[[str], bool]
) -> tuple[str, ...]:
    """The levels of a place themselves, or of one of ours that was cut off those of its mailbox.

    `record` reads what is written beside it; whoever called the place otherwise since is believed.
    """
    if any(map(_may_be_cut_off, parts)) and (mailbox := _own(record())) and leads_here(mailbox):
        return tuple(part.replace("&", "&-") for part in mailbox.split(SEPARATOR))
    return parts


def _own(text: str) -> str:
    """What is written beside a place where it can be a mailbox of ours; else nothing, whoever wrote it."""
    return text if len(text) <= MAX_NAME_OCTETS and fitting_name(text) == text else ""


def is_shown(mailbox: str, directory: str) -> bool:
    """Whether servers call the folder in this directory, of either layout, as it is called here."""
    plain = list(map(encode_utf7, mailbox.split(SEPARATOR)))
    return not directory or directory in {SEPARATOR.join(plain), "." + ".".join(plain)}


def _nested(part: str) -> str:
    """One level, which must not hide, lead upwards, or be taken for the inside of a Maildir."""
    name = encode_utf7(part)
    if name.startswith(".") or name in INSIDE or _TAKEN.fullmatch(name):
        return _shift(name[0]) + name[1:]
    return name or "_"


def file_parts(mailbox: str, octets: int = MAX_MBOX_OCTETS) -> list[str]:
    """The levels of a mailbox as names of files, in UTF-8; `decoded_part` reads them back.

    None is called like a file that lies beside a directory of that name, or ends as such files do; none makes
    the export look like a Maildir.
    """
    return [_cut_off(part, _file_part, octets) for part in mailbox.split(SEPARATOR)]


def mbox_path(root: Path, mailbox: str, octets: int = MAX_MBOX_OCTETS) -> Path:
    """The file of a mailbox below a directory: `Lists/Python.mbox`."""
    parts = file_parts(mailbox, octets)
    return root.joinpath(*parts[:-1], parts[-1] + ".mbox")


def _file_part(part: str) -> str:
    part = part.replace("&", "&-") or "_"
    if part.startswith(".") or part in {SUBSCRIBED, UNFINISHED, *INSIDE}:
        part = _shift(part[0]) + part[1:]
    return _LIKE_OURS.sub(lambda found: _shift(found[0]), part)


class Names:
    """Names given so far: no two mailboxes share one, however alike they are called."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def free(self, name: str) -> str:
        """The name itself, or one like it that was not given yet."""
        while name in self._given:
            name += "_"
        self._given.add(name)
        return name


class Mapping:
    """Where folders go: renamed by `OLD=NEW`, with all below them, and put below a prefix.

    With a `mailbox` INBOX becomes that one, and all other folders lie below it. Raises `Invalid` for what is
    no such rule.
    """

    def __init__(self, rules: Sequence[str] = (), prefix: str = "", *, mailbox: str = "") -> None:
        self._rules: dict[str, str] = {}
        self._prefix = mailbox_name("prefix", prefix.strip(SEPARATOR)) if prefix.strip(SEPARATOR) else ""
        self._inbox = mailbox
        for rule in rules:
            old, equals, new = rule.partition("=")
            if not equals or not old.strip(SEPARATOR) or not new.strip(SEPARATOR):
                raise Invalid("map", "not_mapping", value=repr(rule[:80]))
            self._rules[folder_mailbox([old.strip(SEPARATOR)])] = mailbox_name("map", new.strip(SEPARATOR))

    def __call__(self, mailbox: str) -> str:
        """The target of a mailbox; of several rules the one that names more of its path holds."""
        for end in _ends(mailbox):
            if (new := self._rules.get(mailbox[:end])) is not None:
                return folder_mailbox([self._placed(new + mailbox[end:])])
        return folder_mailbox([self._placed(mailbox)])

    def wished(self, called: str, mailbox: str) -> str:
        """What a folder would be called were every name possible: by the same rule, in the same place."""
        wished = called
        for end in _ends(mailbox):
            if (new := self._rules.get(mailbox[:end])) is not None:
                levels = called.split(SEPARATOR)[mailbox.count(SEPARATOR, 0, end) + 1 :]
                wished = new if end == len(mailbox) else SEPARATOR.join((new, *levels))
                break
        return self._placed(wished)

    def _placed(self, name: str) -> str:
        below = "" if self._inbox and name == INBOX else name
        return SEPARATOR.join(filter(None, (self._prefix, self._inbox, below)))


def _ends(mailbox: str) -> list[int]:
    slashes = [at for at, character in enumerate(mailbox) if character == SEPARATOR]
    return [len(mailbox), *reversed(slashes)]
