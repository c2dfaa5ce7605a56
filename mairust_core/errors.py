"""What can go wrong, once: class ↔ code ↔ HTTP status ↔ exit code ↔ SMTP reply.

    MaiRustError                  failed                 500   1
    ├── Invalid                   a value is wrong       422   2
    ├── BadQuery                  a search is wrong      422   2
    ├── Usage                     the call is wrong      400   2
    ├── TooLarge                  over a limit           413   2
    ├── Unauthenticated           who are you            401  77
    ├── Forbidden                 you may not            403  77
    ├── NotFound                  it is not there        404   4
    ├── Conflict                  it is there already    409   5
    ├── Refused                   the message itself     422   1
    ├── QuotaExceeded             mailbox full           507   1
    ├── Damaged                   stored bytes differ    500   1
    ├── Temporary                 try again              503  75
    │   ├── Locked                somebody else has it   423  75
    │   ├── TooMany               slow down              429  75
    │   ├── StorageDown           database unreachable   503  75
    │   ├── DiskFull              no room                507  75
    │   ├── Unreachable           server unreachable     503  75
    │   ├── OutcomeUnknown        commit not confirmed   503  75
    │   └── IncompleteStream      it ended too early     400  75
    └── BadConfig                 configuration          500  78
        ├── NoSite                no site at that path   500  78
        └── NewerSite             written by a newer one 500  78

An error names its text by a catalogue key, `code.detail`, and carries the values that fill it. Each
edge renders it once (`i18n.explain`); `str()` gives English.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from mairust_core.model.reply import Reply

_DETAIL = re.compile(r"[a-z_]+")


class MaiRustError(Exception):
    """Something failed; the text says what, on which subject, why and how to mend it."""

    code: ClassVar[str] = "failed"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    reply: ClassVar[Reply] = Reply(451, "4.3.0", "Local error in processing, try again later")

    def __init__(self, detail: str, /, **values: object) -> None:
        super().__init__(detail, values)
        self.detail = detail
        self.values = values
        self.rendered: tuple[str, str] | None = None

    @property
    def key(self) -> str:
        """The catalogue key of this error's text."""
        return f"{self.code}.{self.detail}"

    def __str__(self) -> str:
        from mairust_core.i18n import explain

        what, hint = explain(self)
        return f"{what} {hint}".strip()

    @classmethod
    def again(cls, code: str, detail: str, values: Mapping[str, object]) -> MaiRustError:
        """The error of which these were told, as the same class, to be rendered here."""
        kind = BY_CODE.get(code, MaiRustError)
        error = kind.__new__(kind)
        MaiRustError.__init__(error, detail, **values)
        return error

    @classmethod
    def from_wire(cls, code: str, what: str, hint: str) -> MaiRustError:
        """The error another MaiRust reported, as the same class, with the text it rendered."""
        kind = BY_CODE.get(code, MaiRustError)
        error = kind.__new__(kind)
        MaiRustError.__init__(error, "remote")
        error.rendered = (what, hint)
        return error


class Invalid(MaiRustError):
    """A value breaks its rule: `field` is its name on the wire, `why` a catalogue detail, `values` fill that.

    Without a detail for it, `why` and `hint` are the texts themselves: words that come from outside.
    """

    code, status, exit_code = "invalid", 422, 2
    reply = Reply(501, "5.5.4", "Syntax error in parameters")

    def __init__(self, field: str, why: str, hint: str = "", /, **values: object) -> None:
        if _DETAIL.fullmatch(why):
            super().__init__(why, field=field, **values)
        else:
            super().__init__("value", field=field, why=why, hint=hint)


class BadQuery(MaiRustError):
    """A search cannot be understood; the text says where and how to write it."""

    code, status, exit_code = "bad_query", 422, 2
    reply = Reply(501, "5.5.4", "Syntax error in parameters")


class Usage(MaiRustError):
    """The call cannot be understood."""

    code, status, exit_code = "usage", 400, 2
    reply = Reply(501, "5.5.4", "Syntax error in parameters")


class TooLarge(MaiRustError):
    """More was sent than the limit allows."""

    code, status, exit_code = "too_large", 413, 2
    reply = Reply(552, "5.3.4", "Message size exceeds the limit")


class Unauthenticated(MaiRustError):
    """No valid credential came with the call."""

    code, status, exit_code = "unauthenticated", 401, 77
    reply = Reply(535, "5.7.8", "Authentication credentials invalid")


class Forbidden(MaiRustError):
    """The caller is known and may not do this."""

    code, status, exit_code = "forbidden", 403, 77
    reply = Reply(550, "5.7.1", "Not permitted")


class NotFound(MaiRustError):
    """The subject does not exist within the caller's reach."""

    code, status, exit_code = "not_found", 404, 4
    reply = Reply(550, "5.1.1", "No such user here")


class Conflict(MaiRustError):
    """The subject exists already, or is still in use."""

    code, status, exit_code = "conflict", 409, 5


class Refused(MaiRustError):
    """The message itself is not acceptable; sending it again will not help."""

    code, status, exit_code = "refused", 422, 1
    reply = Reply(550, "5.6.0", "Message refused")


class QuotaExceeded(MaiRustError):
    """The account has no room for the message."""

    code, status, exit_code = "quota_exceeded", 507, 1
    reply = Reply(452, "4.2.2", "Mailbox full")


class Damaged(MaiRustError):
    """Stored bytes are missing or no longer have the hash they were stored under."""

    code = "damaged"


class Temporary(MaiRustError):
    """It may work when tried again later."""

    code, status, exit_code = "temporary", 503, 75


class Locked(Temporary):
    """Another process holds what is needed."""

    code, status = "locked", 423


class TooMany(Temporary):
    """A rate or a queue is over its limit."""

    code, status = "too_many", 429
    reply = Reply(452, "4.3.2", "Too much at once, try again later")


class StorageDown(Temporary):
    """The database cannot be reached or refuses work."""

    code = "storage_down"
    reply = Reply(451, "4.3.0", "Mail store is temporarily unavailable")


class DiskFull(Temporary):
    """There is no room to store what came."""

    code, status = "disk_full", 507
    reply = Reply(452, "4.3.1", "Insufficient system storage")


class Unreachable(Temporary):
    """The server named by --server does not answer."""

    code = "unreachable"


class OutcomeUnknown(Temporary):
    """A commit was sent and its result could not be learnt."""

    code = "outcome_unknown"
    reply = Reply(451, "4.3.0", "It is not known whether the mail is stored, try again later")


class IncompleteStream(Temporary):
    """A stream ended before its length and hash were complete."""

    code, status = "incomplete_stream", 400


class BadConfig(MaiRustError):
    """The configuration names something unknown or wrong."""

    code, exit_code = "bad_config", 78


class NoSite(BadConfig):
    """No site exists at the path looked at."""

    code = "no_site"


class NewerSite(BadConfig):
    """The data was written by a newer version of MaiRust."""

    code = "newer_site"


def _tree(root: type[MaiRustError]) -> dict[str, type[MaiRustError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


BY_CODE: dict[str, type[MaiRustError]] = _tree(MaiRustError)
