"""Threads, descriptors and memory that are not given: told by name, and worked without where possible."""

from __future__ import annotations

import errno
import json
import sys
import threading

import pytest

from mairust_core.shortage import Threads, shortage
from tests.support import forks
from tests.support.server import clean_environment

TIMEOUT_S = 60.0
FEW_THREADS = """
import json, resource, threading
from mairust_core.shortage import Threads, shortage
pool = Threads(8, "few")
started = threading.Event()
with open("/proc/self/statm") as file:
    now = int(file.read().split()[0]) * resource.getpagesize()
threading.stack_size(256 << 20)
now += 100 << 20
resource.setrlimit(resource.RLIMIT_AS, (now, resource.RLIM_INFINITY))
answers = [pool.submit(pow, number, 2) for number in range(50)]
found = [one.result(30) for one in answers]
try:
    threading.Thread(target=print).start()
except RuntimeError as error:
    told = shortage(error)
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(json.dumps([found, told.detail, told.values["why"], str(told), now // 1024]))
"""


def test_a_pool_goes_on_with_the_threads_it_has() -> None:
    """Nothing that was handed in is refused or forgotten; what is missing is named with its limit."""
    done = forks.run([sys.executable, "-c", FEW_THREADS], env=clean_environment(), timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr.decode()
    found, detail, why, said, limit_kib = json.loads(done.stdout)
    assert found == [number**2 for number in range(50)]
    assert (detail, f"ulimit -v {limit_kib}" in why) == ("no_thread", True)
    assert said.startswith("The machine gives no further thread or process")


def test_a_pool_has_as_many_threads_as_it_may() -> None:
    """Python still asks the method that is overridden here."""
    with Threads(3, "few") as pool:
        meeting = threading.Barrier(3)
        assert sorted(pool.map(lambda _: meeting.wait(TIMEOUT_S), range(3))) == [0, 1, 2]
    assert "_adjust_thread_count" in Threads.__mro__[1].__dict__


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (RuntimeError("can't start new thread"), "no_thread"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "no_thread"),
        (OSError(errno.EMFILE, "Too many open files", "/x"), "no_descriptor"),
        (OSError(errno.ENFILE, "Too many open files in system"), "no_descriptor"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "no_memory"),
        (MemoryError(), "no_memory"),
        (RuntimeError("dictionary changed size during iteration"), None),
        (OSError(errno.ENOENT, "No such file or directory", "/x"), None),
        (ValueError("bang"), None),
    ],
)
def test_what_is_not_given_is_a_temporary_error(error: Exception, detail: str | None) -> None:
    """503 and 75; a fault of ours stays one."""
    found = shortage(error)
    assert (None if found is None else (found.detail, found.status, found.exit_code)) == (
        None if detail is None else (detail, 503, 75)
    )
