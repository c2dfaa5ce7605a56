"""The trace of refused mail: batched, capped per address, dropped first (rule J3)."""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mairust_core.errors import MaiRustError
from mairust_core.ids import IdSource, now_ms
from mairust_core.model.delivery import Trace
from mairust_core.model.envelope import Envelope
from mairust_core.model.ids import Id
from mairust_core.model.principal import DEFAULT_TENANT
from mairust_core.model.reply import Reply
from mairust_core.store import StorageBackend
from mairust_core.store.facts import cleaned, to_json
from mairust_core.store.tables import trace

if TYPE_CHECKING:
    from mairust_core.receive.copying import Source

MAX_WAITING = 1000
MAX_PER_ADDRESS = 20
"""Refusals noted of one client address between two flushes."""
MAX_TEXT = 1000

log = logging.getLogger("mairust.receive")


class Refusals:
    """Collects refusals and writes them in one transaction per flush."""

    def __init__(self, storage: StorageBackend, ids: IdSource) -> None:
        self._storage = storage
        self._ids = ids
        self._waiting: deque[tuple[object, ...]] = deque()
        self._per_address: Counter[str] = Counter()
        self._dropped = 0
        self._lock = threading.Lock()

    def add(self, envelope: Envelope, rcpt_to: str, reply: Reply) -> None:
        """Note one refusal before the content; drops it when there are too many."""
        names = [rcpt_to] if rcpt_to else [one.address for one in envelope.recipients]
        self._add(envelope, _recipients((name, ()) for name in names), reply, (self._ids.next(), "", "[]"))

    def add_whole(self, told: Trace, source: Source, reply: Reply) -> None:
        """Note a mail that was refused after its content, with what hooks said of it; likewise."""
        message_id = "" if (facts := source.description.facts) is None else cleaned(facts.message_id)
        names = ((one.address, one.accounts) for one in source.envelope.recipients)
        kept = (told.id, message_id, to_json(told.events))
        self._add(source.envelope, _recipients(names), reply, kept)

    def _add(self, envelope: Envelope, rcpt_to: str, reply: Reply, kept: tuple[Id, str, str]) -> None:
        """`kept` are the trace's id, the Message-ID and the events."""
        connection = envelope.connection
        who = connection.ip or "unknown"
        with self._lock:
            if len(self._waiting) >= MAX_WAITING or self._per_address[who] >= MAX_PER_ADDRESS:
                self._dropped += 1
                return
            self._per_address[who] += 1
            self._waiting.append(
                (
                    kept[0], DEFAULT_TENANT, now_ms(), False, connection.road.value, connection.ip,
                    clean(connection.helo), clean(envelope.mail_from), rcpt_to, kept[1],
                    clean(str(reply)), kept[2],
                )
            )  # fmt: skip

    def flush(self) -> int:
        """Write what waits, on the calling thread; the number written. What cannot be written is dropped."""
        with self._lock:
            rows = list(self._waiting)
            dropped, self._dropped = self._dropped, 0
            self._waiting.clear()
            self._per_address.clear()
        if dropped:
            log.info("%d more refusals were not noted", dropped)
        if not rows:
            return 0
        try:
            with self._storage.write() as tx:
                self._storage.insert_rows(tx, trace, rows)
        except MaiRustError as error:
            log.warning("%d refusals are lost for the trace: %s", len(rows), error)
            return 0
        return len(rows)


def _recipients(names: Iterable[tuple[str, Sequence[int]]]) -> str:
    return json.dumps([[clean(name), list(accounts)] for name, accounts in names], ensure_ascii=False)


def clean(text: str) -> str:
    """Text from a stranger: of bounded length, and such as any database takes."""
    return cleaned(text[:MAX_TEXT])
