"""A listener: takes connections in, watches over their time, and ends them in good order."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from mairust_core.model.envelope import Road
from mairust_core.smtp.binding import BACKLOG, UNIX_PREFIX, UnixPath, bind_tcp, bind_unix, bound_address
from mairust_core.smtp.gate import Gate
from mairust_core.smtp.lmtp import DeliverSession, LmtpSession
from mairust_core.smtp.session import SmtpSession

if TYPE_CHECKING:
    from mairust_core.observe.counters import Counters
    from mairust_core.receive import Receiver
    from mairust_core.smtp.connection import ClientConnection
    from mairust_core.smtp.settings import ListenerSettings

log = logging.getLogger("mairust.smtp")

ACCEPT_BACK_OFF_S = (0.05, 1.0)
"""First and longest pause after an accept that failed (trap S12)."""
SWEEP_S = 1.0
"""How often sessions are looked at; a tenth of the smallest time limit if that is less."""

_SESSIONS: dict[Road, type[SmtpSession]] = {
    Road.SMTP: SmtpSession,
    Road.LMTP: LmtpSession,
    Road.DELIVER: DeliverSession,
}


class Listener:
    """One address on which mail arrives. Lives in one event loop; not thread-safe."""

    def __init__(self, receiver: Receiver, settings: ListenerSettings, counters: Counters) -> None:
        """`counters` are those of this process."""
        self._receiver = receiver
        self._settings = settings
        self._gate = Gate(settings.limits, settings.trusted, counters.road(settings.road))
        self._sessions: set[ClientConnection] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._socket: socket.socket | None = None
        self._unlink: UnixPath | None = None
        self._quiet = asyncio.Event()

    async def start(self, at: socket.socket | str) -> str:
        """Listen at `127.0.0.1:25`, `[::1]:25`, `unix:/path` or on a socket that is bound already.

        Returns the address as bound, so with the real port. Raises `OSError` when it cannot be had. A socket
        handed in is closed by `stop`, its path is left to who bound it.
        """
        if isinstance(at, str):
            self._socket = self._bind(at)
        else:
            self._socket = at
        self._socket.setblocking(False)
        self._socket.listen(BACKLOG)
        self._tasks = [asyncio.create_task(self._accept(self._socket)), asyncio.create_task(self._sweep())]
        address = bound_address(self._socket)
        log.info("%s listens on %s", self._settings.road, address)
        return address

    async def stop(self, grace_s: float) -> int:
        """Take nobody in, let open transactions finish; returns how many were cut after `grace_s`."""
        accepting, sweeping = self._tasks
        await _cancel(accepting)
        if self._socket is not None:
            self._socket.close()
        if self._unlink is not None:
            self._unlink.remove()
        for session in list(self._sessions):
            session.shut()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._all_quiet(), grace_s)
        await _cancel(sweeping)
        left = len(self._running)
        if left:
            log.warning("%s: %d sessions cut after %s s", self._settings.road, left, grace_s)
        await self._cut()
        return left

    async def _cut(self) -> None:
        for session in list(self._sessions):
            session.abort()
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await asyncio.sleep(0)  # transports tell their end in the next round of the loop

    async def _all_quiet(self) -> None:
        while self._running:
            self._quiet.clear()
            await self._quiet.wait()

    async def _accept(self, listening: socket.socket) -> None:
        """Take connections in; when there are no descriptors left, wait instead of spinning (trap S12)."""
        loop = asyncio.get_running_loop()
        pause_s = ACCEPT_BACK_OFF_S[0]
        while True:
            try:
                connected, _ = await loop.sock_accept(listening)
            except OSError as error:
                if error.errno in (errno.ECONNABORTED, errno.EPROTO):
                    continue
                log.error(
                    "%s cannot accept connections, again in %s s: %s", self._settings.road, pause_s, error
                )
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, ACCEPT_BACK_OFF_S[1])
                continue
            pause_s = ACCEPT_BACK_OFF_S[0]
            await self._begin(connected)

    async def _begin(self, connected: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._new_session, connected)
        except OSError as error:
            log.info("%s: connection lost before its greeting: %s", self._settings.road, error)
            connected.close()

    def _new_session(self) -> SmtpSession:
        session = _SESSIONS[self._settings.road](
            self._settings, self._receiver, self._gate, self._begun, self._ended
        )
        self._sessions.add(session)
        return session

    def _begun(self, task: asyncio.Task[None]) -> None:
        self._running.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._quiet.set()

    def _ended(self, session: ClientConnection) -> None:
        self._sessions.discard(session)

    async def _sweep(self) -> None:
        """One coarse timer for all sessions."""
        limits = self._settings.limits
        times_s = (
            limits.idle_s,
            limits.data_idle_s,
            limits.data_grace_s,
            limits.session_s,
            limits.handshake_s,
        )
        every_s = min(SWEEP_S, *(time_s / 10 for time_s in (*times_s, limits.linger_s)))
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(max(every_s, 0.01))
            now = loop.time()
            for session in list(self._sessions):
                session.check(now)

    def _bind(self, address: str) -> socket.socket:
        if address.startswith(UNIX_PREFIX):
            path = Path(address.removeprefix(UNIX_PREFIX))
            bound = bind_unix(path, 0o600 if self._settings.road is Road.DELIVER else 0o666)
            self._unlink = UnixPath.of(path)
            return bound
        host, _, port = address.rpartition(":")
        return bind_tcp(host.strip("[]"), int(port))[0]


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
