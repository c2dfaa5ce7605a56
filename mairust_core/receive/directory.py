"""From an address to the accounts behind it, remembered while nothing changes (rules D3, J4; trap S6)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sqlalchemy import Connection

from mairust_core.errors import Invalid, MaiRustError, NotFound, QuotaExceeded
from mairust_core.model.address import Address
from mairust_core.model.alias import POSTMASTER
from mairust_core.model.envelope import Recipient
from mairust_core.model.reply import Reply
from mairust_core.store import StorageBackend, addressing, generations

REFUSAL_REMEMBERED_S = 1.0
REMEMBERED_S = 30.0
"""Between two polls of the generation, which ends everything that is remembered."""
MAX_REMEMBERED = 10_000
THREADS = 2

NO_SUCH_USER = NotFound.reply
NO_SUCH_DOMAIN = Reply(550, "5.7.1", "Relaying denied, this server takes no mail for that domain")
BAD_ADDRESS = Reply(553, "5.1.3", "Recipient address is not valid")
MAILBOX_FULL = QuotaExceeded.reply
TOO_FAR = Reply(451, "4.3.5", "That address leads to more accounts, or over more aliases, than are followed")
"""Until an administrator mends it the sender keeps the mail: nobody is left out behind a 250 (trap S6)."""


@dataclass(slots=True)
class _Remembered:
    since: float
    answer: asyncio.Future[Recipient | Reply]

    def good(self, now: float, known_unchanged: bool) -> bool:
        """Whether it may be told again: an account for long while changes are watched, else a second."""
        if not self.answer.done():
            return True
        if self.answer.cancelled() or self.answer.exception() is not None:
            return False
        lasting = known_unchanged and isinstance(self.answer.result(), Recipient)
        return now - self.since < (REMEMBERED_S if lasting else REFUSAL_REMEMBERED_S)


class Directory:
    """Answers RCPT TO. Belongs to one event loop; reads on a small executor of its own.

    While `poll` is called every half second, what it knows of an account holds until the generation moves.
    """

    def __init__(self, storage: StorageBackend, clock: Callable[[], float] = time.monotonic) -> None:
        self._storage = storage
        self._clock = clock
        self._known: dict[str, _Remembered] = {}
        self._generation: int | None = None
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="directory")

    async def find(self, address: str) -> Recipient | Reply:
        """The recipient, or the reply that refuses it; a database that is down is `StorageDown.reply`."""
        now = self._clock()
        known = self._known.get(address)
        if known is None or not known.good(now, self._generation is not None):
            known = self._look_up(address, now)
        return known.answer.result() if known.answer.done() else await asyncio.shield(known.answer)

    async def poll(self) -> None:
        """Forget everything when an administrative change was committed (rule D3)."""
        loop = asyncio.get_running_loop()
        generation = await loop.run_in_executor(self._threads, self._read_generation)
        if generation is None or generation != self._generation:
            self._known.clear()
        self._generation = generation

    def forget(self, addresses: Iterable[str]) -> None:
        """Ask anew for these: no change of the generation tells that an account has become full."""
        for address in addresses:
            self._known.pop(address, None)

    def _read_generation(self) -> int | None:
        try:
            with self._storage.read() as tx:
                return generations.current(tx)
        except MaiRustError:
            return None

    def _look_up(self, address: str, now: float) -> _Remembered:
        if len(self._known) >= MAX_REMEMBERED:
            self._known.clear()
        loop = asyncio.get_running_loop()
        answer = asyncio.ensure_future(loop.run_in_executor(self._threads, self._read, address))
        known = self._known[address] = _Remembered(now, answer)
        return known

    def _read(self, address: str) -> Recipient | Reply:
        try:
            with self._storage.read() as tx:
                return resolve(tx, address)
        except MaiRustError as error:
            return error.reply

    def close(self) -> None:
        """Let the executor end."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def resolve(tx: Connection, address: str) -> Recipient | Reply:
    """The enabled accounts behind an address as it was given, or the reply that refuses it."""
    wanted = address
    if "@" not in address and address.casefold() == POSTMASTER:  # RFC 5321 §4.1.1.3: valid without a domain
        wanted = f"{POSTMASTER}@{addressing.first_domain(tx)}"
    try:
        parsed = Address.parse(wanted)
    except Invalid:
        return BAD_ADDRESS
    found = addressing.resolve(tx, parsed)
    if not found.known_domain:
        return NO_SUCH_DOMAIN
    if found.cut_short:
        return TOO_FAR
    if found.full:  # one of several, too: nobody is left out in silence
        return MAILBOX_FULL
    if not found.accounts:
        return NO_SUCH_USER
    return Recipient(address=address, accounts=found.accounts, tenant_id=found.tenant_id)
