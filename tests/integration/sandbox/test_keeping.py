"""Plugins that keep what they saw where no process of theirs is: in page cache and inodes (rule H3)."""

from __future__ import annotations

import ctypes
import fcntl
import json
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest

from mairust_core.model.plugin import Limits, ProcessMode
from mairust_core.sandbox.machine import Machine
from tests.integration.sandbox.conftest import Make
from tests.support.docs import CHECKOUT
from tests.support.plugins import Plugin

PAGE = mmap.PAGESIZE
PAGES = 64
TRIES = 5
"""The cache is the whole machine's: what others do in it may spoil one look."""
WRITER = """
    import ctypes, mmap, os, sys
    libc = ctypes.CDLL(None)
    def tries(fd):
        seen = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
        yield lambda: sum(seen[::mmap.PAGESIZE])
        yield lambda: seen.madvise(21)
        seen.close()
        yield lambda: os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    for line in sys.stdin:
        fd = os.open("store", os.O_RDONLY)
        for one in tries(fd):
            try:
                one()
            except OSError:
                pass
        print("{}")
"""
READER = """
    import ctypes, json, mmap, os, platform, sys
    libc = ctypes.CDLL(None)
    x86 = platform.machine() == "x86_64"
    PAGE = mmap.PAGESIZE
    fd = os.open("store", os.O_RDONLY)
    pages = os.fstat(fd).st_size // PAGE
    libc.mmap.restype = ctypes.c_void_p
    at = libc.mmap(None, ctypes.c_size_t(pages * PAGE), 1, 1, fd, ctypes.c_long(0))
    def by_nowait():
        for page in range(pages):
            try:
                yield os.preadv(fd, [bytearray(1)], page * PAGE, os.RWF_NOWAIT)
            except OSError as error:
                yield error.errno
    def by_mincore():
        told = ctypes.create_string_buffer(pages)
        number = 27 if x86 else 232
        libc.syscall(ctypes.c_long(number), ctypes.c_void_p(at), ctypes.c_size_t(pages * PAGE), told)
        return list(told.raw)
    def by_cachestat():
        for page in range(pages):
            told = (ctypes.c_uint64 * 5)()
            libc.syscall(ctypes.c_long(451), fd, (ctypes.c_uint64 * 2)(page * PAGE, PAGE), told, 0)
            yield told[0]
    for line in sys.stdin:
        print(json.dumps([list(by_nowait()), by_mincore(), list(by_cachestat())]))
"""


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """On a disk: a file system in memory has no cache that anything could be dropped from."""
    with tempfile.TemporaryDirectory(prefix="mairust-test-", dir=_disk()) as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@cache
def _disk() -> Path:
    places = (Path("/var/tmp"), CHECKOUT)
    return next(filter(_is_on_a_disk, places), places[0])


def _is_on_a_disk(directory: Path) -> bool:
    with suppress(OSError), tempfile.NamedTemporaryFile(prefix="mairust-test-", dir=directory) as file:
        file.write(os.urandom(PAGE * PAGES))
        file.flush()
        return _dropped(Path(file.name))
    return False


def _dropped(path: Path) -> bool:
    """Whether it could be brought to the disk and out of the cache."""
    for _ in range(TRIES):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if not any(_cached(path)):
            return True
    return False


def _store(plugin: Plugin) -> Path:
    """A file beside the plugin's, on the disk and in no cache."""
    path = plugin.directory / "store"
    path.write_bytes(os.urandom(PAGE * PAGES))
    path.chmod(0o644)
    if not _dropped(path):
        pytest.skip("no file system on a disk")
    return path


def _cached(path: Path) -> list[bool]:
    """Which of its pages are in the cache; to look changes nothing."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as seen:
        told = ctypes.create_string_buffer(PAGES)
        address = ctypes.addressof(ctypes.c_char.from_buffer(seen))
        assert ctypes.CDLL(None).mincore(ctypes.c_void_p(address), ctypes.c_size_t(len(seen)), told) == 0
        return [byte & 1 == 1 for byte in told.raw]


def _read(path: Path, step: int = 1) -> list[bool]:
    """Read each page, or every so many, without those beside it; which are cached then."""
    for _ in range(TRIES):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            for page in range(0, PAGES, step):
                os.pread(file.fileno(), 1, page * PAGE)
        if any(found := _cached(path)):
            return found
    pytest.skip("the page cache does not keep what is read")


async def test_rule_h3_it_drops_nothing_from_the_page_cache(machine: Machine, plugin: Make) -> None:
    """What was read stays, though it owns the file."""
    writer = plugin(machine, WRITER)
    path = _store(writer)
    lost: list[int] = []
    while len(lost) < TRIES and 0 not in lost:  # the kernel drops at times, it would each time
        before = _read(path)
        await writer.ask()
        lost.append(sum(was and not still for was, still in zip(before, _cached(path), strict=True)))
    assert 0 in lost


async def test_rule_h3_it_is_not_told_what_is_in_the_page_cache(machine: Machine, plugin: Make) -> None:
    """A file of which a half is in it looks like one of which nothing is."""
    reader = plugin(machine, READER)
    path = _store(reader)
    before = await reader.ask()
    _read(path, 2)
    assert json.loads((await reader.ask()).body) == json.loads(before.body)


CHANGER = """
    import fcntl, os, struct, sys
    def tries(fd):
        yield lambda: fcntl.ioctl(fd, 0x40087602, struct.pack("=Q", 0x1234567))
        yield lambda: fcntl.ioctl(fd, 0x40086602, struct.pack("=Q", 0x80 | 0x80000))
        yield lambda: fcntl.ioctl(fd, 0x401c5820, struct.pack("=IIII12x", 0x40, 0, 0, 7))
        for command in (1036, 1038):
            yield lambda: fcntl.fcntl(fd, command, struct.pack("=Q", 4))
    for line in sys.stdin:
        fd = os.open("plugin.py", os.O_RDONLY)
        for one in tries(fd):
            try:
                one()
            except OSError:
                pass
        print("{}")
"""


def _state(path: Path) -> Iterator[bytes]:
    """What an inode keeps beside its contents, as far as its file system has such."""
    with path.open("rb") as file:
        for request in (0x80087601, 0x80086601, 0x801C581F):
            with suppress(OSError):
                yield fcntl.ioctl(file.fileno(), request, bytes(28))
        with suppress(OSError):
            yield fcntl.fcntl(file.fileno(), 1035, bytes(8))


async def test_rule_h3_it_leaves_nothing_in_an_inode(machine: Machine, plugin: Make) -> None:
    """Neither a generation nor flags, a project or a hint: they would last until its next process."""
    changer = plugin(machine, CHANGER)
    path = changer.directory / "plugin.py"
    before = [*_state(path)]
    await changer.ask()
    assert [*_state(path)] == before


PROGRAMS = """
    set -e
    cat plugin.py > /dev/null
    cat plugin.py | sort | uniq | wc -l > /dev/null
    sort plugin.py | head -n 3 | tail -n 1 > /dev/null
    grep -q PROGRAMS plugin.py
    grep -c . plugin.py > /dev/null
    sed -n 1p plugin.py > /dev/null
    awk 'END { print NR }' plugin.py > /dev/null
    dd if=plugin.py of=/dev/null 2> /dev/null
    cut -c1 plugin.py | tr a b > /dev/null
    sha256sum plugin.py > /dev/null
    cmp plugin.py plugin.py
    find . -name plugin.py > /dev/null
    python3 -c 'import json, ssl, hashlib, threading, subprocess, asyncio, tempfile
    assert open("plugin.py").readlines()
    threading.Thread(target=print, args=("",)).start()
    asyncio.run(asyncio.sleep(0))
    subprocess.run(["cat", "plugin.py"], capture_output=True, check=True)' > /dev/null
    echo '{"action": "deliver"}'
"""


async def test_programs_that_advise_the_kernel_run(machine: Machine, plugin: Make) -> None:
    """`cat` and `sort` say how they will read, and go on when nobody listens."""
    script = plugin(machine, PROGRAMS, command=("sh", "plugin.py"), mode=ProcessMode.ONESHOT)
    assert json.loads((await script.ask()).body) == {"action": "deliver"}


async def test_a_runtime_with_threads_and_a_compiler_runs(full: Machine, plugin: Make) -> None:
    """Node.js, where it is installed."""
    if shutil.which("node", path="/usr/bin:/usr/local/bin") is None:
        pytest.skip("Node.js is not installed")
    script = plugin(
        full,
        """
        process.stdin.on("data", () => {}).on("end", () => {
            require("fs").readFileSync("plugin.py");
            require("child_process").execFileSync("cat", ["plugin.py"]);
            require("dns").lookup("localhost", () => console.log('{"action": "deliver"}'));
        });
        """,
        command=("node", "plugin.py"),
        mode=ProcessMode.ONESHOT,
        limits=Limits(cpu_ms=10_000, memory_mb=512),
    )
    assert json.loads((await script.ask()).body) == {"action": "deliver"}
