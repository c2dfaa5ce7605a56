"""A system-call trace of the server, read from strace: what it did to its files and told its peers, in order.

Each call is seen twice, when it began and when it ended, for calls of several threads overlap: what an fsync
covers had ended before it began, and what a reply promises had ended before it began.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pytest

NO_STRACE = "strace is not installed"
LONGEST_DATA = 16 << 20

FILE_CALLS = (
    "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,sync_file_range,rename,renameat,"
    "renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,truncate,ftruncate,fallocate,mkdir,mkdirat,rmdir,"
    "copy_file_range,sendfile,splice,mmap"
)
TALK_CALLS = "sendto,sendmsg"

_LINE = re.compile(r"(?P<pid>\d+) +(?:<\.\.\. (?P<resumed>\w+) resumed>|(?P<name>\w+)\()(?P<rest>.*)")
_UNFINISHED = " <unfinished ...>"
_RESULT = re.compile(r"\) += (?P<value>-?\d+|0x[0-9a-f]+|\?)(?P<more>.*)", re.DOTALL)
_NUMBER = re.compile(r"(?:^|, )(-?\d+)(?=,|$)")
_FD = re.compile(r"(?P<fd>-?\d+|AT_FDCWD)<(?P<target>(?:->|[^<>])*)>(?P<deleted>\(deleted\))?")


def strace(
    output: Path, calls: str, *inject: str, data_bytes: int = LONGEST_DATA, only: Path | None = None
) -> list[str]:
    """The wrapper that traces `calls` of a server into `output`; `inject` are faults for its `-e inject=`.

    At most `data_bytes` of what is written are recorded; `only` means calls on that file.
    Skips the test where strace is not installed.
    """
    if shutil.which("strace") is None:
        pytest.skip(NO_STRACE)
    faults = [word for fault in inject for word in ("-e", f"inject={fault}")]
    shown = ("-f", "-yy", "-xx", "-s", str(data_bytes), "-e", f"trace={calls}", "-e", "signal=none")
    file = ("-P", str(only)) if only else ()
    return ["strace", "--seccomp-bpf", *shown, *faults, *file, "-o", str(output)]


@dataclass(eq=False)
class Call:
    """One system call. Paths are absolute, as the kernel knew them when the call began."""

    name: str
    pid: int
    arguments: str
    result: int | None = None
    """None when the process ended inside the call."""
    outcome: str = ""

    @cached_property
    def strings(self) -> list[bytes]:
        """Its string arguments: path names, or the pieces of what is written."""
        pieces = self.arguments.split('"')
        assert not any(after.startswith("...") for after in pieces[2::2]), f"{self.name} shown in part only"
        shown = zip(pieces[::2], pieces[1::2], strict=False)
        # After a comma without a space it is a socket's name, not an argument.
        return [bytes.fromhex(text.replace("\\x", "")) for before, text in shown if not before.endswith(",")]

    @cached_property
    def bare(self) -> str:
        """The arguments without their strings."""
        return "text".join(self.arguments.split('"')[::2])

    @property
    def data(self) -> bytes:
        """The bytes it handed over."""
        return b"".join(self.strings)

    @cached_property
    def descriptors(self) -> list[tuple[str, bool]]:
        """What its descriptor arguments lead to, and whether that has lost its name."""
        return [(_plain(one["target"]), bool(one["deleted"])) for one in _FD.finditer(self.bare)]

    @property
    def target(self) -> str:
        """What its first descriptor leads to; empty when it has lost its name."""
        name, gone = self.descriptors[0] if self.descriptors else ("", True)
        return "" if gone else name

    @cached_property
    def paths(self) -> list[str]:
        """Its path arguments, made absolute by the directories they are relative to, where given."""
        bases = [name for name, _ in self.descriptors] or ["/"]
        names = [text.decode() for text in self.strings]
        return [str(Path(bases[min(i, len(bases) - 1)]) / name) for i, name in enumerate(names)]

    @property
    def numbers(self) -> list[int]:
        """Its arguments that are plain numbers, in order."""
        return [int(word) for word in _NUMBER.findall(_FD.sub("fd", self.bare))]

    @property
    def failed(self) -> bool:
        """Whether it ended with an error."""
        return self.result is not None and self.result < 0


@dataclass(frozen=True, slots=True)
class Moment:
    """A call at its beginning or its end."""

    call: Call
    ended: bool


@dataclass
class _Reader:
    open_calls: dict[int, Call] = field(default_factory=dict)

    def moments(self, line: str) -> Iterator[Moment]:
        match = _LINE.fullmatch(line)
        if match is None:  # "+++ exited with 0 +++", or cut off by a SIGKILL
            return
        pid, rest = int(match["pid"]), match["rest"]
        if match["resumed"]:
            call = self.open_calls.pop(pid)
            call.arguments += rest
        else:
            call = Call(match["name"], pid, rest.removesuffix(_UNFINISHED))
            yield Moment(call, ended=False)
        if rest.endswith(_UNFINISHED):
            self.open_calls[pid] = call
        elif found := _RESULT.search(call.arguments):
            call.arguments = call.arguments[: found.start()]
            call.result = None if found["value"] == "?" else int(found["value"], 0)
            call.outcome = found["more"]
            yield Moment(call, ended=True)


def read(output: Path) -> Iterator[Moment]:
    """The moments of a trace, in order."""
    reader = _Reader()
    with open(output, encoding="ascii", errors="replace") as lines:
        for line in lines:
            yield from reader.moments(line.rstrip("\n"))


def ended_calls(output: Path) -> Sequence[Call]:
    """The calls of a trace in the order in which they ended."""
    return [moment.call for moment in read(output) if moment.ended]


def _plain(text: str) -> str:
    """A descriptor's target without its escapes."""
    if not text.startswith("\\x"):
        return text
    return bytes.fromhex(text.replace("\\x", "")).decode()
