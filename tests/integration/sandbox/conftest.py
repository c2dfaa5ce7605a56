"""Machines to run plugins on: with all the layers there are, and with fewer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import uvloop

from mairust_core.model.isolation import Layer
from mairust_core.model.plugin import Layers
from mairust_core.sandbox.directories import closed_to_others
from mairust_core.sandbox.machine import Machine, look
from mairust_core.sandbox.places import Interpreter
from mairust_core.sandbox.probing import probe, tried
from tests.support.plugins import Plugin, make_plugin
from tests.support.users import let_others_in

Make = Callable[..., Plugin]

FEWER = {
    "all-layers": (),
    "as-a-user": (Layer.OWN_USER, Layer.CGROUP),
    "no-namespaces": (Layer.NAMESPACES,),
    "among-ours": (Layer.NAMESPACES, Layer.OWN_USER, Layer.CGROUP),
}
"""What is taken away from this machine."""
SYSTEM_PYTHON = Path("/usr/bin/python3")


@cache
def machine_without(*layers: Layer) -> Machine:
    """This machine with fewer layers; fails when one is offered here and no process starts in it."""
    offered = look()
    if not offered.has(Layer.NAMESPACES):
        pytest.skip("bubblewrap is not installed")
    if not offered.has(Layer.LANDLOCK) and Layer.NAMESPACES in layers:
        pytest.skip("this kernel has no Landlock")
    assert {one.layer for one in probe().missing} == {one.layer for one in offered.missing}
    machine = probe()
    for layer in layers:
        machine = machine.lacking(layer, "taken away")
    machine = tried(_for_others(machine))
    assert machine.grade is (Layers.LANDLOCK if Layer.NAMESPACES in layers else Layers.NAMESPACES)
    return machine


def _for_others(machine: Machine) -> Machine:
    """With the distribution's Python where ours lies in root's home, which only namespaces show to others."""
    needs_another = machine.grade is not Layers.NAMESPACES and machine.has(Layer.OWN_USER)
    if needs_another and closed_to_others(machine.interpreter.prefix) and SYSTEM_PYTHON.exists():
        return replace(machine, interpreter=Interpreter(program=SYSTEM_PYTHON.resolve(), prefix=Path("/usr")))
    return machine


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The server's loop; what is said over pipes on that of commands as well."""
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"uvloop": uvloop.new_event_loop}
    return loops | ({"asyncio": asyncio.new_event_loop} if item.path.name == "test_answers.py" else {})


@pytest.fixture(params=FEWER)
def machine(request: pytest.FixtureRequest) -> Machine:
    """Each kind of machine in turn."""
    return machine_without(*FEWER[request.param])


@pytest.fixture
def full() -> Machine:
    """This machine, with all it has."""
    return machine_without()


@pytest.fixture
def among_ours() -> Machine:
    """A machine whose plugins are processes of the server's user like any other, held by no group."""
    return machine_without(*FEWER["among-ours"])


@pytest.fixture
async def plugin(tmp_path: Path) -> AsyncIterator[Make]:
    """Make plugins; in the end all their processes must be gone."""
    made: list[Plugin] = []
    let_others_in(tmp_path)

    def make(machine: Machine, script: str, **more: Any) -> Plugin:
        made.append(make_plugin(tmp_path / f"plugin{len(made)}", machine, script, **more))
        return made[-1]

    yield make
    for one in made:
        await one.transport.close()
    assert [one.pids() for one in made] == [[] for _ in made]
