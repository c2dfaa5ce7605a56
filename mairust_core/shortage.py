"""Threads, processes, descriptors and memory that the machine does not give: what that is called, and pools
that go on with the threads they have.
"""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from mairust_core.errors import Temporary

NO_THREAD = "can't start new thread"
"""How Python says it, whatever the reason."""
_GROUPS = Path("/sys/fs/cgroup")


class Threads(ThreadPoolExecutor):
    """A pool that has one thread from the start, and where no more can be started, goes on with those it has.

    The work that would have had another is queued by then: were it refused, it could be done all the same.
    The constructor raises what starting a thread raises.
    """

    def __init__(self, most: int | None = None, name: str = "") -> None:
        super().__init__(most, name)
        self.submit(lambda: None).result()

    def _adjust_thread_count(self) -> None:
        try:
            super()._adjust_thread_count()  # private; a test guards it
        except RuntimeError:
            if not self._threads:
                raise


def shortage(error: BaseException) -> Temporary | None:
    """The error that tells what the machine does not give; None for any other failure."""
    if isinstance(error, MemoryError):
        return Temporary("no_memory", why=_limits(("-v", resource.RLIMIT_AS)))
    if isinstance(error, RuntimeError) and NO_THREAD in str(error):
        return _no_thread()
    if not isinstance(error, OSError):
        return None
    if error.errno in {errno.EMFILE, errno.ENFILE}:
        return Temporary("no_descriptor", why=_limits(("-n", resource.RLIMIT_NOFILE)))
    if error.errno == errno.ENOMEM:
        return Temporary("no_memory", why=_limits(("-v", resource.RLIMIT_AS)))
    return _no_thread() if error.errno == errno.EAGAIN and error.filename is None else None  # of fork(2)


def _no_thread() -> Temporary:
    return Temporary("no_thread", why=_limits(("-u", resource.RLIMIT_NPROC), ("-v", resource.RLIMIT_AS)))


def _limits(*asked: tuple[str, int]) -> str:
    """Those that hold here, as they are set; the machine's own where there are none."""
    found = [f"ulimit {option} {_shown(option, soft)}" for option, soft in _set(*asked)]
    if any(option == "-u" for option, _ in asked):
        with suppress(OSError):  # no descriptor may be left to read it
            found += [f"{path} {most}" for path, most in _groups()]
    return ", ".join(found) or "-"


def _set(*asked: tuple[str, int]) -> Iterator[tuple[str, int]]:
    for option, number in asked:
        soft, _ = resource.getrlimit(number)
        if soft != resource.RLIM_INFINITY:
            yield option, soft


def _shown(option: str, soft: int) -> int:
    return soft // 1024 if option == "-v" else soft


def _groups() -> Iterator[tuple[Path, str]]:
    """The control groups of this process that have all the processes they may have."""
    for line in Path("/proc/self/cgroup").read_text("utf-8").splitlines():
        _, controllers, own = line.split(":", 2)
        if controllers not in {"", "pids"}:
            continue
        tree = _GROUPS / controllers
        group = tree / own.lstrip("/")
        for one in (group, *(parent for parent in group.parents if parent.is_relative_to(tree))):
            with suppress(OSError, ValueError):
                if int((one / "pids.current").read_text()) >= int((one / "pids.max").read_text()):
                    yield one / "pids.max", (one / "pids.max").read_text().strip()
