"""Root keys: whether what they took back is known here, as far as a site can tell by itself."""

from __future__ import annotations

from collections.abc import Iterator

from mairust_core.config import Settings
from mairust_core.doctor.findings import Found
from mairust_core.ids import now_ms, to_ms
from mairust_core.model.principal import Principal
from mairust_core.model.trust import TrustKey
from mairust_core.store import StorageBackend, trust
from mairust_core.wire import encode_time

DAY_MS = 86_400_000
OLD_MS = 90 * DAY_MS
AHEAD_MS = DAY_MS
"""So far clocks may differ."""
MAX_LOOKED = 500
_ME = Principal.local("doctor")


def revocations(_: Settings, storage: StorageBackend) -> Iterator[Found]:
    """Of every root the newest list is in force: none is a backup's, older than 90 days, or from tomorrow."""
    at_ms = now_ms()
    with storage.read() as tx:
        found = trust.page(tx, _ME, "", MAX_LOOKED)
    for one in found:
        serial = "-" if one.serial is None else one.serial
        issued = "-" if one.issued_at is None else encode_time(one.issued_at)
        if one.issued_at is not None and to_ms(one.issued_at) > at_ms + AHEAD_MS:
            yield Found("trust.future", id=one.id, name=one.name, serial=serial, issued=issued)
        if one.restored_at is not None:
            yield Found("trust.restored", id=one.id, name=one.name, serial=serial, issued=issued)
        elif one.serial is not None and _known_ms(one) < at_ms - OLD_MS:
            yield Found("trust.old", id=one.id, name=one.name, serial=serial, issued=issued)


def _known_ms(one: TrustKey) -> int:
    """Until when a root's list is known to be the newest; 0 for one that came before dates were kept."""
    known = (at for at in (one.issued_at, one.confirmed_at) if at is not None)
    return max(map(to_ms, known), default=0)
