"""Completion asked of real shells: bash by its function, zsh in a line editor on a terminal, fish by name."""

from __future__ import annotations

import os
import pty
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.command_line import CHECKOUT, TIMEOUT_S

_SCRIPTS = CHECKOUT / "completions"

_BASH = """
source {script}
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_mairust
printf '%s\\n' "${{COMPREPLY[@]}}"
"""

_ZSH = """
fpath=({functions} $fpath)
autoload -Uz compinit && compinit -u -D
compadd() {{
    local -a found
    builtin compadd -A found "$@"
    print -rl -- ${{(Q)found}} >> {found}
    builtin compadd "$@"
}}
_told() {{ print -r -- {end} >> {found} }}
zle -N _told
bindkey '^X' _told
print -r -- ready > {found}
"""
"""What matches is written down on its way to the line editor; ^X says that the TAB before it is done."""
_END = "\x04"


def bash(words: tuple[str, ...], env: Mapping[str, str], scratch: Path) -> set[str]:
    """What bash offers for the last word."""
    script = _BASH.format(script=_script("bash"), words=shlex.join(words))
    return set(_output(["bash", "-c", script], env, scratch).splitlines()) - {""}


def fish(words: tuple[str, ...], env: Mapping[str, str], scratch: Path) -> set[str]:
    """What fish offers for the last word."""
    line = " ".join([*map(shlex.quote, words[:-1]), words[-1]])
    script = f"source {_script('fish')}; complete -C {shlex.quote(line)}"
    found = _output(["fish", "--no-config", "-c", script], env, scratch)
    return {one.partition("\t")[0] for one in found.splitlines()} - {""}


def zsh(words: tuple[str, ...], env: Mapping[str, str], scratch: Path) -> set[str]:
    """What zsh offers for the last word, after a TAB on a terminal."""
    directory = scratch.with_name("zsh")  # of what is completed, nothing
    functions, found, setup = (directory / name for name in ("functions", "found", "setup"))
    functions.mkdir(parents=True, exist_ok=True)
    shutil.copy(_SCRIPTS / "mairust.zsh", functions / "_mairust")  # where the how-to puts it
    found.write_text("")
    setup.write_text(_ZSH.format(functions=_quoted(functions), found=_quoted(found), end=_END))
    line = " ".join([*map(shlex.quote, words[:-1]), words[-1]])
    with _terminal(["zsh", "-f", "-i"], env, scratch) as type_:
        type_(f"source {_quoted(setup)}\r")
        _wait_for(found, "ready")
        type_(f"{line}\t\x18")
        _wait_for(found, _END)
    return set(found.read_text().splitlines()) - {"", "ready", _END}


SHELLS: dict[str, Callable[[tuple[str, ...], Mapping[str, str], Path], set[str]]] = {
    "bash": bash, "zsh": zsh, "fish": fish,
}  # fmt: skip


def require_shell(name: str) -> None:
    """Skip the test where the distribution's program is not installed."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")


def _script(shell: str) -> str:
    return _quoted(_SCRIPTS / f"mairust.{shell}")


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _output(command: list[str], env: Mapping[str, str], directory: Path) -> str:
    done = subprocess.run(
        command, env=env, cwd=directory, capture_output=True, text=True, check=True, timeout=TIMEOUT_S
    )
    assert done.stderr == ""
    return done.stdout


@contextmanager
def _terminal(command: list[str], env: Mapping[str, str], directory: Path) -> Iterator[Callable[[str], None]]:
    """A program on a terminal of its own; gives the function that types."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, env={**env, "TERM": "vt100"}, cwd=directory,
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        yield lambda text: _type(ours, text)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _type(terminal: int, text: str) -> None:
    os.write(terminal, text.encode())


def _wait_for(file: Path, line: str) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while line not in file.read_text().splitlines():
        assert time.monotonic() < deadline, f"the shell never said {line!r}"
        time.sleep(0.02)
