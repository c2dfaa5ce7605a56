"""The console script: answers `--version` and guards `deliver` before anything is imported that may fail."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Sequence

from mairust_core.observe.collector import calm_collector

DELIVER = "deliver"
COMPLETE = "--complete"
"""What completion scripts call: see `candidates.py`."""
TEMPORARY = 75  # EX_TEMPFAIL of sysexits.h
INTERRUPTED = 130
DELIVERED = frozenset({0, 65, 67})
"""The exit codes of `deliver` that are no call to try again: stored, EX_DATAERR, EX_NOUSER."""
WITH_VALUE = frozenset({"--config", "--data-dir", "--server", "--token-file", "--ca-file", "--lang"})
"""The global options that take a value."""


def main() -> int:
    """Run the command line of this process; the exit code."""
    calm_collector()
    _fill_closed()
    args = sys.argv[1:]
    if args[:1] == ["--version"]:
        from mairust_core import __version__

        with contextlib.suppress(OSError):  # a full disk, which is told by who reads all arguments
            print(f"mairust {__version__}", flush=True)
            return 0
    if args[:1] == [COMPLETE]:
        from mairust_cli.candidates import main as complete

        return complete(args[1:])
    if _command(args) == DELIVER:
        return _deliver(args)
    try:
        from mairust_cli.main import run
    except KeyboardInterrupt:
        return INTERRUPTED
    code = run(args)
    gc.freeze()  # looking through all of it for cycles once more, at the end, took a sixth of a short command
    return code


def _fill_closed() -> None:
    """Lead 0, 1 and 2 nowhere where the caller closed them: the next file opened must not become stdout.

    `sys.stdin` stays None, so that nothing is taken for an empty message.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as we run
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as we run


def _command(args: Sequence[str]) -> str:
    """The first word that is neither a global option nor the value of one."""
    words = iter(args)
    for word in words:
        if word in WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            return word
    return ""


def _deliver(args: Sequence[str]) -> int:
    """Run `deliver`, whatever happens: a mail server in front must never bounce for a fault of ours."""
    _fail_temporarily_on_signals()
    try:
        from mairust_cli.main import run

        code = run(args)
    except BaseException as error:
        _tell(f"mairust: error: {type(error).__name__}: {error}".replace("\n", " "))
        return TEMPORARY
    return code if code in DELIVERED else TEMPORARY


def _tell(line: str) -> None:
    """Write to stderr past its buffer: one that cannot be flushed would change the exit code."""
    with contextlib.suppress(OSError):
        os.write(2, f"{line}\n".encode("utf-8", "replace"))


def _fail_temporarily_on_signals() -> None:
    import signal

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM, signal.SIGXCPU):
        signal.signal(number, lambda *_: os._exit(TEMPORARY))


if __name__ == "__main__":
    sys.exit(main())
