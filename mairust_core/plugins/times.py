"""What time it is at the least: a clock that went back makes nothing good again (rule G5).

A machine without a network may have nothing but a clock whose battery is empty. What was written down of
later times is believed rather than it: the ids of the database, and for what a root stands for the date of
its newest list of revocations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mairust_core.errors import Forbidden
from mairust_core.ids import to_time
from mairust_core.model.principal import Principal
from mairust_core.model.trust import Signers
from mairust_core.store import inspection, trust
from mairust_core.wire import encode_time

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Milliseconds since 1970: `now_ms` for all, `issued` by root the date of its newest list."""

    now_ms: int
    issued: Mapping[str, int]

    def of(self, root: str | None) -> datetime:
        """What time it is for what this root stands for; another root's dates do not count."""
        return to_time(max(self.now_ms, self.issued.get(root or "", 0)))


def times(tx: Connection, by: Principal, clock_ms: int) -> Times:
    """What time it is by a clock, and by all that is written down."""
    return Times(now_ms=max(clock_ms, inspection.newest_id_ms(tx)), issued=trust.issued(tx, by))


def require_in_time(id_: str, signers: Signers, now: Times) -> None:
    """Raise `Forbidden` when the certificate of who signed a package, or its licence, is over."""
    ends_ms, licence_ends_ms = signers.not_after_ms, signers.licence_ends_ms
    if ends_ms is not None and to_time(ends_ms) < now.of(signers.root):
        at = encode_time(to_time(ends_ms))
        raise Forbidden("package_certificate_ended", id=id_, key=signers.key, at=at)
    if licence_ends_ms is not None and to_time(licence_ends_ms) < now.of(signers.licence_root):
        at = encode_time(to_time(licence_ends_ms))
        raise Forbidden("package_licence_ended", id=id_, holder=signers.licence_holder, at=at)
