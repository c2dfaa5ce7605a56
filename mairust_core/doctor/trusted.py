"""Root keys: whether what they took back is known here, as far as a site can tell by itself."""

from __future__ import annotations

from collections.abc import Iterator

from mairust_core.config import Settings
from mairust_core.doctor.findings import Found
from mairust_core.ids import now_ms, to_ms
from mairust_core.model.principal import Principal
from mairust_core.store import StorageBackend, trust
from mairust_core.wire import encode_time

OLD_MS = 90 * 86_400_000
MAX_LOOKED = 500
_ME = Principal.local("doctor")


def revocations(_: Settings, storage: StorageBackend) -> Iterator[Found]:
    """Of every root the newest list is in force: none is a backup's, and none is older than 90 days."""
    at_ms = now_ms()
    with storage.read() as tx:
        found = trust.page(tx, _ME, "", MAX_LOOKED)
    for one in found:
        if one.restored_at is not None:
            serial = "-" if one.serial is None else one.serial
            issued = "-" if one.issued_at is None else encode_time(one.issued_at)
            yield Found("trust.restored", id=one.id, name=one.name, serial=serial, issued=issued)
        elif one.issued_at is not None:
            known = max(one.issued_at, one.confirmed_at or one.issued_at)
            if to_ms(known) < at_ms - OLD_MS:
                issued = encode_time(one.issued_at)
                yield Found("trust.old", id=one.id, name=one.name, serial=one.serial, issued=issued)
