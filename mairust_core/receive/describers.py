"""Describing and compressing mail on other cores: for imports, whose messages come by the thousand.

Each process is a plain child that reads lists of messages from its stdin and answers on its stdout
(`describer_process`). It ends when that pipe does, so that none is left when this process is killed.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from typing import IO, Any

from mairust_core.blobs.records import Codec, Header, Packed, Prepacked
from mairust_core.model.blob import MEMORY_LIMIT_BYTES, Bytes, Content
from mairust_core.model.content import KeptFacts
from mairust_core.receive.describing import describe_to_keep

MAX_PROCESSES = 4
LENGTH = struct.Struct("<Q")
PIPE_BYTES = 1 << 20
"""Of what a pipe holds: each time it is empty or full, two processes wait for each other."""
_COMMAND = (sys.executable, "-P", "-m", "mairust_core.receive.describer_process")

Described = tuple[Content, KeptFacts | None]
"""A content, perhaps with its record made already, and what is in it."""
Answer = tuple[KeptFacts | None, bytes, int, bytes]
"""Of the child: its facts, hash, and the record's codec and data."""


class Describers:
    """A few processes that describe; they start with the first call."""

    def __init__(self, processes: int | None = None) -> None:
        count = min(os.cpu_count() or 1, MAX_PROCESSES) if processes is None else processes
        self._free: SimpleQueue[_Child] = SimpleQueue()
        self._children = [_Child() for _ in range(count)]
        for child in self._children:
            self._free.put(child)
        self._threads = ThreadPoolExecutor(count, "describer")
        self.ahead = count * 2
        """How many calls keep every process busy."""

    def submit(self, contents: Sequence[Content]) -> Future[list[Described]]:
        """Describe these, in order; never fails: what cannot be described is without facts (rule C4).

        A small content may come without its hash; the one that is given back has it, and its record.
        """
        return self._threads.submit(self._describe, contents)

    def close(self) -> None:
        """Wait for what was submitted and end the processes."""
        self._threads.shutdown()
        for child in self._children:
            child.close()

    def _describe(self, contents: Sequence[Content]) -> list[Described]:
        child = self._free.get()
        try:
            answers = iter(child.ask([bytes(one.view()) for one in contents if is_small(one)]))
        except (OSError, EOFError):  # it died: its work is done here, and the next call starts it again
            return [describe_here(one) for one in contents]
        finally:
            self._free.put(child)
        return [_described(one, next(answers)) if is_small(one) else describe_here(one) for one in contents]


def is_small(content: Content) -> bool:
    """Whether it is worth a way to another process."""
    return content.size_bytes <= MEMORY_LIMIT_BYTES


def describe_here(content: Content) -> Described:
    """The same on this core; the record is made when it is stored."""
    hashed = content if content.sha256 else Bytes.of(bytes(content.view()))
    return hashed, describe_to_keep(hashed)


def _described(content: Content, answer: Answer) -> Described:
    kept, sha256, codec, data = answer
    size_bytes = content.size_bytes
    header = Header(sha256=sha256, size_bytes=size_bytes, codec=Codec(codec), stored_bytes=len(data))
    hashed = Bytes(data=bytes(content.view()), sha256=sha256, size_bytes=size_bytes)
    return Prepacked(hashed, Packed(header=header, data=data)), kept


class _Child:
    """One process and its two pipes; starts when it is first asked. Not thread-safe."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, messages: list[bytes]) -> list[Answer]:
        """Its answers, one for each message. Raises `OSError` or `EOFError` when it is gone."""
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            write_frame(process.stdin, messages)
            answers: list[Answer] = read_frame(process.stdout)
        except BaseException:
            self.close()
            raise
        return answers

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, and a module of ours
                _COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            _widen(self._process)
        return self._process

    def close(self) -> None:
        """End it, if it runs."""
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(OSError):  # what was left in the buffer of a dead one
                pipe.close()
        process.wait()


def _widen(process: subprocess.Popen[bytes]) -> None:
    """Have the pipes of a process hold more, where the system allows that."""
    if set_size := getattr(fcntl, "F_SETPIPE_SZ", None):
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(OSError):  # this user's pipes hold too much already: it is slower, and works
                fcntl.fcntl(pipe, set_size, PIPE_BYTES)


def write_frame(pipe: IO[bytes], value: Any) -> None:
    """Write one value to a pipe between two of our own processes."""
    data = pickle.dumps(value, protocol=5)
    pipe.write(LENGTH.pack(len(data)))
    pipe.write(data)
    pipe.flush()


def read_frame(pipe: IO[bytes]) -> Any:
    """Read one value; raises `EOFError` at the end of the pipe."""
    head = pipe.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    (length,) = LENGTH.unpack(head)
    data = pipe.read(length)
    if len(data) < length:
        raise EOFError
    return pickle.loads(data)  # noqa: S301 - written by our own child, on a pipe nobody else has
