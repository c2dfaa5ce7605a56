"""What follows MAIL FROM: and RCPT TO: – a path and parameters (RFC 5321 §4.1.2, RFC 6531 §3.3)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mairust_core.smtp import replies
from mairust_core.smtp.limits import Limits

if TYPE_CHECKING:
    from mairust_core.model.reply import Reply

MAX_PATH_OCTETS = Limits().path_bytes

_LABEL = r"[0-9A-Za-z_\u0080-\U0010ffff-]+"  # an A- or U-label; whether it exists is not asked here
_PATH = re.compile(
    r"""[ ]*<(?:
        (?:@[^<>:\s"]*:)?                                  # source route: stripped (appendix C)
        (?P<mailbox>
            (?P<local>[^\s"(),:;<>@\[\]\\]+                # dot-string; docomo's misplaced dots pass
                     |"(?:[^"\\]|\\.)*")                   # quoted-string
            @(?:{label}(?:\.{label})*\.?|\[[0-9A-Za-z.:_-]+\])
        )
        |(?P<postmaster>[Pp][Oo][Ss][Tt][Mm][Aa][Ss][Tt][Ee][Rr])
        |
    )>(?P<rest>|[ ].*)""".replace("{label}", _LABEL),
    re.VERBOSE,
)
_SIZE = re.compile(r"[0-9]{1,20}")
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\u0080-\U0010ffff]+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """One path: `address` as written, empty for `<>`, plain `postmaster` for `<Postmaster>`."""

    address: str
    parameters: str
    """What stands behind the path, not yet parsed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailParameters:
    """The parameters of one MAIL command."""

    size_bytes: int = 0
    body: str = ""
    smtputf8: bool = False


def after_keyword(argument: str, keyword: str) -> str | None:
    """What follows `FROM:` or `TO:`, in any case; None when something else stands there."""
    if argument[: len(keyword)].upper() == keyword:
        return argument[len(keyword) :]
    return None


def parse_path(text: str) -> Path | None:
    """The path in `<address> [parameters]`; None when it is not one."""
    match = _PATH.fullmatch(text)
    if match is None:
        return None
    return Path(address=match["mailbox"] or (match["postmaster"] or "").lower(), parameters=match["rest"])


def as_path(text: str) -> str | None:
    """The path that a program's argument means, as MAIL and RCPT take it; None when there is none.

    Brackets around it are taken off, and a local part is quoted where it has to be: `john doe@x.example` is
    `"john doe"@x.example` (RFC 5321 §4.1.2).
    """
    text = text.strip()
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1]
    local, at, domain = text.rpartition("@")
    quoted = '"' + local.replace("\\", r"\\").replace('"', r"\"") + '"'
    for candidate in (text, quoted + at + domain):
        path = parse_path(f"<{candidate}>")
        if path is not None and path.address and not path.parameters:
            return path.address if _can_be_said(path.address) else None
    return None


def _can_be_said(path: str) -> bool:
    """Whether a command line takes it; joiners are legal in names, other invisible characters are not."""
    try:
        octets = len(path.encode())
    except UnicodeEncodeError:
        return False
    return octets <= MAX_PATH_OCTETS and path.replace("\u200c", "").replace("\u200d", "").isprintable()


def parse_parameters(text: str) -> dict[str, str | None] | None:
    """ESMTP parameters by upper-case keyword, None where no `=` was given; None in all when malformed.

    A keyword given twice is malformed (RFC 5321 §4.1.2 has one value for each).
    """
    found: dict[str, str | None] = {}
    for word in text.split(" "):
        if not word:
            continue
        match = _PARAMETER.fullmatch(word)
        if match is None or match[1].upper() in found:
            return None
        found[match[1].upper()] = match[2]
    return found


def mail_parameters(text: str, *, bodies: tuple[str, ...]) -> MailParameters | Reply:
    """SIZE (RFC 1870), BODY (RFC 6152, 3030) and SMTPUTF8 (RFC 6531) of MAIL, or the refusal."""
    given = parse_parameters(text)
    if given is None:
        return replies.BAD_PARAMETER
    size = given.pop("SIZE", "0")
    body = given.pop("BODY", "")
    utf8 = given.pop("SMTPUTF8", "")
    if given:
        return replies.UNKNOWN_PARAMETER
    if not size or not _SIZE.fullmatch(size) or body is None or utf8:
        return replies.BAD_PARAMETER
    if body and body.upper() not in bodies:
        return replies.BAD_PARAMETER
    return MailParameters(size_bytes=int(size), body=body.upper(), smtputf8=utf8 is None)
