"""Several workers on the same sockets; one that crashes is replaced, and all end with their parent."""

from __future__ import annotations

import gc
import logging
import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from mairust_core.config import Settings
from mairust_core.observe.counters import AllCounters, Counters
from mairust_core.serve.notify import notify
from mairust_core.serve.sockets import Sockets
from mairust_core.shortage import shortage

RESTART_AFTER_S = (0.1, 5.0)
"""First and longest pause before a worker that died is started again."""
STABLE_S = 10.0
"""A worker that lived this long starts again after the first pause."""
KILL_AFTER_S = 5.0
"""Beyond the grace period, for closing the database."""

log = logging.getLogger("mairust.serve")


@dataclass
class _Worker:
    index: int
    counters: Counters
    """Which those that come after it go on with."""
    pid: int = 0
    ready: bool = False
    started_at: float = 0.0
    restart_at: float = 0.0
    pause_s: float = RESTART_AFTER_S[0]
    report: int = -1
    """The reading end of the pipe on which the worker says that it is ready."""

    def put_off(self) -> float:
        """Let the next start wait, twice as long each time; how long, in seconds."""
        pause_s = self.pause_s
        self.restart_at = time.monotonic() + pause_s
        self.pause_s = min(pause_s * 2, RESTART_AFTER_S[1])
        return pause_s


def supervise(settings: Settings, sockets: Sockets, ready: Callable[[], None]) -> int:
    """Run `node.workers` workers until SIGTERM or SIGINT; the exit code.

    A worker that fails before all were ready once ends everything with its exit code.
    """
    return _Supervisor(settings, sockets, ready).run()


class _Supervisor:
    def __init__(self, settings: Settings, sockets: Sockets, ready: Callable[[], None]) -> None:
        self._settings = settings
        self._sockets = sockets
        self._ready = ready
        self._announced = False
        self._stopping = False
        self._exit_code = 0
        counters = AllCounters(settings.node.workers)
        self._workers = [_Worker(index, counters.of(index)) for index in range(settings.node.workers)]
        # Workers hold the reading end: it closes when this process is gone, however it went.
        self._alive_read, self._alive_write = os.pipe()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK)

    def run(self) -> int:
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        gc.freeze()  # what is loaded now stays shared between the workers
        for worker in self._workers:
            self._start(worker)
        while not self._stopping:
            self._wait()
        return self._stop()

    def _wait(self) -> None:
        waiting = [worker.report for worker in self._workers if worker.report >= 0]
        pause_s = min((w.restart_at - time.monotonic() for w in self._workers if not w.pid), default=None)
        timeout_s = None if pause_s is None else max(pause_s, 0.0)
        readable, _, _ = select.select([self._wake_read, *waiting], [], [], timeout_s)
        if self._wake_read in readable:
            self._heed(os.read(self._wake_read, 4096))
        for worker in self._workers:
            if worker.report in readable:
                self._read_report(worker)
            if not worker.pid and not self._stopping and time.monotonic() >= worker.restart_at:
                self._restart(worker)

    def _heed(self, signals: bytes) -> None:
        if signal.SIGCHLD in signals:
            self._reap()
        if signal.SIGHUP in signals:
            self._tell(signal.SIGHUP)
        if signal.SIGTERM in signals or signal.SIGINT in signals:
            self._stopping = True

    def _restart(self, worker: _Worker) -> None:
        """Start one anew; later, when the machine has no process or descriptor for it now."""
        try:
            self._start(worker)
        except OSError as error:
            pause_s = worker.put_off()
            log.error("worker %d cannot be started: %s; again in %.1f s", worker.index, error, pause_s)

    def _start(self, worker: _Worker) -> None:
        report, writing = os.pipe()
        try:
            worker.pid = os.fork()
        except OSError:
            os.close(report)
            os.close(writing)
            raise
        worker.report, worker.started_at = report, time.monotonic()
        if worker.pid == 0:
            self._become(worker, writing)
        os.close(writing)
        log.info("worker %d is process %d", worker.index, worker.pid)

    def _become(self, worker: _Worker, writing: int) -> None:
        """The child's life; never returns."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            for fd in (self._alive_write, self._wake_read, self._wake_write, worker.report):
                os.close(fd)
            code = _work(self._settings, self._sockets, worker.counters, writing, self._alive_read)
        finally:
            os._exit(code)

    def _read_report(self, worker: _Worker) -> None:
        worker.ready = os.read(worker.report, 1) == b"R"
        os.close(worker.report)
        worker.report = -1
        if not self._announced and all(one.ready for one in self._workers):
            self._announced = True
            self._ready()

    def _reap(self) -> None:
        for worker in self._workers:
            if not worker.pid:
                continue
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid:
                self._ended(worker, os.waitstatus_to_exitcode(status))

    def _ended(self, worker: _Worker, code: int) -> None:
        lived_s = time.monotonic() - worker.started_at
        worker.counters.end()
        worker.pid, worker.ready = 0, False
        if worker.report >= 0:
            os.close(worker.report)
            worker.report = -1
        if not self._announced:
            self._exit_code = code if code > 0 else 1
            self._stopping = True
            return
        worker.pause_s = RESTART_AFTER_S[0] if lived_s >= STABLE_S else worker.pause_s
        log.error("worker %d ended with %d, restarting it in %.1f s", worker.index, code, worker.put_off())

    def _tell(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.pid:
                os.kill(worker.pid, number)

    def _stop(self) -> int:
        notify("STOPPING=1")
        self._tell(signal.SIGTERM)
        deadline = time.monotonic() + self._settings.node.grace_s + KILL_AFTER_S
        while any(worker.pid for worker in self._workers) and time.monotonic() < deadline:
            select.select([self._wake_read], [], [], 0.2)
            self._reap_quietly()
        if any(worker.pid for worker in self._workers):
            log.error("workers did not end in time, killing them")
            self._tell(signal.SIGKILL)
        return self._exit_code

    def _reap_quietly(self) -> None:
        for worker in self._workers:
            if worker.pid and os.waitpid(worker.pid, os.WNOHANG)[0]:
                worker.pid = 0


def _work(settings: Settings, sockets: Sockets, counters: Counters, writing: int, alive: int) -> int:
    from mairust_core.errors import MaiRustError
    from mairust_core.serve.worker import run

    def ready() -> None:
        with suppress(BrokenPipeError):  # the supervisor is gone: the worker sees its end, and stops
            os.write(writing, b"R")
        os.close(writing)

    try:
        return run(settings, sockets.of_worker(counters.index), ready, counters, alive)
    except MaiRustError as error:
        log.error("worker %d cannot start: %s", counters.index, error)
        return error.exit_code
    except Exception as error:
        if lacking := shortage(error):
            log.error("worker %d cannot go on: %s", counters.index, lacking)
            return lacking.exit_code
        log.exception("worker %d failed", counters.index)
        return 1
