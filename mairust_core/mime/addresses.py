"""Address fields (RFC 5322 §3.4, §4.4), in the four members that IMAP's ENVELOPE has.

The usual `Name <local@domain>` is taken by one regular expression; from the first mailbox that it does
not fit, a tolerant reader goes through the rest: comments, groups, routes, quotes that never end. Both
are linear, and what comes after MAX_ADDRESSES is not read.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mairust_core.mime.charsets import decode_text
from mairust_core.mime.encoded_words import decode_header, one_line
from mairust_core.model.content import Correspondent

MAX_ADDRESSES = 2000
"""How many mailboxes of one field are described."""
MAX_TEXT_BYTES = 1000
"""How much of one name, or of one address, is shown as text; the wire form holds it all."""
_MAX_TOKENS = 10 * MAX_ADDRESSES  # of what the usual form does not cover: then the rest is left


class Entry(NamedTuple):
    """An `address` of RFC 9051 §7.5.2: raw name, source route, unquoted local part, domain.

    `host` None marks a group: its start holds the group's name in `mailbox`, its end None.
    """

    name: bytes | None
    route: bytes | None
    mailbox: bytes | None
    host: bytes | None


GROUP_END = Entry(None, None, None, None)

_USUAL = re.compile(
    rb'\s*+(?:(?:"([^"\\\x00\n]*+)"|([^"(),:;<>@\\\[\]\x00\n]*+))\s*+<([^"(),:;<>@\\\s\x00]++)@([^"(),:;<>@\\\s\x00]++)>'
    rb'|([^"(),:;<>@\\\s\x00]++)@([^"(),:;<>@\\\s\x00]++))\s*+(?:,|\Z)'
)
_PLAIN_SPEC = re.compile(rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]++@[A-Za-z0-9.-]++")
_DOT_ATOM = re.compile(r"[^\s\x00-\x20\x7f\"(),:;<>@\[\\\]]+")


def parse_addresses(value: bytes) -> list[Entry]:
    """Parse an unfolded address field into entries; never raises, whatever it holds."""
    entries: list[Entry] = []
    at, end = 0, len(value)
    while at < end:
        found = _USUAL.match(value, at)
        if found is None:
            _Reader(entries).read(value, at)
            break
        quoted, phrase, local, domain, bare_local, bare_domain = found.groups()
        name = quoted or (phrase.rstrip() if phrase else None) or None
        entries.append(Entry(name, None, local or bare_local, domain or bare_domain))
        at = found.end()
        if len(entries) >= MAX_ADDRESSES:
            break
    return entries


def correspondents(entries: list[Entry], charset: str = "") -> tuple[Correspondent, ...]:
    """Return the mailboxes as text, groups flattened; raw octets of names may be in `charset`."""
    if not entries:
        return ()
    return tuple(
        [
            Correspondent(
                name=decode_header(entry.name[:MAX_TEXT_BYTES], charset) if entry.name else "",
                address=_address(entry),
            )
            for entry in entries
            if entry.host is not None
        ]
    )


def _address(entry: Entry) -> str:
    mailbox, host = (entry.mailbox or b"")[:MAX_TEXT_BYTES], (entry.host or b"")[:MAX_TEXT_BYTES]
    spec = mailbox + b"@" + host
    if _PLAIN_SPEC.fullmatch(spec):
        return spec.decode("ascii")
    local = one_line(decode_text(mailbox))
    if not host:
        return local
    if not _DOT_ATOM.fullmatch(local):
        quoted = local.replace("\\", "\\\\").replace('"', '\\"')
        local = f'"{quoted}"'
    return f"{local}@{one_line(decode_text(host))}"


# Without the quote or comment alternative, its opening character is only a separator: once one is found
# unclosed, no later one can be closed, and looking again and again would be quadratic.
_SPACE = rb"[\s\x00]++"
_ENCODED_WORD = rb"=\?[^?\s]++\?[bBqQ]\?[^?\s]*+\?="
_QUOTED = rb'"(?:[^"\\]++|\\.)*+"'
_ANGLE = rb"<[^<>]*+>?"
_ATOM = rb'(?:[^\s"(),:;<>\x00\\]++|\\.?)++'
_TOKEN = re.compile(b"|".join((_SPACE, _ENCODED_WORD, _QUOTED, _ANGLE, _ATOM, rb".")), re.DOTALL)
_TOKEN_NO_QUOTES = re.compile(b"|".join((_SPACE, _ENCODED_WORD, _ANGLE, _ATOM, rb".")), re.DOTALL)
_COMMENT_MARK = re.compile(rb"\\.|[()]", re.DOTALL)
_INNER_COMMENT = re.compile(rb"\([^()]*+\)")
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)


class _Reader:
    """Reads what the usual form does not cover, mailbox by mailbox."""

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = entries
        self._words: list[bytes] = []
        self._comments: list[bytes] = []
        self._angle: bytes | None = None
        self._in_group = False
        self._token = _TOKEN
        self._comments_close = True

    def read(self, value: bytes, at: int) -> None:
        """Append the entries found in `value` from `at` on."""
        end, tokens_left = len(value), _MAX_TOKENS
        while at < end and tokens_left and len(self._entries) < MAX_ADDRESSES:
            tokens_left -= 1
            found = self._token.match(value, at)
            if found is None:
                break
            token, at = found.group(), found.end()
            if token == b"(":
                at = self._comment(value, at)
            else:
                self._take(token)
        self._flush()
        if self._in_group:
            self._entries.append(GROUP_END)

    def _comment(self, value: bytes, start: int) -> int:
        """Pass over a comment, nested ones included; an unclosed one is only a separator."""
        if not self._comments_close:
            return start
        depth = 1
        for mark in _COMMENT_MARK.finditer(value, start):
            depth += (mark.group() == b"(") - (mark.group() == b")")
            if depth == 0:
                self._comments.append(value[start : mark.start()].strip())
                return mark.end()
        self._comments_close = False
        return start

    def _take(self, token: bytes) -> None:
        kind = token[:1]
        if kind == b"<" and self._angle is None:
            self._angle = token[1:].removesuffix(b">")
        elif token == b'"':
            self._token = _TOKEN_NO_QUOTES
        elif token == b",":
            self._flush()
        elif token == b";":
            self._flush()
            if self._in_group:
                self._entries.append(GROUP_END)
                self._in_group = False
        elif token == b":" and not self._in_group and self._angle is None:
            self._entries.append(Entry(None, None, _phrase(self._words) or b"", None))
            self._words, self._in_group = [], True
        elif not kind.isspace() and token not in (b"<", b">", b")", b":", b"\0"):
            self._words.append(token)

    def _flush(self) -> None:
        """End a mailbox: an angle address with its phrase, or words that are the address."""
        words, angle = self._words, self._angle
        if angle is None:
            angle, words = _address_among(words)
        if angle or words:
            name = _phrase(words) or b" ".join(self._comments) or None
            self._entries.append(_entry(name, angle or b""))
        self._words, self._comments, self._angle = [], [], None


def _address_among(words: list[bytes]) -> tuple[bytes | None, list[bytes]]:
    """Split words without an angle address into the address and what is left as a name."""
    for index, word in enumerate(words):
        if word[:1] != b'"' and b"@" in word.strip(b"@"):
            return word, words[:index] + words[index + 1 :]
    return (b"".join(words) or None), []


def _phrase(words: list[bytes]) -> bytes:
    """Join the words of a display name, quotes removed."""
    return b" ".join(_unquote(word) for word in words)


def _unquote(word: bytes) -> bytes:
    if word[:1] != b'"' or len(word) < 2:
        return word
    return _QUOTED_PAIR.sub(rb"\1", word[1:-1])


def _entry(name: bytes | None, address: bytes) -> Entry:
    """Split an angle address into route, local part and domain."""
    address = _INNER_COMMENT.sub(b"", address).strip() if b"(" in address else address.strip()
    route = None
    if address[:1] == b"@" and b":" in address:
        route, _, address = address.partition(b":")
    if b'"' not in address:
        address = b"".join(address.split())
    local, at, domain = address.rpartition(b"@")
    if not at:
        local, domain = address, b""
    return Entry(name, route, _unquote(local.strip()), domain.strip())
