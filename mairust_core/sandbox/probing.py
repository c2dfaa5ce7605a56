"""Trying the sandbox out: a process is started in all the layers there are; those that fail it are named."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from mairust_core.model.isolation import Layer
from mairust_core.model.plugin import Layers, Limits
from mairust_core.sandbox.confinement import Confinement, Program, Unconfinable
from mairust_core.sandbox.machine import Machine, look
from mairust_core.sandbox.spawn import FAILED, STARTED, Spawned, spawn

TIMEOUT_S = 20.0
_PLUGIN = "mairust.probe"
_ANSWER = b"here\n"


@cache
def probe() -> Machine:
    """What holds a process on this machine; takes some tenths of a second, once."""
    return tried(look())


def tried(machine: Machine) -> Machine:
    """This machine without the layers in which no process starts."""
    with tempfile.TemporaryDirectory(prefix="mairust-probe-") as directory:
        os.chmod(directory, 0o755)  # noqa: S103 - empty, and read by another user
        while machine.grade is not Layers.NONE:
            failed = _try(machine, Path(directory))
            if failed is None:
                break
            machine = machine.lacking(*failed)
    return machine


def _try(machine: Machine, directory: Path) -> tuple[Layer, str] | None:
    """The layer that fails, and why; None when all of them work together."""
    program = Program(
        plugin=_PLUGIN,
        command=(str(machine.interpreter.program), "-I", "-S", "-c", "print('here')"),
        directory=directory,
        limits=Limits(cpu_ms=10_000),
    )
    try:
        spawned = spawn(Confinement(machine=machine, is_required=False), program)
    except Unconfinable as error:
        return _weakest(machine), str(error)
    try:
        out, err = spawned.process.communicate(timeout=TIMEOUT_S)
        said = os.read(spawned.status_fd, 4096)
    except subprocess.TimeoutExpired:
        _give_up(spawned)
        return _weakest(machine), "it did not end"
    finally:
        _close(spawned)
    if said == STARTED and out == _ANSWER:
        return None
    return _blamed(machine, said, err)


def _give_up(spawned: Spawned) -> None:
    """Without a word to its pipes: whoever is left in there may hold them."""
    if spawned.info_fd is not None:
        os.set_blocking(spawned.info_fd, False)
        with suppress(BlockingIOError, ProcessLookupError, ValueError):
            os.kill(int(json.loads(os.read(spawned.info_fd, 4096))["child-pid"]), signal.SIGKILL)
    spawned.process.kill()
    spawned.process.wait()
    for pipe in (spawned.process.stdin, spawned.process.stdout, spawned.process.stderr):
        assert pipe is not None
        pipe.close()


def _close(spawned: Spawned) -> None:
    os.close(spawned.pidfd)
    os.close(spawned.status_fd)
    if spawned.info_fd is not None:
        os.close(spawned.info_fd)
    if spawned.group is not None:
        spawned.group.remove()


def _blamed(machine: Machine, said: bytes, err: bytes) -> tuple[Layer, str]:
    """Whose fault it was: the launcher names its step; else it is the layer with the most in it."""
    if said.startswith(FAILED):
        step, _, why = said.removeprefix(FAILED).decode("utf-8", "replace").partition(": ")
        blamed = next((layer for layer in Layer if layer == step and machine.has(layer)), _weakest(machine))
        return blamed, why
    lines = err.decode("utf-8", "replace").strip().splitlines()
    return _weakest(machine), lines[-1] if lines else "it ended without a word"


def _weakest(machine: Machine) -> Layer:
    return next(layer for layer in Layer if machine.has(layer))
