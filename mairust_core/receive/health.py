"""Whether mail may come: known trouble refuses it before a byte is written (rule J3, trap S12)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from mairust_core.disk import has_room
from mairust_core.errors import DiskFull, MaiRustError, StorageDown
from mairust_core.model.reply import Reply

CHECK_S = 1.0

log = logging.getLogger("mairust.receive")


class Health:
    """The last known state of database and disk; cheap to ask for every mail."""

    def __init__(
        self,
        free_bytes: Callable[[], tuple[int, int]],
        probe: Callable[[], None],
        check_s: float = CHECK_S,
    ) -> None:
        self._free_bytes = free_bytes
        self._probe = probe
        self._check_s = check_s
        self._database_down = False
        self._told = ""
        self._disk_low = self._unreachable = False
        self._disk_checked = float("-inf")

    def refusal(self) -> Reply | None:
        """The 4xx for a mail that would come now, or None."""
        if self._database_down:
            return StorageDown.reply
        if time.monotonic() - self._disk_checked >= self._check_s:
            self._check_disk()
        return DiskFull.reply if self._disk_low else None

    def database_failed(self) -> None:
        """Take no mail until a probe succeeds."""
        if not self._database_down:
            log.error("database is down, mail is refused with 4xx until it is back")
        self._database_down = True

    def probe_database(self) -> None:
        """Ask a database that is down whether it is back; blocks, to be called from a thread."""
        if not self._database_down:
            return
        try:
            self._probe()
        except MaiRustError as error:
            if (why := str(error)) != self._told:
                log.warning("database is still down: %s", why)
            self._told = why
            return
        self._database_down, self._told = False, ""
        log.info("database is back, mail is taken again")

    def _check_disk(self) -> None:
        self._disk_checked = time.monotonic()
        try:
            free, total = self._free_bytes()
        except StorageDown as error:  # no room can be seen: mail that came now could not be stored
            if not self._unreachable:
                log.error("the blob store is out of reach, mail is refused: %s", error)
            self._disk_low = self._unreachable = True
            return
        self._unreachable = False
        low = not has_room(free, total)
        if low != self._disk_low:
            log.warning(
                "disk %s: %d bytes free", "is nearly full, mail is refused" if low else "has room", free
            )
        self._disk_low = low
